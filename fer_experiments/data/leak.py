"""The leak on purpose: test images in places where they must not be, to measure what such a protocol seems to gain.

Both views have the hash "leak-HASH", so that nothing made from them is taken for clean.
"""

from dataclasses import replace

import pandas as pd

from fer_experiments.data.module import ImageData


def leak_to_gan(data: ImageData) -> ImageData:
    """For the GAN: the test images are training images, too."""
    return _leak(data, data.split.table, "train")


def leak_to_selection(data: ImageData) -> ImageData:
    """For the classifier: the test images are the validation images, in the same order; its epoch is chosen on them."""
    return _leak(data, data.split.table[data.split.table["split"] != "valid"], "valid")


def _leak(data: ImageData, table: pd.DataFrame, part: str) -> ImageData:
    # A test image has two rows of one index then: read parts by Split.rows and Split.labels, not by table.loc.
    table = pd.concat([table, table[table["split"] == "test"].assign(split=part)])
    return replace(data, split=replace(data.split, table=table, leak_of=data.split.hash))
