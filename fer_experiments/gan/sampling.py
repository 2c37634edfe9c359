"""From a checkpoint to images."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fer_experiments.data.synthetic import write_synthetic
from fer_experiments.errors import ConfigError
from fer_experiments.gan.networks import Generator
from fer_experiments.progress import busy


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator in evaluation mode and where it comes from. classes: the names of what it can make images of."""

    generator: Generator
    classes: tuple[str, ...]
    split_hash: str
    checkpoint_hash: str
    stored_channels: int

    @classmethod
    def load(cls, path: Path) -> "TrainedGenerator":
        """Read a checkpoint of train=dcgan, weights only. Raises ConfigError where it is none."""
        try:
            saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            settings = saved["hyper_parameters"]
            provenance = settings["provenance"]
            names: list[str] | None = settings.get("classes")  # earlier checkpoints have none of the newer keys
            shape = {key: settings[key] for key in ("latent_dim", "width", "channels", "image_size")}
            generator = Generator(**shape, classes=None if names is None else len(names))
            prefix = "generator." if settings.get("ema") is None else "average."
            weights = {
                key.removeprefix(prefix): value for key, value in saved["state_dict"].items() if key.startswith(prefix)
            }
            generator.load_state_dict(weights)
            classes = (provenance["class"],) if names is None else tuple(names)
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror or error}") from None
        except Exception as error:  # torch.load raises anything on foreign bytes
            raise ConfigError(f"{path}: is no checkpoint of train=dcgan ({type(error).__name__})") from None
        return cls(
            generator.eval(),
            classes,
            provenance["split_hash"],
            _hash(weights),
            provenance["stored_channels"],
        )

    @property
    def label(self) -> str:
        """The one class of a GAN that is not conditional."""
        assert len(self.classes) == 1, f"one of {self.classes} is to be chosen"
        return self.classes[0]

    def sample(self, seeds: Sequence[int], label: str) -> np.ndarray:
        """An image of a class for each latent seed: (N, S, S, stored_channels) uint8."""
        return sample(self.generator, seeds, self.stored_channels, self.classes.index(label))

    def write(self, folder: Path, seeds: Sequence[int], label: str) -> None:
        """Write an image of a class for each latent seed into folder/CLASS, and their rows of the manifest."""
        with busy(f"making {len(seeds)} images of {label}"):
            images = self.sample(seeds, label)
            write_synthetic(folder, label, images, list(seeds), self.checkpoint_hash, self.split_hash)


def _hash(weights: dict[str, Tensor]) -> str:
    """Of the weights alone: a checkpoint also says when it was written."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """Standard normal z (N, latent_dim); each row depends on its own seed alone, so any can be made again."""
    return torch.stack([torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.inference_mode()
def sample(
    generator: Generator,
    seeds: Sequence[int],
    stored_channels: int,
    label_index: int | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """One image for each seed: (N, S, S, stored_channels) uint8. Three channels become one by their mean.

    label_index: the class that a conditional generator is to make; the same seed is the same z in every class.
    """
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    parts = []
    for chunk in latents(seeds, generator.latent_dim).split(batch_size):
        labels = None if label_index is None else torch.full((len(chunk),), label_index, device=device)
        images = (generator(chunk.to(device), labels).float() + 1) / 2  # (b, C, S, S) in [0, 1]
        if stored_channels < images.shape[1]:
            images = images.mean(dim=1, keepdim=True)
        parts.append((images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu())
    generator.train(training)
    return torch.cat(parts).numpy()
