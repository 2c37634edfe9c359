"""Images on disk to batches: sources, cache, splits, injection, the LightningDataModule."""
