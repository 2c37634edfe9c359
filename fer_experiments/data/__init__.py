"""From images on disk to batches: sources, cache, splits, generated images, the LightningDataModule."""
