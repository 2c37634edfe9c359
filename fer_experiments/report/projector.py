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

from fer_experiments.report.tensorboard import EVENTS
from fer_experiments.whole import whole

FOLDER = "projector"
MOST = 200  # of each part
DIMENSIONS = 50  # principal components; the page makes its own three of them
THUMBNAIL = 32


def write_projector(folder: Path, features: dict[str, Tensor], images: dict[str, Tensor]) -> None:
    """{part: features (N, D)} and {part: images (N, C, S, S) uint8}, as long -> files that the page finds in `folder`.

    The first MOST of each part; a point shows its image, and can be coloured by its part ("Color by": label).
    """
    points = torch.cat([one[:MOST] for one in features.values()]).numpy()
    parts = [part for part, one in features.items() for _ in one[:MOST]]
    reduced = PCA(min(DIMENSIONS, *points.shape), random_state=0).fit_transform(points)
    place = folder / FOLDER
    place.mkdir(parents=True, exist_ok=True)
    with whole(place / "features.tsv") as temporary:
        np.savetxt(temporary, reduced, fmt="%.4g", delimiter="\t")
    with whole(place / "parts.tsv") as temporary:
        pd.Series(parts).to_csv(temporary, index=False, header=False)
    thumbnails = torch.cat([_thumbnails(one[:MOST]) for one in images.values()])
    side = int(np.ceil(len(parts) ** 0.5))  # the page wants a square
    blank = torch.zeros(side * side - len(thumbnails), *thumbnails.shape[1:])
    with whole(place / "sprite.png") as temporary:
        save_image(make_grid(torch.cat([thumbnails, blank]), nrow=side, padding=0), temporary)
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="judge's features", tensor_path=f"{FOLDER}/features.tsv", metadata_path=f"{FOLDER}/parts.tsv"
    )
    embedding.sprite.image_path = f"{FOLDER}/sprite.png"
    embedding.sprite.single_image_dim.extend([THUMBNAIL, THUMBNAIL])
    projector.visualize_embeddings(str(folder), config)
    if not any(folder.glob(EVENTS)):  # as of a conditional GAN's classes; TensorBoard passes over such a folder
        SummaryWriter(str(folder)).close()


def _thumbnails(images: Tensor) -> Tensor:
    return interpolate(images.float() / 255, (THUMBNAIL, THUMBNAIL), mode="bilinear", antialias=True)
