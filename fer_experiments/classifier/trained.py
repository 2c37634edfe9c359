"""Load a classifier from a checkpoint of train=cnn for predictions, without running code that the file names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from fer_experiments.checkpoint_code import build_argument, check_shapes, locate_checkpoint_class
from fer_experiments.classifier.cosine import attach_cosine_head
from fer_experiments.classifier.predictor import Predictor
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.errors import ConfigError

PACKAGE_NETWORKS = (
    "fer_experiments.classifier.networks.CNN",
    "fer_experiments.classifier.networks.ResNet18",
    "fer_experiments.classifier.networks.CIFARResNet",
    "fer_experiments.classifier.timm_model.TimmModel",
    "fer_experiments.joint.networks.Trunk",
)
MIN_SIDE, MAX_SIDE = 8, 1024  # of an image, as in conf/
WEIGHT_ARGUMENTS = ("weights", "pretrained")  # arguments of networks that name weights, which the checkpoint holds


@dataclass(frozen=True, kw_only=True)
class TrainedClassifier(Predictor):
    """A classifier of a checkpoint.

    Attributes:
        stored_channels: of its training images on disk.
        white_level: the value that was white in those with more than 8 bits; None: there were none.
        cached_size: the side to which they were resized first.
        bottleneck: the side that they passed through after that; None: they passed through none.
        split_hash: of the split that it was trained on.
        epoch: at whose end it was saved, counted from 1.
    """

    stored_channels: int
    white_level: float | None
    cached_size: int
    bottleneck: int | None
    split_hash: str
    epoch: int

    @classmethod
    def load(cls, path: Path, network: str | None = None, option: str = "--network ") -> "TrainedClassifier":
        """Load a checkpoint of train=cnn, which can hold nothing but tensors and plain values.

        Args:
            path: the checkpoint.
            network: the class of its network, as in classifier.network._target_. It must be given for a network that
                is not of this package, so that a file can't choose the code that is run.
            option: how the user gives it, for messages.

        Raises:
            ConfigError: the file is not such a checkpoint, or holds another network.
        """
        checkpoint = _load_checkpoint(path)
        try:
            settings: dict[str, Any] = checkpoint["hyper_parameters"]
            provenance: dict[str, Any] = settings["provenance"]
            classes = tuple(settings["classes"])
            arguments = dict(provenance["network"])
            target = arguments.pop("_target_")
            epoch = int(checkpoint["epoch"]) + 1  # Lightning counts from 0
        except (KeyError, TypeError, ValueError):
            raise ConfigError(
                f"{path}: is not a classifier's checkpoint; give the folder of a run with train=cnn, or of an arm of a "
                "study, or a checkpoint of it"
            ) from None
        network_class = locate_checkpoint_class(path, "network", target, network, option, PACKAGE_NETWORKS)
        try:
            _check_sides(provenance["image_size"], provenance["cached_size"])
            arguments |= {"num_classes": len(classes)} | {key: provenance[key] for key in ("channels", "image_size")}
            weights = _select_weights("network.", checkpoint["state_dict"])
            return cls(
                network=_restore_network(network_class, arguments, provenance["cosine_head"], weights),
                classes=classes,
                channels=provenance["channels"],
                image_size=provenance["image_size"],
                flip_test=_read_flip_test(settings),
                shift=_read_shift(checkpoint["state_dict"]),
                stored_channels=provenance["stored_channels"],
                white_level=provenance.get("white_level"),  # a checkpoint of version 0.1.0 has none
                cached_size=provenance["cached_size"],
                bottleneck=provenance["bottleneck"],
                split_hash=provenance["split_hash"],
                epoch=epoch,
            )
        except Exception as error:  # torch and networks raise anything for values that don't fit
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise ConfigError(f"{path}: does not fit the network {target} that it names: {reason}") from None

    def prepare(self, pictures: Sequence[Image.Image]) -> Tensor:
        """Process pictures of any size as the training images were: -> images (N, C, S, S) uint8.

        pictures: as data.decode returns them.
        """
        side, channels = self.cached_size, self.stored_channels
        resized = [
            np.asarray(
                picture if picture.size == (side, side) else picture.resize((side, side), Image.Resampling.BICUBIC)
            )
            for picture in pictures
        ]
        indices = np.arange(len(resized))
        images = ImageDataset(
            np.stack(resized).reshape(-1, side, side, channels), indices, indices, self.image_size, self.bottleneck
        )
        return images[indices.tolist()][0]


def _load_checkpoint(path: Path) -> dict[str, Any]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
    except Exception as error:  # torch.load raises anything for files that it did not write
        raise ConfigError(f"{path}: is not a checkpoint of weights alone ({type(error).__name__})") from None


def _read_shift(weights: dict[str, Tensor]) -> Tensor | None:
    """Return what is added to the logits (K,), by the objective and by classifier.threshold; None if nothing is."""
    shifts = [weights[name] for name in ("objective.shift", "threshold_shift") if name in weights]
    return torch.stack(shifts).sum(0) if shifts else None


def _read_flip_test(settings: dict[str, Any]) -> bool:
    """Return classifier.flip_test, which was called mirror_test until version 0.1.0."""
    return settings["classifier"]["flip_test"] if "classifier" in settings else settings["mirror_test"]


def _check_sides(image_size: int, cached_size: int) -> None:
    """Raise ValueError for images so large that a file could fill the memory with them, or too small."""
    if not MIN_SIDE <= min(image_size, cached_size) <= max(image_size, cached_size) <= MAX_SIDE:
        raise ValueError(f"images of {image_size} and {cached_size} pixels")


def _restore_network(
    network_class: Any, arguments: dict[str, Any], cosine_head: float | None, weights: dict[str, Tensor]
) -> nn.Module:
    """Build the network and load its weights. Raises ValueError if they do not fit."""
    with torch.device("meta"):  # without memory, as the arguments in a file can be of any size
        check_shapes(_build_network(network_class, arguments, cosine_head), weights)
    network = _build_network(network_class, arguments, cosine_head)
    network.load_state_dict(weights)
    return network.eval().to(memory_format=torch.channels_last)


def _build_network(network_class: Any, arguments: dict[str, Any], cosine_head: float | None) -> nn.Module:
    network = network_class(
        **{key: build_argument(value) for key, value in arguments.items() if key not in WEIGHT_ARGUMENTS}
    )
    return network if cosine_head is None else attach_cosine_head(network, arguments["num_classes"], cosine_head)


def _select_weights(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights whose names begin with the prefix, by their names without it."""
    return {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
