"""From a checkpoint of train=cnn to a classifier that can be asked, without running anything that the file names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fer_experiments.classifier.cosine import with_cosine_head
from fer_experiments.classifier.predictor import Predictor
from fer_experiments.data.module import Images
from fer_experiments.errors import ConfigError
from fer_experiments.spec import locate

OWN_NETWORKS = (
    "fer_experiments.classifier.networks.CNN",
    "fer_experiments.classifier.networks.ResNet18",
    "fer_experiments.joint.networks.Trunk",
)
LARGEST = 1024  # side of an image, as in conf/
UNSEEN = ("weights",)  # arguments that name files, whose content the checkpoint has already


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier(Predictor):
    """cached_size, bottleneck: sides that a training image passed through; split_hash: of what it was trained on."""

    stored_channels: int
    cached_size: int
    bottleneck: int | None
    split_hash: str

    @classmethod
    def load(cls, path: Path, network: str | None = None) -> "TrainedClassifier":
        """Read a checkpoint of train=cnn, weights only.

        A checkpoint says which network it is of, but only this package's are built at its word; another class is named
        by `network`, as in a configuration's `_target_`. Raises ConfigError where it is none, or is of another network.
        """
        saved = _read(path)
        try:
            settings: dict[str, Any] = saved["hyper_parameters"]
            told: dict[str, Any] = settings["provenance"]
            classes = tuple(settings["classes"])
            node = dict(told["network"])
            named = node.pop("_target_")
        except (KeyError, TypeError, ValueError):
            raise ConfigError(f"{path}: is no checkpoint of a classifier; give checkpoints/best.ckpt or last.ckpt of "
                              "a run with train=cnn, or of an arm of a study") from None  # fmt: skip
        build = _network_class(path, named, network)
        try:
            weights = _under("network.", saved["state_dict"])
            size, scale = told["image_size"], told["cosine_head"]
            node |= {"num_classes": len(classes), "channels": told["channels"], "image_size": size}
            if not 8 <= min(size, told["cached_size"]) <= max(size, told["cached_size"]) <= LARGEST:
                raise ValueError(f"images of {size} and {told['cached_size']} pixels")
            with torch.device("meta"):  # first without memory: sizes are the file's word
                _check_shapes(_build(build, node, scale), weights)
            built = _build(build, node, scale)
            built.load_state_dict(weights)
            return cls(
                network=built.eval().to(memory_format=torch.channels_last),
                classes=classes,
                channels=told["channels"],
                image_size=size,
                mirror_test=settings["mirror_test"],
                shift=saved["state_dict"].get("objective.shift"),
                stored_channels=told["stored_channels"],
                cached_size=told["cached_size"],
                bottleneck=told["bottleneck"],
                split_hash=told["split_hash"],
            )
        except Exception as error:  # torch and networks raise anything for values that don't fit
            said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConfigError(f"{path}: does not fit its own network {named}: {said}") from None

    def prepare(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Pictures of any size, as data.decode gives them, by the way of the training images: (N, C, S, S) uint8."""
        side, channels = self.cached_size, self.stored_channels
        cached = [
            np.asarray(one if one.size == (side, side) else one.resize((side, side), Image.Resampling.BICUBIC))
            for one in pictures
        ]
        rows = np.arange(len(cached))
        images = Images(
            np.stack(cached).reshape(-1, side, side, channels), rows, rows, self.image_size, self.bottleneck
        )
        return images[rows.tolist()][0]


def _read(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except Exception as error:  # torch.load raises anything on foreign bytes
        raise ConfigError(f"{path}: is no checkpoint that holds weights alone ({type(error).__name__})") from None


def _network_class(path: Path, named: Any, network: str | None) -> Any:
    """What is built: never what the file names, unless it is this package's."""
    if network is not None:
        if network != named:
            raise ConfigError(f"--network {network}: {path} is of {named}; name that, or give another checkpoint")
        return locate("--network", network)
    if named not in OWN_NETWORKS:
        raise ConfigError(
            f"{path}: is of the network {named}, which is not built at a file's word; if you trust that code, name it: "
            f"--network {named}"
        )
    return locate(str(path), named)


def _build(network: Any, node: dict[str, Any], cosine_head: float | None) -> nn.Module:
    built = network(**{key: value for key, value in node.items() if key not in UNSEEN})
    return built if cosine_head is None else with_cosine_head(built, node["num_classes"], cosine_head)


def _check_shapes(network: nn.Module, weights: dict[str, Tensor]) -> None:
    wanted = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if wrong := [name for name in sorted(wanted.keys() | found) if wanted.get(name) != found.get(name)]:
        raise ValueError(f"{wrong[0]} is {found.get(wrong[0])}, not {wanted.get(wrong[0])}")


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
