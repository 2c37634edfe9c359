"""The features of torch-fidelity's InceptionV3, which KID and FID usually compare; the user gives the weights."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from fer_experiments.errors import ConfigError

BATCH_SIZE = 32


class Inception:
    """InceptionV3 as a feature extractor."""

    def __init__(self, weights: Path, image_size: int) -> None:
        """Load the network; no code in the file is run.

        Args:
            weights: torch-fidelity's file (weights-inception-2015-12-05-6726825d.pth).
            image_size: the side of the images, in pixels.

        Raises:
            ConfigError: the package torch-fidelity is missing, or the file does not hold this network.
        """
        self.image_size = image_size
        self.network = _load_network(weights)

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or 3, S, S) uint8 -> (N, 2048) float32 after the last pooling. Resizes to 299 pixels inside."""
        features = [self.network(batch.expand(-1, 3, -1, -1))[0].float() for batch in images.split(BATCH_SIZE)]
        return torch.cat(features)


@lru_cache(maxsize=1)
def _load_network(weights: Path) -> Any:
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ConfigError(
            f"gan.inception={weights}: needs the package torch-fidelity; pip install 'fer-experiments[inception]'"
        ) from None
    try:
        torch.load(weights, map_location="cpu", weights_only=True)  # torch-fidelity itself would unpickle anything
        return FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights)).eval()
    except Exception as error:  # torch.load raises anything for files that it did not write
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
        raise ConfigError(
            f"gan.inception={weights}: is not the weights file of torch-fidelity's InceptionV3 ({reason}); give that "
            "of its release v0.2.0, or null to use the reference classifier's features"
        ) from None
