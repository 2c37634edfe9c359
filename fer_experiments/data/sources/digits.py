"""data=digits: the handwritten digits that scikit-learn carries."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from fer_experiments.data.sources.base import Part
from fer_experiments.data.sources.rows import RowSource

if TYPE_CHECKING:
    import pandas as pd

WHITE = 16  # black pixels of a block of 4 x 4 in the scan, which digits show as white on black


class Digits(RowSource):
    """1,797 digits of 8 x 8 pixels by 43 people (Alpaydin and Kaynak 1998); all are of train.

    The classes are "0" to "9". Values of 0 to 16 become 0 to 255.
    """

    def list_labels(self) -> dict[Part, list[str]]:
        _, labels = _load()
        return {"train": [str(label) for label in labels]}

    def open_row(self, part: Part, row: int) -> Image.Image:
        images, _ = _load()
        return Image.fromarray(images[row])

    def state(self, items: "pd.DataFrame") -> list[str]:
        return ["scikit-learn"] * len(items)  # the images are part of the library and do not change


@lru_cache(maxsize=1)  # beside the source, which is sent to other processes
def _load() -> tuple[np.ndarray, np.ndarray]:
    """Return images (N, 8, 8) uint8 and labels (N,)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return np.rint(digits.images * 255 / WHITE).astype(np.uint8), digits.target
