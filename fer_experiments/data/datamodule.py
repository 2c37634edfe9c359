"""The LightningDataModule of GANs and classifiers, which can add generated images to the training images."""

from collections.abc import Callable
from typing import Any

import lightning
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Sampler

from fer_experiments.data.dataset import EVALUATION_BATCH, Batch, DeviceImageDataset, ImageDataset
from fer_experiments.data.groups import has_groups
from fer_experiments.data.injection import Injection
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.samplers import EpochBatches, InjectedBatches, RankBatches, SequentialBatches
from fer_experiments.data.synthetic import GeneratedImages

MAX_RESIDENT_FRACTION = 0.25  # of a GPU's free memory; a dataset that needs more stays on the host


class ImageDataModule(lightning.LightningDataModule):
    """Batches of images (B, C, S, S) float in [0, 1], labels (B,) int64 and, if ImageDataset has them, weights (B,).

    The training images can be a subset, be repeated, and be joined by generated images. Validation and test images are
    always real, and never augmented.
    """

    def __init__(
        self,
        data: PreparedData,
        *,
        image_size: int,
        batch_size: int,
        seed: int,
        train_indices: np.ndarray | None = None,
        steps_per_epoch: int | None = None,
        augment: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        """Choose the training images.

        Args:
            data: the images and their split.
            image_size: the side of the images in a batch.
            batch_size: of the training; evaluation has EVALUATION_BATCH.
            seed: of the order of the training images.
            train_indices: places among the training images, repeats allowed; None: each image once.
            steps_per_epoch: batches in an epoch; None: one pass over the training images.
            augment: maps training images (B, 1 or C, S, S) uint8; None: they stay as they are.
        """
        super().__init__()
        self.data, self.image_size, self.batch_size, self.seed = data, image_size, batch_size, seed
        self.augment = augment
        rows, labels = data.split.rows("train"), data.class_indices(data.split.labels("train"))
        chosen = np.arange(len(rows)) if train_indices is None else train_indices
        self.train_set = self._build_dataset(rows[chosen], labels[chosen])
        self.generated: GeneratedImages | None = None
        self.injection = Injection()
        self.steps_per_epoch = steps_per_epoch or -(-len(chosen) // batch_size)
        self.first_epoch = 0

    def inject(self, generated: GeneratedImages, injection: Injection = Injection()) -> None:  # noqa: B008
        """Add images to the training images; the number of steps stays."""
        self.generated, self.injection = generated, injection
        labels = self.data.class_indices(generated.labels)
        real = self.train_set
        both = np.concatenate([real.labels.numpy(), labels])
        self.train_set = self._build_dataset(real.rows, both, generated.images, injection)

    def training_table(self) -> pd.DataFrame:
        """Return a row for each training image.

        Its columns are path, label, origin, content_hash and, if the data has groups, group (both empty for an image
        that is not of the source) and times, how often the image is among them.
        """
        index = self.data.cache.index
        paths = index.loc[self.train_set.rows, "path"].tolist()
        if self.generated is not None:
            paths += self.generated.files.tolist()
        labels = [self.data.classes[place] for place in self.train_set.labels]
        table = pd.DataFrame({"path": paths, "label": labels, "origin": self.train_set.origins})
        for column in ("content_hash", *(["group"] if has_groups(index) else [])):
            table[column] = table["path"].map(index.set_index("path")[column]).fillna("")
        return table.groupby([*table.columns], sort=False, as_index=False).size().rename({"size": "times"}, axis=1)

    def _build_dataset(
        self,
        rows: np.ndarray,
        labels: np.ndarray,
        generated: np.ndarray | None = None,
        injection: Injection = Injection(),  # noqa: B008
    ) -> ImageDataset:
        return ImageDataset(
            self.data.cache.images,
            rows,
            labels,
            self.image_size,
            self.data.source.bottleneck,
            generated,
            injection.origin,
            injection.weight,
        )

    def part(self, name: str) -> ImageDataset:
        """Return the images of a part of the split, "valid" or "test"."""
        return self._build_dataset(self.data.split.rows(name), self.data.class_indices(self.data.split.labels(name)))

    def state_dict(self) -> dict[str, int]:
        """Return the epoch that comes next; checkpoints are written at the end of an epoch."""
        assert self.trainer is not None
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return {"epoch": progress.processed}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        # Lightning calls this before it makes a loader, whose workers read ahead as soon as they are started.
        self.first_epoch = state_dict["epoch"]

    def _loader(self, dataset: ImageDataset, batches: Sampler[list[int]]) -> DataLoader:
        # batch_size=None: the sampler gives whole batches, and the dataset gathers each in one indexing.
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if device.type == "cuda" and dataset.bytes <= torch.cuda.mem_get_info(device)[0] * MAX_RESIDENT_FRACTION:
            return DataLoader(
                DeviceImageDataset(dataset, device), sampler=batches, batch_size=None, generator=torch.Generator()
            )
        workers = self.data.source.workers
        return DataLoader(
            dataset,
            sampler=batches,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            # Without a generator of its own, it draws its workers' seeds, which nothing here uses, from the random
            # numbers of the training whenever it is started: more often with workers and in a resumed training.
            generator=torch.Generator(),
        )

    def train_dataloader(self) -> DataLoader:
        batches = self._training_batches()
        batches.set_epoch(self.first_epoch)
        if self.trainer is None or self.trainer.world_size == 1:
            return self._loader(self.train_set, batches)
        return self._loader(self.train_set, RankBatches(batches, self.trainer.global_rank, self.trainer.world_size))

    def _training_batches(self) -> EpochBatches:
        size, steps, seed = self.batch_size, self.steps_per_epoch, self.seed
        if self.generated is None or not self.injection.composes_batches:
            return EpochBatches(len(self.train_set), size, steps, seed)
        epochs = 1 if self.trainer is None else self.trainer.max_epochs or 1
        real, generated = len(self.train_set.rows), len(self.generated.labels)
        return InjectedBatches(real, generated, size, steps, seed, self.injection, total=epochs * steps)

    def val_dataloader(self) -> DataLoader:
        return self._part_loader("valid")

    def test_dataloader(self) -> DataLoader:
        return self._part_loader("test")

    def _part_loader(self, name: str) -> DataLoader:
        dataset = self.part(name)
        return self._loader(dataset, SequentialBatches(len(dataset), EVALUATION_BATCH))

    def predict_dataloader(self) -> list[DataLoader]:
        """Return the loaders of the validation and the test images."""
        return [self.val_dataloader(), self.test_dataloader()]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        images, *targets = batch
        training = self.trainer is not None and self.trainer.training
        return (self.prepare_training if training else self.prepare)(images), *targets

    def prepare(self, images: Tensor) -> Tensor:
        """images (B, 1 or C, S, S) uint8 -> (B, C, S, S) float in [0, 1], channels_last."""
        return (
            (images.float() / 255)
            .expand(-1, self.data.source.channels, -1, -1)
            .contiguous(memory_format=torch.channels_last)
        )

    def prepare_training(self, images: Tensor) -> Tensor:
        """images (B, 1 or C, S, S) uint8 -> augmented images (B, C, S, S) float in [0, 1], channels_last.

        Augmentation comes first, because a grayscale image then has one channel instead of three.
        """
        return self.prepare(images if self.augment is None else self.augment(images))
