"""All measures of one class's generated images: against its training images, and against its held-out ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torchvision.utils import make_grid, save_image

from fer_experiments.classifier.judge import Judge
from fer_experiments.classifier.probe import MOST, NotMeasured, shortcut_probe
from fer_experiments.data.batches import InOrder
from fer_experiments.data.module import EVALUATION_BATCH, ImageData, Images
from fer_experiments.data.synthetic import GeneratedImages
from fer_experiments.evaluation.diversity import diversity
from fer_experiments.evaluation.fid import frechet_distance
from fer_experiments.evaluation.findings import find
from fer_experiments.evaluation.kid import kernel_inception_distance
from fer_experiments.evaluation.nearest import (
    CHUNK,
    Features,
    References,
    held_out_copies,
    memorisation,
    nearest,
    pixel_features,
)
from fer_experiments.evaluation.prdc import precision_recall_density_coverage
from fer_experiments.progress import busy
from fer_experiments.report.projector import MOST as MOST_SHOWN
from fer_experiments.report.projector import write_projector
from fer_experiments.train.judge import eye_of
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from fer_experiments.train.config import Config

COLUMNS_SHOWN = 8
MOST_SEEN = 5000  # images of a class and part, where their features are kept
TRAIN, HELD_OUT, UNSEEN, GENERATED = "train", "valid", "unseen", "generated"  # unseen: of validation and test


@dataclass(frozen=True)
class ClassImages:
    """Real images of one class by part, and generated ones (M, s, s, C) uint8, as networks of any size see them."""

    data: ImageData
    label: str
    generated: np.ndarray

    def table(self, part: str) -> pd.DataFrame:
        """Real images of a part, indexed by the row in the cache. In UNSEEN is none that leaks into training."""
        table = self.data.split.table
        table = table[table["label"] == self.label]
        if part != UNSEEN:
            return table[table["split"] == part]
        train = table.index[table["split"] == TRAIN]
        return table[(table["split"] != TRAIN) & ~table.index.isin(train)]

    def at(self, part: str, size: int) -> Images:
        """A part's images at `size`, the real ones by way of data.bottleneck."""
        made = self.generated if part == GENERATED else None
        rows = np.empty(0, dtype=np.int64) if part == GENERATED else self.table(part).index.to_numpy()
        labels = np.zeros(len(rows) + (0 if made is None else len(made)), dtype=np.int64)
        return Images(self.data.cache.images, rows, labels, size, self.data.source.bottleneck, made)

    def see(self, part: str, size: int, look: Callable[[Tensor], Tensor]) -> Tensor:
        """What `look` makes of a part's images, of real ones at most MOST_SEEN, batch by batch, (N, ...)."""
        images = self.at(part, size)
        # Rows are sorted by content hash, so the first are as good as drawn.
        count = len(images) if part == GENERATED else min(len(images), MOST_SEEN)
        return torch.cat([look(images[places][0]) for places in InOrder(count, EVALUATION_BATCH)])

    def pixels(self, part: str, size: int) -> Features:
        """Of a part's images and their mirror images, as pixel_features sees them; as many as `see` has."""
        return Features.of_pixels(self.see(part, size, pixel_features))

    def training_pixels(self, size: int) -> References:
        """Of all training images: kept where these are MOST_SEEN or fewer, else made anew whenever looked at."""
        images = self.at(TRAIN, size)
        return self.pixels(TRAIN, size) if len(images) <= MOST_SEEN else PixelsOnDisk(images)


@dataclass(frozen=True)
class PixelsOnDisk:
    """References (evaluation/nearest.py): the pixel features of images, made anew whenever they are looked at."""

    images: Images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, places: Tensor) -> Features:
        return Features.of_pixels(pixel_features(self.images[places.tolist()][0]))

    def blocks(self) -> Iterator[Features]:
        return (self[torch.tensor(places)] for places in InOrder(len(self), CHUNK))


def facts_of_class(
    config: Config, data: ImageData, judge: Judge, label: str, generated: GeneratedImages, folder: Path
) -> dict[str, Any]:
    """What there is to say of the generated images of one class, for audit.json; nearest.csv and .png go to `folder`.

    Of more than MOST_SEEN images so many are looked at, evenly chosen.

    Each measure is a dict of its numbers, or of why there are none: {"not_measured": reason}. Beside them stand the
    numbers that are asked for most, and the checks.
    """
    if len(generated.files) > MOST_SEEN:
        generated = generated.take(np.linspace(0, len(generated.files) - 1, MOST_SEEN).round().astype(np.int64))
    with busy(f"checking the generated images of {label}"):
        return _facts(config, data, judge, label, generated, folder)


