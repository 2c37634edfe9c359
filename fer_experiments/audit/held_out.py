"""The held-out images of a class: the real images by which its generated ones are measured."""

from dataclasses import dataclass

import pandas as pd

from fer_experiments.audit.record import HeldOutSource
from fer_experiments.data.duplicates import is_near_duplicate
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.split import COLUMNS
from fer_experiments.data.unused import list_unused_images

# Half the 95% interval of KID of a GAN's 855 angry faces of FER2013 is 0.016 by 9 validation images, 0.0016 by 500
# unused ones, 0.0011 by 1,000 and 0.0008 by 2,000, which cost every audit 0.7 and 2.4 more seconds than 500.
MAX_UNUSED = 500  # of a class, or as many as it has validation images


@dataclass(frozen=True)
class HeldOutImages:
    """Images of one class, and whether the split leaves them unused or they are of validation.

    table: the columns of a split's table, sorted by content hash and indexed by the rows in the cache.
    """

    table: pd.DataFrame
    source: HeldOutSource


def choose_held_out_images(data: PreparedData, label: str) -> HeldOutImages:
    """Return unused images of a class if there are at least as many as validation images, else the latter.

    The two are not put together, because a GAN's epoch and the thresholds of balance.reject are chosen by validation,
    and what is chosen by some images looks better on them than on others.

    Unused images are those of data/unused.py: none is of the test part, and no generator and no reference classifier is
    trained on one. Classifiers of balance=real_images are, but they measure no generated image. Those with the first
    content hashes are taken, which is as good as at random and nearly the same for all seeds. Near-duplicates of the
    class's training images are left out: they lie as near to a training image as a memorised one does, so that
    memorisation would pass as usual. So are images of the groups of training images.
    """
    validation = data.split.table[(data.split.table["split"] == "valid") & (data.split.table["label"] == label)]
    unused = list_unused_images(data)
    unused = unused[unused["label"] == label].sort_values("content_hash")
    trained = data.split.table.loc[data.split.table["split"] == "train", "group"]
    unused = unused[(unused["group"] == "") | ~unused["group"].isin(trained)]
    if len(unused) < max(len(validation), 1):
        return HeldOutImages(validation, "validation")
    unused = unused.head(max(MAX_UNUSED, len(validation))).assign(split="unused")
    train = data.split.rows("train")[data.split.labels("train") == label]
    is_copy = is_near_duplicate(data.cache.images, unused.index.to_numpy(), train)
    return HeldOutImages(unused.loc[~is_copy, COLUMNS], "unused")
