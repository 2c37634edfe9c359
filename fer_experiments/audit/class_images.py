"""The real and generated images of one class, at any size."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from fer_experiments.audit.held_out import HeldOutImages, choose_held_out_images
from fer_experiments.data.dataset import EVALUATION_BATCH, ImageDataset
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.samplers import SequentialBatches
from fer_experiments.evaluation.generated.nearest import CHUNK, PixelFeatures, References, pixel_features

NO_IMAGES = np.empty((0, 1, 1, 1), dtype=np.uint8)  # generated ones of a class whose real images alone are read
MAX_IMAGES = 5000  # of a part of a class, whose features are kept in memory
# Parts of a class's images. The held-out ones are those of audit/held_out.py, by which generated images are measured;
# what is chosen, such as an epoch, is chosen by validation. The unseen ones are held-out, validation and test images.
TRAIN, VALID, HELD_OUT, UNSEEN, GENERATED = "train", "valid", "held_out", "unseen", "generated"


@dataclass(frozen=True)
class ClassImages:
    """The images of one class. generated: (M, S, S, C) uint8."""

    data: PreparedData
    label: str
    generated: np.ndarray

    @cached_property
    def held_out(self) -> HeldOutImages:
        """The real images of the class by which the generated ones are measured."""
        return choose_held_out_images(self.data, self.label)

    def table(self, part: str) -> pd.DataFrame:
        """Return the real images of a part with the columns of a split's table, indexed by their rows in the cache.

        UNSEEN leaves out the images that a leak has put into the training part as well.
        """
        if part == HELD_OUT:
            return self.held_out.table
        table = self.data.split.table
        table = table[table["label"] == self.label]
        if part != UNSEEN:
            return table[table["split"] == part]
        held_out = self.held_out.table
        listed = table.index[table["split"] == TRAIN].union(held_out.index)
        return pd.concat([held_out, table[~table.index.isin(listed)]])

    def dataset(self, part: str, size: int) -> ImageDataset:
        """Return a part's images at `size` x `size` pixels, the real ones by way of data.bottleneck."""
        generated = self.generated if part == GENERATED else None
        rows = np.empty(0, dtype=np.int64) if part == GENERATED else self.table(part).index.to_numpy()
        labels = np.zeros(len(rows) + (0 if generated is None else len(generated)), dtype=np.int64)
        return ImageDataset(self.data.cache.images, rows, labels, size, self.data.source.bottleneck, generated)

    def first(self, part: str, size: int, count: int) -> Tensor:
        """Return the first `count` images of a part, or all if there are fewer: (N, C, S, S) uint8."""
        dataset = self.dataset(part, size)
        return dataset[list(range(min(len(dataset), count)))][0]

    def map(self, part: str, size: int, function: Callable[[Tensor], Tensor]) -> Tensor:
        """Apply a function to a part's images batch by batch; of real images, to at most MAX_IMAGES. Returns (N, ...).

        The rows of a split are sorted by content hash, so that the first images are as good as a random sample.
        """
        dataset = self.dataset(part, size)
        count = len(dataset) if part == GENERATED else min(len(dataset), MAX_IMAGES)
        return torch.cat([function(dataset[places][0]) for places in SequentialBatches(count, EVALUATION_BATCH)])

    def pixels(self, part: str, size: int) -> PixelFeatures:
        """Return the pixel features of a part's images, as many as `map` takes, and of their mirror images."""
        return PixelFeatures.from_plain(self.map(part, size, pixel_features))

    def training_pixels(self, size: int) -> References:
        """Return the pixel features of all training images; if these exceed MAX_IMAGES, computed whenever needed."""
        dataset = self.dataset(TRAIN, size)
        return self.pixels(TRAIN, size) if len(dataset) <= MAX_IMAGES else PixelsOnDisk(dataset)


@dataclass(frozen=True)
class PixelsOnDisk:
    """References (evaluation/generated/nearest.py) whose pixel features are computed whenever they are needed."""

    images: ImageDataset

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, places: Tensor) -> PixelFeatures:
        return PixelFeatures.from_plain(pixel_features(self.images[places.tolist()][0]))

    def blocks(self) -> Iterator[PixelFeatures]:
        return (self[torch.tensor(places)] for places in SequentialBatches(len(self), CHUNK))
