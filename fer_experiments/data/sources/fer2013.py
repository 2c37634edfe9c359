"""data=fer2013: the faces of Kaggle's challenge of 2013."""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from PIL import Image

from fer_experiments.data.sources.base import Part, file_state
from fer_experiments.data.sources.folder import PART_NAMES, Folder
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd


class FER2013(Folder):
    """FER2013 (Goodfellow et al. 2013): the Kaggle CSV, a folder with the CSV in it, or folders of images.

    The official parts of the CSV are kept: Training is train, PublicTest is valid, PrivateTest is test.
    """

    part_names: ClassVar[dict[str, Part]] = PART_NAMES | {"publictest": "valid", "privatetest": "test"}
    usages: ClassVar[dict[str, str]] = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
    emotions: ClassVar[tuple[str, ...]] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    csv_names: ClassVar[tuple[str, ...]] = ("fer2013.csv", "icml_face_data.csv")

    def items(self) -> "pd.DataFrame":
        import pandas as pd

        if self._csv is None:
            return super().items()
        table = self._table
        emotion = pd.to_numeric(table["emotion"], errors="coerce")
        usage = table["Usage"].astype(str).str.strip()
        is_bad = ~emotion.isin(range(7)) | ~usage.isin(self.usages)
        if is_bad.any():
            row = int(np.flatnonzero(is_bad)[0])
            raise ConfigError(
                f"data.root={self._csv}: row {row + 2} has emotion {table['emotion'][row]!r} and Usage "
                f"{table['Usage'][row]!r}; allowed are 0 to 6 and {', '.join(self.usages)}"
            )
        return pd.DataFrame(
            {
                "path": [f"row/{number:05d}" for number in range(len(table))],
                "label": [self.emotions[int(number)] for number in emotion],
                "part": usage.map(self.usages),
            }
        )

    def open(self, path: str) -> Image.Image:
        if self._csv is None:
            return super().open(path)
        text = str(self._table["pixels"][int(path.removeprefix("row/"))])
        try:
            pixels = np.array(text.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            raise ValueError("pixels are not whole numbers") from None
        if pixels.size != 48 * 48:
            raise ValueError(f"{pixels.size} pixels instead of 48 x 48 = 2304")
        if pixels.min() < 0 or pixels.max() > 255:
            raise ValueError("pixels outside 0 to 255")
        return Image.fromarray(pixels.astype(np.uint8).reshape(48, 48))

    def state(self, items: "pd.DataFrame") -> list[str]:
        if self._csv is None:
            return super().state(items)
        return [f"{self._csv.resolve()} {file_state(self._csv)}"] * len(items)

    @cached_property
    def _csv(self) -> Path | None:
        """The CSV file; None if the source is folders of images."""
        if self.root.is_file():
            return self.root
        return next((self.root / name for name in self.csv_names if (self.root / name).is_file()), None)

    @cached_property
    def _table(self) -> "pd.DataFrame":
        """The content of the CSV, as text."""
        import pandas as pd

        assert self._csv is not None
        try:
            # Without index_col=False, a comma at the end of every row would make emotion the index.
            table = pd.read_csv(self._csv, dtype=str, keep_default_na=False, index_col=False)
            table = table.rename(columns=str.strip)
        except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
            raise ConfigError(f"data.root={self._csv}: can't be read as CSV: {error}") from None
        missing = {"emotion", "pixels", "Usage"} - set(table.columns)
        if missing:
            raise ConfigError(
                f"data.root={self._csv}: lacks the column {', '.join(sorted(missing))}; it has "
                f"{', '.join(map(str, table.columns[:6]))}; the Kaggle file has emotion, pixels, Usage"
            )
        if table.empty:
            raise ConfigError(f"data.root={self._csv}: has no rows")
        return table
