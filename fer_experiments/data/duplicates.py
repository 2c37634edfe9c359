"""Images that are nearly alike and lie in different parts: re-encoded, resized or retouched copies of one photograph.

Found by perceptual hash (pHash: Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash Functions), which
is the signs of the image's lowest frequencies, and by the correlation of these frequencies. Mirrored, turned or much
cropped copies are not seen: what is found is a lower bound. Pixel-identical images never lie in two parts (split.py).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy.fft import dctn
from torchvision.transforms.v2.functional import resize
from torchvision.utils import make_grid, save_image

from fer_experiments.data.source import PARTS
from fer_experiments.data.split import Split
from fer_experiments.whole import whole

SIDE, LOWEST = 32, 8  # pHash: the lowest 8 x 8 frequencies of 32 x 32 pixels
BITS = LOWEST**2 - 1  # without the mean
# By eye, of 40 pairs of FER2013 at each distance 39 show one photograph at 4, about 32 at 6, about 15 at 8. To the hash
# alone drawn faces of one pose are alike (235 pairs among 1,680 images); with the correlation 1 pair is left,
# and all of 80 pairs of FER2013 looked at show one photograph.
THRESHOLD, LEAST_CORRELATION = 6, 0.97
LEAST_CONTRAST = 2.0  # grey levels (standard deviation); below it the signs are those of rounding and noise
HASHED_AT_ONCE, COMPARED_AT_ONCE = 1024, 2048  # images; a block of comparisons takes 16 MB
MOST_PAIRS = 100_000  # kept; all are counted
PICTURED_PAIRS, PICTURE_COLUMNS = 12, 3
COLUMNS = ["path_a", "part_a", "label_a", "path_b", "part_b", "label_b", "distance"]


@dataclass(frozen=True)
class NearDuplicates:
    """table: COLUMNS and the images' rows in the cache (row_a, row_b), a row each pair, nearest first; b is in the more
    protected part. It holds the nearest MOST_PAIRS; `pairs`, `images`, `test_images` (those in a pair) and
    `cross_label_pairs` count all.
    """

    table: pd.DataFrame
    pairs: int
    images: int
    test_images: int
    cross_label_pairs: int
    threshold: int

    def summary(self) -> dict[str, int]:
        names = ("pairs", "images", "test_images", "threshold", "cross_label_pairs")
        return {name: getattr(self, name) for name in names}

    def save(self, folder: Path, images: np.ndarray) -> None:
        """Write near_duplicates.csv and, where there are pairs, near_duplicates.png from the cache's `images`."""
        table = self.table[COLUMNS]
        with whole(folder / "near_duplicates.csv") as temporary:
            table.to_csv(temporary, index=False, lineterminator="\n", errors="surrogateescape")
        if len(table):
            shown = self.table.head(PICTURED_PAIRS)
            pair = np.concatenate([images[shown["row_a"]], images[shown["row_b"]]], axis=2)  # (N, S, 2 S, C), a | b
            tiles = torch.from_numpy(pair).permute(0, 3, 1, 2) / 255
            grid = make_grid(tiles, nrow=PICTURE_COLUMNS, padding=6, pad_value=1.0)
            with whole(folder / "near_duplicates.png") as temporary:
                save_image(grid, temporary)


def find_near_duplicates(images: np.ndarray, split: Split) -> NearDuplicates:
    """Pairs of the split's images that lie in different parts and whose hashes differ in THRESHOLD bits or fewer and
    whose lowest frequencies correlate by LEAST_CORRELATION or more.

    images (N, S, S, C) uint8 are the cache's.
    """
    table = split.table
    rows, labels = table.index.to_numpy(), pd.factorize(table["label"])[0]
    places = {part: np.flatnonzero(table["split"] == part) for part in PARTS}
    frequencies = lowest_frequencies(images, rows)
    hashes = perceptual_hashes(frequencies)
    kept = np.empty((0, 3), dtype=np.int64)
    found, crossing, concerned = 0, 0, np.zeros(len(rows), dtype=bool)
    for first, second in combinations(PARTS, 2):
        for pairs in _close_pairs(frequencies, hashes, places[first], places[second]):
            found += len(pairs)
            crossing += int((labels[pairs[:, 0]] != labels[pairs[:, 1]]).sum())
            concerned[pairs[:, :2]] = True
            kept = np.concatenate([kept, pairs])
            kept = kept[np.argsort(kept[:, 2], kind="stable")][:MOST_PAIRS]
    in_test = int(concerned[places["test"]].sum())
    return NearDuplicates(_describe(table, kept), found, int(concerned.sum()), in_test, crossing, THRESHOLD)


