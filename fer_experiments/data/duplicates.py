"""Near-duplicates: re-encoded, resized or retouched copies of one photograph that lie in different parts of a split.

They are recognised by a perceptual hash (pHash: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash
Functions), which is made of the signs of the image's lowest frequencies, and by the correlation of these frequencies.
Mirrored, turned or much cropped copies are missed, so the counts are lower bounds. Pixel-identical images never lie in
two parts (split.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torchvision.transforms.v2.functional import resize
from torchvision.utils import make_grid, save_image

from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.groups import has_groups
from fer_experiments.data.sources.base import PARTS
from fer_experiments.data.split import Split

SIDE, FREQUENCIES = 32, 8  # pHash: the lowest 8 x 8 frequencies of 32 x 32 pixels
BITS = FREQUENCIES**2 - 1  # without the mean
# Of 40 pairs of FER2013 at each distance, judged by eye, 39 show one photograph at 4, about 32 at 6, about 15 at 8. By
# the hash alone, drawn faces of one pose are near-duplicates (235 pairs among 1,680 images); with the correlation 1
# pair is left, and all of the 80 pairs of FER2013 that were looked at show one photograph.
THRESHOLD, MIN_CORRELATION = 6, 0.97
MIN_CONTRAST = 2.0  # standard deviation in grey levels; below it, the signs are those of rounding and noise
HASH_BATCH, COMPARISON_BLOCK = 1024, 2048  # images; a block of comparisons takes 16 MB
MAX_CLUSTERED = 0.2  # of the images that are compared; of 5,000 test images of FER2013 it is 0.07
MAX_PAIRS = 100_000  # in the table
PICTURED_PAIRS, PICTURE_COLUMNS = 12, 3
COLUMNS = ["path_a", "part_a", "label_a", "path_b", "part_b", "label_b", "distance"]


@dataclass(frozen=True)
class NearDuplicates:
    """The near-duplicates of a split.

    Attributes:
        table: the nearest MAX_PAIRS pairs, nearest first: COLUMNS, and row_a and row_b, the images' rows in the cache.
            Image b lies in the more protected part.
        pairs: how many pairs there are in all.
        images: how many images are in a pair; test_images: how many test images are.
        cross_label_pairs: how many pairs have two labels.
        threshold: the largest distance of a pair.
    """

    table: pd.DataFrame
    pairs: int
    images: int
    test_images: int
    cross_label_pairs: int
    threshold: int

    def summary(self) -> dict[str, int]:
        """Return the counts and the threshold, for data.json."""
        names = ("pairs", "images", "test_images", "threshold", "cross_label_pairs")
        return {name: getattr(self, name) for name in names}

    def save(self, folder: Path, images: np.ndarray) -> None:
        """Write near_duplicates.csv and, if there are pairs, near_duplicates.png. images (N, S, S, C): the cache's."""
        table = self.table[COLUMNS]
        with atomic_write(folder / "near_duplicates.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n", errors="surrogateescape")
        if len(table):
            pictured = self.table.head(PICTURED_PAIRS)
            sides = images[pictured["row_a"]], images[pictured["row_b"]]
            tiles = torch.from_numpy(np.concatenate(sides, axis=2)).permute(0, 3, 1, 2) / 255  # (N, C, S, 2 S), a | b
            grid = make_grid(tiles, nrow=PICTURE_COLUMNS, padding=6, pad_value=1.0)
            with atomic_write(folder / "near_duplicates.png") as temporary:
                save_image(grid, temporary)


def find_near_duplicates(images: np.ndarray, split: Split) -> NearDuplicates:
    """Find the pairs of nearly alike images that lie in different parts of the split.

    Their hashes differ in at most THRESHOLD bits, and their lowest frequencies correlate by at least MIN_CORRELATION.
    images (N, S, S, C) uint8: the cache's.
    """
    table = split.table
    rows, labels = table.index.to_numpy(), pd.factorize(table["label"])[0]
    places = {part: np.flatnonzero(table["split"] == part) for part in PARTS}
    frequencies = lowest_frequencies(images, rows)
    hashes = perceptual_hashes(frequencies)
    nearest = np.empty((0, 3), dtype=np.int64)
    pair_count, cross_label_count, is_in_pair = 0, 0, np.zeros(len(rows), dtype=bool)
    for first, second in combinations(PARTS, 2):
        for pairs in _close_pairs(frequencies, hashes, places[first], places[second]):
            pair_count += len(pairs)
            cross_label_count += int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum())
            is_in_pair[pairs[:, :2]] = True
            nearest = np.concatenate([nearest, pairs])
            nearest = nearest[np.argsort(nearest[:, 2], kind="stable")][:MAX_PAIRS]
    return NearDuplicates(
        table=_build_table(table, nearest),
        pairs=pair_count,
        images=int(is_in_pair.sum()),
        test_images=int(is_in_pair[places["test"]].sum()),
        cross_label_pairs=cross_label_count,
        threshold=THRESHOLD,
    )


