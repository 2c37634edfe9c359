"""A data source prepared for training: its decoded images and the split of one seed."""

from dataclasses import dataclass, replace

import numpy as np

from fer_experiments.data.cache import ImageCache, open_cache
from fer_experiments.data.sources.base import DataSource
from fer_experiments.data.split import Split, make_split


@dataclass(frozen=True)
class PreparedData:
    """The decoded images of a source and one seed's split of them."""

    source: DataSource
    cache: ImageCache
    split: Split

    @classmethod
    def prepare(cls, source: DataSource, seed: int) -> "PreparedData":
        """Decode the images, unless they are cached, and split them. Raises ConfigError if the data can't be used."""
        cache = open_cache(source)
        return cls(source, cache, make_split(cache.index, source, seed))

    def with_seed(self, seed: int) -> "PreparedData":
        """Return the same images with another seed's split."""
        return replace(self, split=make_split(self.cache.index, self.source, seed))

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return how many batches the real training images fill; every arm has as many, whatever it is trained on."""
        return -(-len(self.split.rows("train")) // batch_size)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.split.classes

    def class_indices(self, labels: np.ndarray) -> np.ndarray:
        """Class names (N,) -> their places in `classes` (N,) int64."""
        places = {name: place for place, name in enumerate(self.classes)}
        return np.array([places[label] for label in labels], dtype=np.int64)
