"""Load a trained generator from a checkpoint, without running code that the file names."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fer_experiments.checkpoint_code import build_argument, check_shapes, locate_checkpoint_class
from fer_experiments.data.synthetic import add_to_manifest, write_images
from fer_experiments.errors import ConfigError
from fer_experiments.gan.networks import Generator
from fer_experiments.gan.sampling import sample
from fer_experiments.progress import show_activity

PACKAGE_MODULES = ("fer_experiments.gan.diffusion.Diffusion",)


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator in evaluation mode, and where it comes from.

    Attributes:
        generator: has a method `sample`, as gan/sampling.py says.
        classes: the names of the classes that it generates.
        is_conditional: whether it takes their labels.
        split_hash: the split on which it was trained.
        checkpoint_hash: a hash of its weights.
        stored_channels: 1 or 3, of the images that `sample` returns.
    """

    generator: nn.Module
    classes: tuple[str, ...]
    is_conditional: bool
    split_hash: str
    checkpoint_hash: str
    stored_channels: int

    @classmethod
    def load(
        cls, path: Path, module: str | None = None, option: str = "--module ", device: str = "cpu"
    ) -> "TrainedGenerator":
        """Load a checkpoint of train=dcgan, diffusion or joint, which can hold nothing but tensors and plain values.

        Args:
            path: the checkpoint.
            module: the class of a generator that is a LightningModule, as in gan.module._target_. It must be given for
                a class that is not of this package, so that a file can't choose the code that is run.
            option: how the user gives it, for messages.
            device: where images are made; those of another device may differ in their last bits.

        Raises:
            ConfigError: the file can't be read, is not such a checkpoint, or holds another generator.
        """
        try:
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            settings = checkpoint["hyper_parameters"]
            gan = settings.get("gan", settings)  # until 0.1.0 the settings of the GAN had no dict of their own
            provenance, names, weights = settings["provenance"], settings.get("classes"), checkpoint["state_dict"]
            if "module" in gan:
                generator = _restore_module(path, settings, weights, module, option)
            else:
                generator, weights = _restore_dcgan(settings, gan, weights)
            trained = cls(
                generator.eval(),
                (provenance["class"],) if names is None else tuple(names),
                names is not None,
                provenance["split_hash"],
                _hash_weights(weights, gan.get("module")),
                provenance["stored_channels"],
            )
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror or error}") from None
        except ConfigError:
            raise
        except Exception as error:  # torch.load raises anything for files that it did not write
            raise ConfigError(
                f"{path}: is not a checkpoint of train=dcgan or another generator ({type(error).__name__})"
            ) from None
        trained.generator.to(device)
        return trained

    @property
    def label(self) -> str:
        """The only class of a generator that is not conditional."""
        assert len(self.classes) == 1, f"one of {self.classes} must be chosen"
        return self.classes[0]

    def sample(self, seeds: Sequence[int], label: str) -> np.ndarray:
        """Generate an image of the class for each latent seed; return (N, S, S, stored_channels) uint8."""
        label_index = self.classes.index(label) if self.is_conditional else None
        return sample(self.generator, seeds, self.stored_channels, label_index)

    def write(self, folder: Path, seeds: Mapping[str, Sequence[int]]) -> None:
        """Write images into folder/CLASS, and their rows into its manifest. seeds: {class: latent seeds}."""
        rows = []
        for label, numbers in seeds.items():
            with show_activity(f"generating {len(numbers)} images of {label}"):
                images = self.sample(numbers, label)
                hashes = self.checkpoint_hash, self.split_hash
                rows.append(write_images(folder, label, images, list(numbers), *hashes))
        add_to_manifest(folder, rows)


def _restore_dcgan(
    settings: dict[str, Any], gan: dict[str, Any], weights: dict[str, Tensor]
) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return the generator of a DCGAN, of its averaged weights if there are any, and its weights."""
    names = settings.get("classes")
    sizes = {key: gan[key] for key in ("latent_dim", "width", "image_size")}
    generator = Generator(
        **sizes,
        channels=settings["channels"],
        classes=None if names is None else len(names),
        transition=gan.get("transition") is not None,  # until 0.1.0 there was none
    )
    prefix = "generator." if gan.get("ema") is None else "average."
    weights = {key.removeprefix(prefix): value for key, value in weights.items() if key.startswith(prefix)}
    generator.load_state_dict(weights)
    return generator, weights


def _restore_module(
    path: Path, settings: dict[str, Any], weights: dict[str, Tensor], module: str | None, option: str
) -> nn.Module:
    """Return the LightningModule whose class gan.module names. Raises ConfigError if the weights do not fit."""
    gan, names = settings["gan"], settings["classes"]
    node = dict(gan["module"])
    target = node.pop("_target_")
    module_class = locate_checkpoint_class(path, "generator", target, module, option, PACKAGE_MODULES)
    try:
        arguments = {key: build_argument(value) for key, value in node.items()}
        arguments |= {"num_classes": None if names is None else len(names), "channels": settings["channels"]}
        restored: nn.Module = module_class(**arguments, image_size=gan["image_size"])
        check_shapes(restored, weights)
        restored.load_state_dict(weights)
    except ConfigError:
        raise
    except Exception as error:  # a user's class raises anything for arguments that it does not take
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigError(f"{path}: does not fit the generator {target} that it names: {reason}") from None
    return restored


def _hash_weights(weights: dict[str, Tensor], module: dict[str, Any] | None) -> str:
    """Return a hash of what makes the images: a checkpoint also holds the time at which it was written.

    module: gan.module, whose arguments may have a part in it beside the weights; None: there is none.
    """
    digest = hashlib.sha256(b"" if module is None else json.dumps(module, sort_keys=True).encode())
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
