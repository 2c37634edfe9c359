"""The contract of every data source: it lists its images and opens one of them."""

import hashlib
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from PIL import Image
from pydantic import Field, field_validator

from fer_experiments.data.decode import decode
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import Label, StrictConfig, UserPath

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)
MAX_SAMPLED = 50  # images by which data.grayscale=auto decides
Part = Literal["train", "valid", "test"]
Profile = Literal["minority", "exponential", "step"]
PARTS: tuple[Part, ...] = ("train", "valid", "test")
Fraction = Annotated[float, Field(gt=0.0, lt=1.0)]
Count = Annotated[int, Field(ge=1)]
CLASS_NAME = re.compile(r"[^./][^/]*")  # of a folder that is not hidden
ClassName = Annotated[Label, Field(pattern=rf"^{CLASS_NAME.pattern}$")]


class DataSource(StrictConfig, ABC):
    """A data source and how its images are chosen. conf/data/base.yaml explains the fields."""

    rename: Annotated[dict[Label, ClassName], Field(min_length=1)] | None
    classes: Annotated[list[Label], Field(min_length=1)] | None
    counts: Annotated[dict[Label, Count], Field(min_length=1)] | None
    imbalance: Annotated[float, Field(ge=1.0)] | None
    profile: Profile
    minority: Label | None
    parts: dict[Part, Part | None] | None
    valid_fraction: Fraction
    test_fraction: Fraction
    test_counts: Annotated[dict[Label, Count], Field(min_length=1)] | None
    test_seed: Annotated[int, Field(ge=0)]
    split_seed: Annotated[int, Field(ge=0)] | None
    group_pattern: str | None
    channels: Literal[1, 3]
    grayscale: Literal[True, False, "auto"]
    white_level: Annotated[float, Field(gt=0)] | None
    image_size: Annotated[int, Field(ge=8, le=1024)] | None
    bottleneck: Annotated[int, Field(ge=8, le=1024)] | None
    skip_corrupt: bool
    max_pixels: Annotated[int, Field(ge=1)]
    cache_dir: UserPath
    workers: Annotated[int, Field(ge=0, le=64)]

    @field_validator("group_pattern")
    @classmethod
    def _check_group_pattern(cls, pattern: str | None) -> str | None:
        try:
            re.compile(pattern or "")
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        return pattern

    @property
    def group_key(self) -> str | None:
        """The key that names the groups, with its value: "group_pattern=..."; None: there are no groups."""
        return None if self.group_pattern is None else f"group_pattern={self.group_pattern}"

    def groups(self, paths: Sequence[str]) -> list[str]:
        """Return the name of the group of each image, as `items` lists them; "" for one that has none.

        It is what data.group_pattern matches in the path, or in its first parentheses.
        """
        if self.group_pattern is None:
            return [""] * len(paths)
        pattern = re.compile(self.group_pattern)
        matches = map(pattern.search, paths)
        return [(match[min(1, pattern.groups)] or "") if match else "" for match in matches]

    @property
    def stored_channels(self) -> int:
        """The channels of a cached image: 1 if images are read as grayscale, else 3."""
        is_grayscale = self._is_gray_by_sample if self.grayscale == "auto" and self.channels == 3 else self.grayscale
        return 1 if is_grayscale or self.channels == 1 else 3

    @cached_property
    def _is_gray_by_sample(self) -> bool:
        """Whether no image of a sample has colour; those that can't be read do not count."""
        paths = self.items()["path"]
        sample = paths.iloc[:: -(-len(paths) // MAX_SAMPLED)]
        colourful = next((path for path in sample if self._has_colour(path)), None)
        if colourful is None:
            log.info(
                "data.grayscale=auto: none of %d images that were looked at has colour, so all are read as grayscale; "
                "data.grayscale=false reads them in colour",
                len(sample),
            )
        else:
            log.info("data.grayscale=auto: %s has colour, so all images are read in colour", colourful)
        return colourful is None

    def _has_colour(self, path: str) -> bool:
        """Whether a pixel of the image has unlike channels."""
        try:
            with self.open(path) as image:
                picture = decode(image, 3, self.max_pixels)
        except Exception:  # decoders raise anything on hostile bytes; the error is reported when the cache is built
            return False
        red, green, blue = picture.split()
        return red.tobytes() != green.tobytes() or green.tobytes() != blue.tobytes()

    def class_of(self, name: str) -> str:
        """Return the class of the images that `items` lists under this name."""
        return (self.rename or {}).get(name, name)

    def check_rename(self, items: "pd.DataFrame") -> None:
        """Raise ConfigError if data.rename has a name under which there are no items."""
        available = set(items["label"])
        unknown = sorted(set(self.rename or ()) - available)
        if unknown:
            raise ConfigError(
                f"data.rename: no class {', '.join(unknown)}; the data has {', '.join(sorted(available))}; give "
                "{name in the data: name of the class}"
            )

    def check_labels(self, items: "pd.DataFrame") -> None:
        """Raise ConfigError for a name of a class that can't be the name of a folder, as its generated images need."""
        labels = items["label"].map(self.class_of).drop_duplicates()
        wrong = [label for label in labels if not CLASS_NAME.fullmatch(label)]
        if wrong:
            raise ConfigError(
                f"data: {wrong[0]!r} can't be the name of a class; give it one without / and without . at its start, "
                "with data.rename={OLD: NEW}"
            )

    def suggest_root(self) -> str:
        """Return what the user may have meant if the classes are not those that were expected, or "".

        It continues the sentence of an error: "; did you mean data.root=...?".
        """
        return ""

    @abstractmethod
    def items(self) -> "pd.DataFrame":
        """Return a row for each image: path (unique, relative), label, part (train, valid or test).

        A label is the source's name for the class; data.rename is applied when the images are read from the cache.
        Raises ConfigError if the source can't be listed.
        """

    @abstractmethod
    def open(self, path: str) -> Image.Image:
        """Open the image that `items` lists as `path`. Raises OSError or ValueError if it can't be read."""

    @abstractmethod
    def state(self, items: "pd.DataFrame") -> list[str]:
        """Return for each item a line that changes whenever the item's bytes may have changed."""

    def fingerprint(self, items: "pd.DataFrame") -> str:
        """Return 24 hexadecimal digits of all items and of how they are read; they name the cache."""
        digest = hashlib.sha256(
            f"{self.stored_channels} {self.image_size} {self.max_pixels} {self.white_level}\n".encode()
        )
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