def find_test_clusters(images: np.ndarray, split: Split) -> pd.DataFrame:
    """Find the test images that tell no more than one image: copies, near-duplicates, and those of one group.

    If more than MAX_CLUSTERED of the test images are alike, as in radiographs of one view, likeness is no sign of a
    copy, and none is taken for one.

    images (N, S, S, C) uint8: the cache's. Returns a row for each image that is in a cluster with another one: its
    content_hash, and the number of its cluster.
    """
    rows = split.rows("test")
    test = split.table[split.table["split"] == "test"]
    frequencies = lowest_frequencies(images, rows)
    places = np.arange(len(rows))
    none = np.empty((0, 3), dtype=np.int64)
    blocks, is_alike = [none], np.zeros(len(rows), dtype=bool)
    for block in _close_pairs(frequencies, perceptual_hashes(frequencies), places, places):
        blocks.append(block[block[:, 0] < block[:, 1]])
        is_alike[blocks[-1][:, :2]] = True
        if is_alike.sum() > MAX_CLUSTERED * len(rows):
            blocks = [none]
            break
    pairs = np.concatenate(blocks)
    members = test.groupby("group").indices if has_groups(test) else {}
    assert "" not in members
    first = np.concatenate([pairs[:, 0], *(places[:-1] for places in members.values())])
    second = np.concatenate([pairs[:, 1], *(places[1:] for places in members.values())])
    graph = coo_array((np.ones(len(first)), (first, second)), shape=(len(rows), len(rows)))
    clusters = connected_components(graph, directed=False)[1]
    is_clustered = np.isin(np.arange(len(rows)), np.concatenate([first, second]))
    table = pd.DataFrame({"content_hash": test["content_hash"].to_numpy(), "cluster": clusters})
    return table[is_clustered].drop_duplicates()


def is_near_duplicate(images: np.ndarray, rows: np.ndarray, training_rows: np.ndarray) -> np.ndarray:
    """Return which of images[rows] are near-duplicates of one of images[training_rows]: (N,) bool.

    No image is, if more than MAX_CLUSTERED would be, as in `find_test_clusters`. images (N, S, S, C) uint8: the
    cache's.
    """
    frequencies = lowest_frequencies(images, np.concatenate([rows, training_rows]))
    places = np.arange(len(frequencies))
    is_near = np.zeros(len(rows), dtype=bool)
    for pairs in _close_pairs(frequencies, perceptual_hashes(frequencies), *np.split(places, [len(rows)])):
        is_near[pairs[:, 0]] = True
    return is_near & (is_near.sum() <= MAX_CLUSTERED * len(rows))


def lowest_frequencies(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """images[rows] (N, S, S, C) uint8 -> unit vectors (N, BITS) float32; zeros for an image of almost no contrast."""
    frequencies = np.empty((len(rows), BITS), dtype=np.float32)
    for start in range(0, len(rows), HASH_BATCH):
        pixels = torch.from_numpy(images[rows[start : start + HASH_BATCH]]).permute(0, 3, 1, 2).float()
        gray = resize(pixels, [SIDE, SIDE], antialias=True).mean(dim=1).numpy()
        low = dctn(gray, axes=(1, 2), norm="ortho")[:, :FREQUENCIES, :FREQUENCIES].reshape(len(gray), -1)[:, 1:]
        length = np.linalg.norm(low, axis=1, keepdims=True)
        unit = np.where(length / SIDE < MIN_CONTRAST, 0, low / np.maximum(length, 1e-6))
        frequencies[start : start + len(low)] = unit
    return frequencies


def perceptual_hashes(frequencies: np.ndarray) -> np.ndarray:
    """frequencies (N, BITS) -> hashes (N, BITS) float32: 1 if a frequency lies above the image's median, else -1.

    The product of two hashes is BITS - 2 * their Hamming distance, and that distance is even.
    """
    median = np.median(frequencies, axis=1, keepdims=True)
    return np.where(frequencies > median, np.float32(1), np.float32(-1))


def _close_pairs(
    frequencies: np.ndarray, hashes: np.ndarray, first: np.ndarray, second: np.ndarray
) -> Iterator[np.ndarray]:
    """Yield, block by block, the pairs of an image of one part and one of another that are near enough.

    Args:
        frequencies: (N, BITS), of `lowest_frequencies`.
        hashes: (N, BITS), of `perceptual_hashes`.
        first, second: the places in `frequencies` of the images of the two parts.

    Yields:
        (M, 3) int64: a place from `first`, a place from `second`, and their distance.
    """
    starts = product(range(0, len(first), COMPARISON_BLOCK), range(0, len(second), COMPARISON_BLOCK))
    for i, j in starts:
        a, b = first[i : i + COMPARISON_BLOCK], second[j : j + COMPARISON_BLOCK]
        products = hashes[a] @ hashes[b].T  # a matrix product is much faster than counting bits
        x, y = np.nonzero(products >= BITS - 2 * THRESHOLD)
        chunks = len(x) * BITS // COMPARISON_BLOCK**2 + 1  # so that a chunk's frequencies need no more than the block
        for chunk in np.array_split(np.arange(len(x)), chunks):
            correlation = np.einsum("nf,nf->n", frequencies[a[x[chunk]]], frequencies[b[y[chunk]]])  # 0: no contrast
            near = chunk[correlation >= MIN_CORRELATION]
            distance = (BITS - products[x[near], y[near]]) / 2
            yield np.stack([a[x[near]], b[y[near]], distance.astype(np.int64)], axis=1)


def _build_table(table: pd.DataFrame, pairs: np.ndarray) -> pd.DataFrame:
    """pairs (N, 3) of two places in the split's `table` and a distance -> the table of NearDuplicates."""
    sides: dict[str, np.ndarray] = {}
    for side, places in (("a", pairs[:, 0]), ("b", pairs[:, 1])):
        chosen = table.iloc[places]
        sides |= {f"path_{side}": chosen["path"].to_numpy(), f"part_{side}": chosen["split"].to_numpy()}
        sides |= {f"label_{side}": chosen["label"].to_numpy(), f"row_{side}": chosen.index.to_numpy()}
    return pd.DataFrame({**sides, "distance": pairs[:, 2]})
