"""The base of sources whose images a library gives by part and number."""

from abc import abstractmethod
from typing import TYPE_CHECKING

from PIL import Image

from fer_experiments.data.sources.base import PARTS, DataSource, Part

if TYPE_CHECKING:
    import pandas as pd


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
        name, _, row = path.partition("/")
        return self.open_row(next(part for part in PARTS if part == name), int(row))