def _facts(
    config: Config, data: ImageData, judge: Judge, label: str, generated: GeneratedImages, folder: Path
) -> dict[str, Any]:
    images = ClassImages(data, label, generated.images)
    size = config.classifier.image_size
    pixels = {part: images.pixels(part, size) for part in (HELD_OUT, UNSEEN, GENERATED)}
    train = images.training_pixels(size)
    eye = eye_of(config, judge)
    seen = {part: images.see(part, eye.image_size, eye.features) for part in (TRAIN, HELD_OUT, GENERATED)}
    write_nearest(images, pixels[GENERATED].plain, train, generated.files, size, folder)
    shown = {part: images.at(part, size)[list(range(min(MOST_SHOWN, len(seen[part]))))][0] for part in seen}
    write_projector(folder, seen, shown)
    facts = {
        "looked_at": len(generated.files),
        "real": len(train),
        "held_out": len(images.table(HELD_OUT)),
        "image_size": size,
        "bottleneck": config.data.bottleneck,
        "judge": judge.measured,
        "features": type(eye).__name__.lower(),
        "probe": _probe(images, size, config.seed),
        "memorisation": measured(lambda: asdict(memorisation(pixels[GENERATED], train, pixels[HELD_OUT]))),
        "held_out_copies": measured(lambda: asdict(held_out_copies(pixels[GENERATED], train, pixels[UNSEEN]))),
        "diversity": measured(
            lambda: {
                "pixels": diversity(pixels[GENERATED].plain, pixels[HELD_OUT].plain).ratio,
                "features": diversity(seen[GENERATED], seen[HELD_OUT]).ratio,
            }
        ),
        "distance": measured(lambda: asdict(kernel_inception_distance(seen[HELD_OUT], seen[GENERATED]))),
        # The judge knows the training images, so that this is more than of two fresh sets of real ones.
        "distance_of_training_images": measured(lambda: asdict(kernel_inception_distance(seen[HELD_OUT], seen[TRAIN]))),
        "frechet_distance": measured(lambda: asdict(frechet_distance(seen[HELD_OUT], seen[GENERATED]))),
        "likeness": measured(lambda: asdict(precision_recall_density_coverage(seen[HELD_OUT], seen[GENERATED]))),
        "labels": label_agreement(images, judge),
    }
    checks = {name: found._asdict() for name, found in find(facts).items()}
    return facts | headline(facts) | {"checks": checks}


HEADLINE = {
    "memorised_fraction": ("memorisation", "share"),
    "ct": ("memorisation", "ct"),
    "authenticity": ("memorisation", "authenticity"),
    "precision": ("likeness", "precision"),
    "recall": ("likeness", "recall"),
    "density": ("likeness", "density"),
    "coverage": ("likeness", "coverage"),
    "kid": ("distance", "value"),
    "label_agreement": ("labels", "agreement"),
}


def headline(facts: dict[str, Any]) -> dict[str, float | None]:
    """The one number of each measure; None where it was not measured."""
    return {name: facts[measure].get(key) for name, (measure, key) in HEADLINE.items()}


def measured(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What it returns, or why it could not."""
    try:
        return measure()
    except ValueError as error:
        return {"not_measured": str(error)}


def label_agreement(images: ClassImages, judge: Judge) -> dict[str, Any]:
    """The share of generated images that the judge calls by their class, and that of held-out ones."""
    place = judge.classes.index(images.label)
    right = {part: images.see(part, judge.image_size, judge.probabilities).argmax(1) == place
             for part in (GENERATED, HELD_OUT)}  # fmt: skip
    return {
        "agreement": float(right[GENERATED].double().mean()),
        "held_out": float(right[HELD_OUT].double().mean()),
        "images": len(right[GENERATED]),
        "held_out_images": len(right[HELD_OUT]),
        "chance": 1 / len(judge.classes),
        "judge": judge.measured["balanced_accuracy"],
    }


def write_nearest(
    images: ClassImages, queries: Tensor, train: References, files: np.ndarray, size: int, folder: Path
) -> None:
    """nearest.csv and nearest.png: the training image nearest to each generated one, the nearest pair first.

    queries (N, 1024): the pixel features of the generated images.
    """
    distances, places = nearest(queries, train)
    paths = images.table(TRAIN)["path"].to_numpy()[places.numpy()]
    table = pd.DataFrame({"generated": files, "nearest": paths, "distance": distances.numpy()})
    order = np.argsort(distances.numpy(), kind="stable")
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / "nearest.csv") as temporary:
        table.iloc[order].to_csv(temporary, index=False, errors="surrogateescape")
    shown = order[:COLUMNS_SHOWN]
    above, below = images.at(GENERATED, size)[shown.tolist()][0], images.at(TRAIN, size)[places[shown].tolist()][0]
    with whole(folder / "nearest.png") as temporary:
        save_image(make_grid(torch.cat([above, below]).float() / 255, nrow=len(shown), padding=2), temporary)


def _probe(images: ClassImages, size: int, seed: int) -> dict[str, Any]:
    # Rows are sorted by content hash, so the first MOST are as good as drawn.
    real, made = (
        one[list(range(min(len(one), MOST)))][0] for one in (images.at(part, size) for part in (TRAIN, GENERATED))
    )
    found = shortcut_probe(real, made, seed)
    return {"not_measured": found.reason} if isinstance(found, NotMeasured) else asdict(found)