def lowest_frequencies(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """images[rows] (N, S, S, C) uint8 -> (N, BITS) float32 of length 1; zeros for an image of almost no contrast."""
    found = np.empty((len(rows), BITS), dtype=np.float32)
    for start in range(0, len(rows), HASHED_AT_ONCE):
        pixels = torch.from_numpy(images[rows[start : start + HASHED_AT_ONCE]]).permute(0, 3, 1, 2).float()
        grey = resize(pixels, [SIDE, SIDE], antialias=True).mean(dim=1).numpy()
        low = dctn(grey, axes=(1, 2), norm="ortho")[:, :LOWEST, :LOWEST].reshape(len(grey), -1)[:, 1:]
        length = np.linalg.norm(low, axis=1, keepdims=True)
        found[start : start + len(low)] = np.where(length / SIDE < LEAST_CONTRAST, 0, low / np.maximum(length, 1e-6))
    return found


def perceptual_hashes(frequencies: np.ndarray) -> np.ndarray:
    """(N, BITS) -> (N, BITS) float32: 1 where a frequency lies above the image's median, else -1.

    So the product of two hashes is BITS - 2 * Hamming distance, and the distance is even.
    """
    median = np.median(frequencies, axis=1, keepdims=True)
    return np.where(frequencies > median, np.float32(1), np.float32(-1))


def _close_pairs(
    frequencies: np.ndarray, hashes: np.ndarray, first: np.ndarray, second: np.ndarray
) -> Iterator[np.ndarray]:
    """(N, 3) int64, block by block: a place of `first`, one of `second`, and their distance, THRESHOLD or less."""
    starts = product(range(0, len(first), COMPARED_AT_ONCE), range(0, len(second), COMPARED_AT_ONCE))
    for i, j in starts:
        a, b = first[i : i + COMPARED_AT_ONCE], second[j : j + COMPARED_AT_ONCE]
        likeness = hashes[a] @ hashes[b].T  # a matrix product is much faster than counting bits
        x, y = np.nonzero(likeness >= BITS - 2 * THRESHOLD)
        parts = len(x) * BITS // COMPARED_AT_ONCE**2 + 1  # so that a part's frequencies take no more than the block
        for some in np.array_split(np.arange(len(x)), parts):
            at_x, at_y = x[some], y[some]
            correlation = np.einsum("nf,nf->n", frequencies[a[at_x]], frequencies[b[at_y]])  # 0 without contrast
            near = correlation >= LEAST_CORRELATION
            distance = (BITS - likeness[at_x[near], at_y[near]]) / 2
            yield np.stack([a[at_x[near]], b[at_y[near]], distance.astype(np.int64)], axis=1)


def _describe(table: pd.DataFrame, pairs: np.ndarray) -> pd.DataFrame:
    sides: dict[str, np.ndarray] = {}
    for side, places in (("a", pairs[:, 0]), ("b", pairs[:, 1])):
        chosen = table.iloc[places]
        sides |= {f"path_{side}": chosen["path"].to_numpy(), f"part_{side}": chosen["split"].to_numpy()}
        sides |= {f"label_{side}": chosen["label"].to_numpy(), f"row_{side}": chosen.index.to_numpy()}
    return pd.DataFrame({**sides, "distance": pairs[:, 2]})
