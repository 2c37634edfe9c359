"""encoder=inception: torch-fidelity's InceptionV3, which KID and FID usually compare; the user gives the weights."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_experiments.encoder.base import Encoder, FeatureExtractor
from fer_experiments.encoder.weights_file import WeightsFile, describe_file
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

BATCH_SIZE = 32


class Inception(Encoder):
    """InceptionV3. weights: torch-fidelity's file (weights-inception-2015-12-05-6726825d.pth)."""

    weights: WeightsFile

    def describe(self) -> str:
        return f"InceptionV3 ({describe_file(self.weights)})"

    def build(self, image_size: int, device: str) -> FeatureExtractor:
        return InceptionExtractor(self, image_size, device)


class InceptionExtractor:
    """InceptionV3 as a feature extractor."""

    def __init__(self, config: Inception, image_size: int, device: str) -> None:
        """Load the network; no code in the file is run. Raises ConfigError, as Encoder.build."""
        self.image_size, self.device = image_size, device
        self.network = _load_network(config.weights, device, config.describe())

    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or 3, S, S) uint8 -> (N, 2048) float32 after the last pooling. Resizes to 299 pixels inside."""
        import torch

        with torch.inference_mode():
            batches = (batch.to(self.device).expand(-1, 3, -1, -1) for batch in images.split(BATCH_SIZE))
            return torch.cat([self.network(batch)[0].float().cpu() for batch in batches])


@lru_cache(maxsize=1)
def _load_network(weights: Path, device: str, description: str) -> Any:
    """Return the network. description: of the file, so that another one at the same path is loaded anew."""
    import torch

    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise ConfigError(
            "encoder=inception: needs torch-fidelity; run pip install 'fer-experiments[inception]'"
        ) from None
    try:
        torch.load(weights, map_location="cpu", weights_only=True)  # torch-fidelity itself would unpickle anything
        network = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(weights))
    except Exception as error:  # torch.load raises anything for files that it did not write
        reason = f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
        raise ConfigError(
            f"encoder.weights={weights}: is not the weights file of torch-fidelity's InceptionV3 ({reason}); give that "
            "of its release v0.2.0, or use encoder=reference"
        ) from None
    return network.eval().to(device)
