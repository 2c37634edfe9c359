"""classifier=timm: a model of the library timm as a classifier."""

import difflib
import logging
import textwrap
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fer_experiments.classifier.networks import Standardize
from fer_experiments.errors import ConfigError

MESSAGE_WIDTH = 300  # characters of an error that lists all weights


class TimmModel(nn.Module):
    """images (B, channels, S, S) in [0, 1] -> logits (B, num_classes). Wightman 2019, PyTorch Image Models.

    Images are resized to the model's side and scaled by its mean and deviation, as its configuration in timm says. A
    grayscale image is repeated in the model's channels, so that weights for colour fit.
    """

    def __init__(
        self,
        num_classes: int,
        channels: int = 3,
        image_size: int = 224,
        *,
        model_name: str,
        weights: str | None = None,
        pretrained: bool = False,
        input_size: int | None = None,
        drop_rate: float | None = None,
        drop_path_rate: float | None = None,
    ) -> None:
        """Build the network.

        Args:
            num_classes: K.
            channels: of the images; 1, or as many as the model takes, which is 3 for nearly all.
            image_size: is not needed; the network resizes images of any size.
            model_name: one of timm.list_models(), with or without the tag of its weights: resnet18.a1_in1k.
            weights: a file of the model's weights, .safetensors or what torch.save wrote. The last layer is random, as
                torch begins a linear layer, if the file has none for it, or those of another number of classes.
            pretrained: take timm's weights of the tag, from its cache or from huggingface.co.
            input_size: the side of the images that the model sees; None: the one of its configuration.
            drop_rate: of the dropout before the last layer; None: the model's own.
            drop_path_rate: of stochastic depth; None: the model's own, also of a model that has none.

        Raises:
            ConfigError: timm is not installed, or its weights can't be loaded.
            ValueError: timm has no such model or weights, or those of the file do not fit.
        """
        super().__init__()
        timm = _import_timm()
        if not timm.is_model(model_name):
            close = difflib.get_close_matches(model_name.split(".")[0], timm.list_models(), n=1, cutoff=0.0)
            raise ValueError(f"model_name={model_name}: timm has no such model; did you mean {close[0]}?")
        if weights is not None and pretrained:
            raise ValueError(f"weights={weights}: is another choice than pretrained=true; give one of the two")
        known = timm.get_pretrained_cfg(model_name)
        if pretrained and (known is None or not known.has_weights):
            raise ValueError(f"pretrained=true: timm has no weights of {model_name}; give a file of weights, or false")
        has_fixed_size = known is not None and known.fixed_input_size and input_size is not None
        build = partial(
            timm.create_model,
            model_name,
            num_classes=num_classes,
            drop_rate=drop_rate,
            drop_path_rate=drop_path_rate,
            img_size=input_size if has_fixed_size else None,
        )
        self.model = _build_pretrained(build, model_name) if pretrained else build()
        model: Any = self.model
        if not isinstance(model.get_classifier(), nn.Module):
            raise ValueError(f"model_name={model_name}: has several last layers; choose a model with one")
        has_head = pretrained and known.num_classes == num_classes
        if weights is not None:
            has_head = _load_weights(model, build, weights)
        if not has_head:
            model.reset_classifier(num_classes)  # timm's own initial weights grow as classes get fewer, up to 0.7
        config = timm.data.resolve_model_data_config(model)
        self.channels: int = config["input_size"][0]
        if channels not in (1, self.channels):
            raise ValueError(f"model_name={model_name}: takes {self.channels} channels; give data.channels=1")
        self.side: int = input_size or config["input_size"][-1]
        self.interpolation: str = config["interpolation"]
        self.standardize = Standardize(config["mean"], config["std"], self.channels)

    def forward(self, images: Tensor) -> Tensor:
        return self.model(self.standardize(self.resize(images)))

    def features(self, images: Tensor) -> Tensor:
        """images (B, 1 or C, S, S) in [0, 1] -> (B, D), the inputs of the last layer."""
        model: Any = self.model
        return model.forward_head(model.forward_features(self.standardize(self.resize(images))), pre_logits=True)

    def resize(self, images: Tensor) -> Tensor:
        """images (B, 1 or C, S, S) in [0, 1] -> (B, C, side, side) in [0, 1]."""
        if images.shape[-1] != self.side:  # antialias gives Pillow's cubic, by which timm trains, also for larger sides
            images = F.interpolate(images, (self.side, self.side), mode=self.interpolation, antialias=True)
        return images.clamp(0, 1).expand(-1, self.channels, -1, -1)  # bicubic values overshoot


def _import_timm() -> Any:
    try:
        import timm
    except ImportError:
        raise ConfigError("timm is not installed; run pip install 'fer-experiments[timm]'") from None
    logging.getLogger("timm").setLevel(logging.WARNING)  # it logs two lines for each file of weights
    return timm


def _build_pretrained(build: Any, model_name: str) -> nn.Module:
    is_check = torch.get_default_device().type == "meta"  # of a configuration, which downloads nothing
    try:
        return build(pretrained=not is_check)
    except Exception as error:  # the network raises anything
        raise ConfigError(
            f"classifier.network.pretrained=true: the weights of {model_name} can't be loaded ({_describe(error)}); "
            "check the network, or give a file as classifier.network.weights=FILE"
        ) from error


def _load_weights(model: Any, build: Any, path: str) -> bool:
    """Load a file's weights into the model, converted by timm as those that it downloads.

    Returns whether they have those of the last layer for these classes.
    """
    from timm.models import load_state_dict

    last_layer = next(name for name, module in model.named_modules() if module is model.get_classifier())
    initial = {name: value for name, value in model.state_dict().items() if name.startswith(f"{last_layer}.")}
    try:
        weights = load_state_dict(str(Path(path).expanduser()), weights_only=True)
        has_head = all(name in weights and weights[name].shape == value.shape for name, value in initial.items())
        if not has_head:
            weights |= initial
        # When a configuration is only checked, the default device is "meta", which needs no memory.
        weights = {name: value.to(torch.get_default_device()) for name, value in weights.items()}
        overlay = {"state_dict": weights, "num_classes": model.num_classes, "label_offset": 0}
        model.load_state_dict(build(pretrained=True, pretrained_cfg_overlay=overlay).state_dict())
        return has_head
    except Exception as error:  # torch.load raises anything for files that it did not write
        raise ValueError(
            f"weights={path}: {_describe(error)}; give a file of weights of this model of timm, or null"
        ) from None


def _describe(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", MESSAGE_WIDTH, placeholder=" ...")
