"""Features of torch-fidelity's InceptionV3, the usual ones of KID and FID, from a weights file that the user has."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fer_experiments.errors import ConfigError

BATCH = 32


class Inception:
    """weights: torch-fidelity's file (weights-inception-2015-12-05-6726825d.pth); image_size: what it is to be given.

    Raises ConfigError where the package is missing or the file is not of this network; the file runs no code.
    """

    def __init__(self, weights: Path, image_size: int) -> None:
        self.image_size = image_size
        self.network = _load(weights)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or 3, S, S) uint8 -> (N, 2048) float32, after the last pooling; resized to 299 pixels within."""
        found = [self.network(batch.expand(-1, 3, -1, -1))[0].float() for batch in images.split(BATCH)]
        return torch.cat(found)


@lru_cache(maxsize=1)
def _load(weights: Path) -> Any:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ConfigError(
            f"gan.inception={weights}: needs the package torch-fidelity; pip install 'fer-experiments[inception]'"
        ) from None
    try:
        torch.load(weights, map_location="cpu", weights_only=True)  # torch-fidelity itself would unpickle anything
        return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights)).eval()
    except Exception as error:  # torch.load raises anything on foreign bytes
        said = f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
        raise ConfigError(
            f"gan.inception={weights}: is no weights file of torch-fidelity's InceptionV3 ({said}); give the one of "
            "its release v0.2.0, or null for the judge's features"
        ) from None
