"""encoder=timm: any network of timm with weights of the user's, such as DINOv2, which Stein et al. 2023 recommend."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import ConfigDict, Field

from fer_experiments.encoder.base import Encoder, FeatureExtractor
from fer_experiments.encoder.weights_file import WeightsFile, describe_file
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

    from fer_experiments.classifier.timm_model import TimmModel

BATCH_SIZE = 32


class Timm(Encoder):
    """A network of timm without its last layer.

    Attributes:
        model_name: its name in timm.
        weights: its file as timm writes it (.safetensors, or .pth with a state_dict); nothing is downloaded.
        image_size: the side, in pixels, to which it resizes images; None: that of its training.
    """

    model_config = ConfigDict(protected_namespaces=())  # model_name is no method of pydantic's

    model_name: str
    weights: WeightsFile
    image_size: Annotated[int, Field(ge=32)] | None

    def describe(self) -> str:
        side = "" if self.image_size is None else f" at {self.image_size} pixels"
        return f"timm's {self.model_name}{side} ({describe_file(self.weights)})"

    def build(self, image_size: int, device: str) -> FeatureExtractor:
        return TimmExtractor(self, image_size, device)


class TimmExtractor:
    """A network of timm as a feature extractor."""

    def __init__(self, config: Timm, image_size: int, device: str) -> None:
        """Load the network; no code in the file is run. Raises ConfigError, as Encoder.build."""
        self.image_size, self.device = image_size, device
        self.network = _load_network(config, config.describe()).to(device)

    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or 3, S, S) uint8 -> (N, D) float32, what the last layer would get."""
        import torch

        with torch.inference_mode():
            batches = (batch.to(self.device).float() / 255 for batch in images.split(BATCH_SIZE))
            return torch.cat([self.network.features(batch).float().cpu() for batch in batches])


@lru_cache(maxsize=1)
def _load_network(config: Timm, description: str) -> TimmModel:
    """Return the network. description: of the file, so that another one at the same path is loaded anew."""
    from fer_experiments.classifier.timm_model import TimmModel

    try:
        network = TimmModel(2, model_name=config.model_name, weights=str(config.weights), input_size=config.image_size)
    except ConfigError as error:
        raise ConfigError(f"encoder=timm: {error}") from None
    except Exception as error:  # the constructors of a thousand networks raise anything
        raise ConfigError(f"encoder.{error}") from None
    return network.eval()
