"""encoder=timm: any network of timm with weights of the user's, such as DINOv2, which Stein et al. 2023 recommend."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import ConfigDict, Field

from fer_experiments.encoder.base import Encoder, FeatureExtractor
from fer_experiments.encoder.weights_file import WeightsFile, describe_file
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor

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
        import torch

        self.image_size, self.device = image_size, device
        self.network, data_config = _load_network(config, device, config.describe())
        self.side: int = data_config["input_size"][-1]
        self.interpolation: str = data_config["interpolation"]
        self.mean, self.std = (torch.tensor(data_config[key], device=device)[:, None, None] for key in ("mean", "std"))

    def features(self, images: Tensor) -> Tensor:
        """images (N, 1 or 3, S, S) uint8 -> (N, D) float32, what the last layer would get.

        They are resized and normalised as in the network's training, without a crop.
        """
        import torch

        with torch.inference_mode():
            return torch.cat([self.network(self._prepare(batch)).float().cpu() for batch in images.split(BATCH_SIZE)])

    def _prepare(self, batch: Tensor) -> Tensor:
        from torchvision.transforms.v2 import InterpolationMode
        from torchvision.transforms.v2.functional import resize

        scaled = batch.to(self.device).float().div(255).expand(-1, 3, -1, -1)
        resized = resize(scaled, [self.side, self.side], InterpolationMode(self.interpolation), antialias=True)
        return (resized.clamp(0, 1) - self.mean) / self.std


@lru_cache(maxsize=1)
def _load_network(config: Timm, device: str, description: str) -> tuple[Any, dict[str, Any]]:
    """Return the network, and timm's description of the images that it takes.

    description: of the file, so that another one at the same path is loaded anew.
    """
    try:
        import timm
    except ImportError:
        raise ConfigError("encoder=timm: needs timm; run pip install 'fer-experiments[timm]'") from None
    try:
        network: Any = timm.create_model(config.model_name, pretrained=False, num_classes=0)
    except Exception as error:  # the constructors of a thousand networks raise anything
        close = ", ".join(timm.list_models(f"*{config.model_name.split('.')[0].split('_')[0]}*")[:5])
        remedy = f"; names of timm are {close}, ..." if close else "; timm.list_models() has their names"
        raise ConfigError(f"encoder.model_name={config.model_name}: can't be built: {error}{remedy}") from None
    _load_weights(network, config)
    data_config = timm.data.resolve_model_data_config(network)
    if config.image_size is not None:
        if hasattr(network, "set_input_size"):  # of transformers, whose places of patches are interpolated
            network.set_input_size(img_size=config.image_size)
        data_config["input_size"] = (3, config.image_size, config.image_size)
    return network.eval().to(device), data_config


def _load_weights(network: Any, config: Timm) -> None:
    """Load the file into the network, which has all its weights but those of the last layer."""
    from timm.models import load_checkpoint

    try:
        missing, unexpected = load_checkpoint(network, str(config.weights), strict=False, weights_only=True)
    except Exception as error:  # torch.load raises anything for files that it did not write
        reason = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:120] if str(error) else ''}"
    else:
        last_layer = network.pretrained_cfg.get("classifier") or ()
        prefixes = (last_layer,) if isinstance(last_layer, str) else tuple(last_layer)
        foreign = [name for name in unexpected if not name.startswith(prefixes)] if prefixes else list(unexpected)
        if not missing and not foreign:
            return
        reason = f"it lacks {missing[0]}" if missing else f"it has {foreign[0]} as well"
    raise ConfigError(
        f"encoder.weights={config.weights}: does not hold timm's {config.model_name} ({reason}); give the file "
        "model.safetensors of the network of this name on huggingface.co/timm, or another encoder.model_name"
    )
