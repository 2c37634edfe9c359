"""Features of real and generated images for TensorBoard's projector, which lays them out in space."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from tensorboard.plugins import projector
from torch import Tensor
from torch.nn.functional import interpolate
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid, save_image

from fer_experiments.atomic_write import atomic_write
from fer_experiments.trainer.loggers.event_files import EVENT_FILES

FOLDER = "projector"
MAX_POINTS = 200  # of each part
DIMENSIONS = 50  # principal components, of which the page shows three
THUMBNAIL = 32  # pixels


def write_projector(folder: Path, features: dict[str, Tensor], images: dict[str, Tensor]) -> None:
    """Write the files from which TensorBoard shows the first MAX_POINTS images of each part as points in space.

    A point shows its image and can be coloured by its part ("Color by": label).

    Args:
        folder: TensorBoard's folder of a run.
        features: {part: features (N, D)}.
        images: {part: images (N, C, S, S) uint8}, in the same order as the features.
    """
    parts = [part for part, values in features.items() for _ in values[:MAX_POINTS]]
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    with atomic_write(place / "features.tsv") as temporary:
        np.savetxt(temporary, _principal_components(features), fmt="%.4g", delimiter="\t")
    with atomic_write(place / "parts.tsv") as temporary:
        pd.Series(parts).to_csv(temporary, index=False, header=False)
    with atomic_write(place / "sprite.png") as temporary:
        save_image(_square_of_thumbnails(images), temporary)
    _write_configuration(folder)
    if not any(folder.glob(EVENT_FILES)):  # without one, as for a conditional GAN's classes, TensorBoard skips it
        SummaryWriter(str(folder)).close()


def _principal_components(features: dict[str, Tensor]) -> np.ndarray:
    """Return at most DIMENSIONS principal components of all points together (P, D)."""
    points = torch.cat([values[:MAX_POINTS] for values in features.values()]).numpy()
    return PCA(min(DIMENSIONS, *points.shape), random_state=0).fit_transform(points)


def _square_of_thumbnails(images: dict[str, Tensor]) -> Tensor:
    """Return one picture (C, S, S) of all images, row by row; the page needs a square."""
    thumbnails = torch.cat([_shrink(values[:MAX_POINTS]) for values in images.values()])
    side = int(np.ceil(len(thumbnails) ** 0.5))
    blank = torch.zeros(side * side - len(thumbnails), *thumbnails.shape[1:])
    return make_grid(torch.cat([thumbnails, blank]), nrow=side, padding=0)


def _write_configuration(folder: Path) -> None:
    """Write projector_config.pbtxt, which names the other files."""
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="features", tensor_path=f"{FOLDER}/features.tsv", metadata_path=f"{FOLDER}/parts.tsv"
    )
    embedding.sprite.image_path = f"{FOLDER}/sprite.png"
    embedding.sprite.single_image_dim.extend([THUMBNAIL, THUMBNAIL])
    projector.visualize_embeddings(str(folder), config)


def _shrink(images: Tensor) -> Tensor:
    return interpolate(images.float() / 255, (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True)
