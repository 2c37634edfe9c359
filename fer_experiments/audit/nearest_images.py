"""nearest.csv and nearest.png: generated images beside the training images that are nearest to them."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torchvision.utils import make_grid, save_image

from fer_experiments.atomic_write import atomic_write
from fer_experiments.audit.class_images import GENERATED, TRAIN, ClassImages
from fer_experiments.evaluation.generated.nearest import PixelFeatures, References, find_nearest

PICTURED_PAIRS = 8
NEAREST_PICTURE = "nearest.png"


def write_nearest_images(
    images: ClassImages, generated: PixelFeatures, train: References, files: np.ndarray, size: int, folder: Path
) -> None:
    """Write nearest.csv and nearest.png, the nearest pair first.

    Args:
        images: the images of the class.
        generated: the pixel features of its generated images.
        train: the pixel features of its training images.
        files: the paths (N,) of the generated images.
        size: the side at which images are shown, in pixels.
        folder: where the files are written; it is created if it does not exist.
    """
    distances, places = find_nearest(generated.plain, train)
    paths = images.table(TRAIN)["path"].to_numpy()[places.numpy()]
    table = pd.DataFrame({"generated": files, "nearest": paths, "distance": distances.numpy()})
    order = np.argsort(distances.numpy(), kind="stable")
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(folder / "nearest.csv") as temporary:
        table.iloc[order].to_csv(temporary, index=False, errors="surrogateescape")
    pictured = order[:PICTURED_PAIRS]
    above = images.dataset(GENERATED, size)[pictured.tolist()][0]
    below = images.dataset(TRAIN, size)[places[pictured].tolist()][0]
    with atomic_write(folder / NEAREST_PICTURE) as temporary:
        save_image(make_grid(torch.cat([above, below]).float() / 255, nrow=len(pictured), padding=2), temporary)
