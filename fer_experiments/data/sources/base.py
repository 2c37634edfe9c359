"""The contract of every data source: it lists its images and opens one of them."""

import hashlib
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Annotated, Literal

import pandas as pd
from PIL import Image
from pydantic import Field

from fer_experiments.strict_config import StrictConfig, UserPath

Part = Literal["train", "valid", "test"]
Profile = Literal["minority", "exponential", "step"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]


class DataSource(StrictConfig, ABC):
    """A data source and how its images are chosen. conf/data/base.yaml explains the fields."""

    classes: Annotated[list[str], Field(min_length=1)] | None
    counts: Annotated[dict[str, Count], Field(min_length=1)] | None
    imbalance: Annotated[float, Field(ge=1.0)] | None
    profile: Profile
    minority: str | None
    parts: dict[Part, Part | None] | None
    valid_fraction: Fraction
    test_fraction: Fraction
    test_counts: Annotated[dict[str, Count], Field(min_length=1)] | None
    test_seed: Annotated[int, Field(ge=0)]
    channels: Literal[1, 3]
    grayscale: bool
    image_size: Annotated[int, Field(ge=8, le=1024)] | None
    bottleneck: Annotated[int, Field(ge=8, le=1024)] | None
    skip_corrupt: bool
    max_pixels: Annotated[int, Field(ge=1)]
    cache_dir: UserPath
    workers: Annotated[int, Field(ge=0, le=64)]

    @property
    def stored_channels(self) -> int:
        """The channels of a cached image: 1 if images are read as grayscale, else 3."""
        return 1 if self.grayscale or self.channels == 1 else 3

    @abstractmethod
    def items(self) -> pd.DataFrame:
        """Return a row for each image: path (unique, relative), label, part (train, valid or test).

        Raises ConfigError if the source can't be listed.
        """

    @abstractmethod
    def open(self, path: str) -> Image.Image:
        """Open the image that `items` lists as `path`. Raises OSError or ValueError if it can't be read."""

    @abstractmethod
    def state(self, items: pd.DataFrame) -> list[str]:
        """Return for each item a line that changes whenever the item's bytes may have changed."""

    def fingerprint(self, items: pd.DataFrame) -> str:
        """Return 24 hexadecimal digits of all items and of how they are read; they name the cache."""
        digest = hashlib.sha256(f"{self.stored_channels} {self.image_size} {self.max_pixels}\n".encode())
        for path, label, part, state in zip(
            items["path"], items["label"], items["part"], self.state(items), strict=True
        ):
            digest.update(f"{path}\0{label}\0{part}\0{state}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()[:24]


def file_state(path: Path) -> str:
    """Return a file's size and modification time, or why they are unknown (reading the file then reports that)."""
    try:
        stat = path.stat()
    except OSError as error:
        return str(error)
    return f"{stat.st_size} {stat.st_mtime_ns}"
