"""Test images put on purpose where they must not be, to measure how much they seem to improve the results.

The splits made here have the hash "leak-HASH", so that nothing made from them is taken for clean.
"""

from dataclasses import replace

import pandas as pd

from fer_experiments.data.prepared import PreparedData


def leak_to_gan(data: PreparedData) -> PreparedData:
    """Return the data for a leaking GAN: the test images are also training images."""
    return _leak(data, data.split.table, "train")


def leak_to_selection(data: PreparedData) -> PreparedData:
    """Return the data for a leaking classifier: the test images are the validation images, in the same order.

    So its epoch is chosen on test images.
    """
    return _leak(data, data.split.table[data.split.table["split"] != "valid"], "valid")


def _leak(data: PreparedData, table: pd.DataFrame, part: str) -> PreparedData:
    # A test image now has two rows with the same index: read parts by Split.rows and Split.labels, not table.loc.
    table = pd.concat([table, table[table["split"] == "test"].assign(split=part)])
    return replace(data, split=replace(data.split, table=table, leak_of=data.split.hash))
