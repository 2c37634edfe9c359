"""data.json as a report reads it: what is known of the images and of their source."""

import json
from pathlib import Path

from pydantic import BaseModel, model_validator


class DataFacts(BaseModel):
    """The part of data.json that a report uses; the file may lack any of it.

    Attributes:
        classes: their names.
        images: {part: {class: images}}.
        files: how many image files the source has.
        corrupt: {"path", "error"} of each file that can't be read.
        duplicate_groups, duplicate_files: groups of pixel-identical images, and the files in them.
        cross_split_groups, label_conflict_groups: groups in several parts of the source, and with several classes.
        dropped_as_duplicates_of_a_more_protected_part: {part: images}.
        dropped_as_of_a_group_in_another_part: {part: images}.
        groups: {part: {class: groups of images that belong together}}; {} without groups.
        near_duplicates: {"pairs", "test_images"}: pairs of alike images in different parts, and test images in them;
            "cross_label_pairs" of them are of two classes (earlier runs do not say).
    """

    classes: list[str] = []
    images: dict[str, dict[str, int]] = {}
    files: int | None = None
    corrupt: list[dict[str, str]] | None = None
    duplicate_groups: int | None = None
    duplicate_files: int | None = None
    cross_split_groups: int | None = None
    label_conflict_groups: int | None = None
    dropped_as_duplicates_of_a_more_protected_part: dict[str, int] = {}
    dropped_as_of_a_group_in_another_part: dict[str, int] = {}
    groups: dict[str, dict[str, int]] = {}
    near_duplicates: dict[str, int] | None = None

    @model_validator(mode="after")
    def _check_near_duplicates(self) -> "DataFacts":
        if self.near_duplicates is not None and not self.near_duplicates.keys() >= {"pairs", "test_images"}:
            raise ValueError("near_duplicates: has no pairs or no test_images")
        return self

    @property
    def test_images(self) -> int:
        return sum(self.images.get("test", {}).values())


def read_data_facts(path: Path) -> tuple[DataFacts, str]:
    """Return the facts and "", or no facts and why the file can't be read."""
    try:
        return DataFacts.model_validate(json.loads(path.read_bytes())), ""
    except FileNotFoundError:
        return DataFacts(), f"there is no {path.name} in this folder"
    except (OSError, ValueError) as error:
        return DataFacts(), f"{path.name} can't be read: {error}"
