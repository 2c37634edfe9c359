"""The base of sources whose images a library gives by part and number."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from fer_experiments.data.sources.base import PARTS, DataSource, Part
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


def name_labels(where: str, labels: Sequence[Any]) -> list[str]:
    """Return the names of classes by labels that a library gives: text, bytes or numbers, 1.0 being 1.

    Raises ConfigError, which begins with `where`, if images have no class (None, "", nan or a negative number), or if a
    label is of another type.
    """
    unlike = next((label for label in labels if not isinstance(label, str | bytes | int | float | None)), None)
    if unlike is not None:
        raise ConfigError(f"{where}: has a {type(unlike).__name__} as a label, {unlike!r}; each image needs one class")
    unlabelled = [row for row, label in enumerate(labels) if not has_class(label)]
    if unlabelled:
        raise ConfigError(
            f"{where}: {len(unlabelled)} images have no class, the first of them in row {unlabelled[0]} "
            f"({labels[unlabelled[0]]!r}); label them, or leave them out"
        )
    return [_name_label(label) for label in labels]


def has_class(label: Any) -> bool:
    """Whether a label is one: None, "", nan and negative numbers say that an image has no class."""
    is_number = isinstance(label, int | float)
    return label >= 0 if is_number else label is not None and label != "" and label != b""


def _name_label(label: Any) -> str:
    if isinstance(label, bytes):
        return label.decode()
    return str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)


class RowSource(DataSource):
    """A source whose paths are those of rows: "train/000012"."""

    @abstractmethod
    def list_labels(self) -> dict[Part, list[str]]:
        """Return {part: the name of the class of each row}. Raises ConfigError if the source can't be listed."""

    @abstractmethod
    def open_row(self, part: Part, row: int) -> Image.Image:
        """Open the image of a row. Raises OSError or ValueError if it can't be read."""

    def items(self) -> "pd.DataFrame":
        import pandas as pd

        tables = [
            pd.DataFrame({"path": [f"{part}/{row:06d}" for row in range(len(labels))], "label": labels, "part": part})
            for part, labels in self.list_labels().items()
        ]
        return pd.concat(tables, ignore_index=True)

    def open(self, path: str) -> Image.Image:
        return self.open_row(*parse_row_path(path))


def parse_row_path(path: str) -> tuple[Part, int]:
    """Return the part and the number of the row of a path of `RowSource.items`."""
    name, _, row = path.partition("/")
    return next(part for part in PARTS if part == name), int(row)
