"""Generate images from a checkpoint."""

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
from fer_experiments.progress import show_activity


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator in evaluation mode, and where it comes from.

    classes: the names of the classes that it generates. split_hash: the split on which it was trained.
    checkpoint_hash: a hash of its weights. stored_channels: 1 or 3, of the images that `sample` returns.
    """

    generator: Generator
    classes: tuple[str, ...]
    split_hash: str
    checkpoint_hash: str
    stored_channels: int

    @classmethod
    def load(cls, path: Path) -> "TrainedGenerator":
        """Load a checkpoint of train=dcgan or train=joint, without running code from it.

        Raises ConfigError if it can't be read or is not such a checkpoint.
        """
        try:
            checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
            settings = checkpoint["hyper_parameters"]
            gan = settings.get("gan", settings)  # until 0.1.0 the settings of the GAN had no dict of their own
            provenance, names = settings["provenance"], settings.get("classes")
            sizes = {key: gan[key] for key in ("latent_dim", "width", "image_size")}
            class_count = None if names is None else len(names)
            generator = Generator(**sizes, channels=settings["channels"], classes=class_count)
            prefix = "generator." if gan.get("ema") is None else "average."
            weights = {
                key.removeprefix(prefix): value
                for key, value in checkpoint["state_dict"].items()
                if key.startswith(prefix)
            }
            generator.load_state_dict(weights)
            classes = (provenance["class"],) if names is None else tuple(names)
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror or error}") from None
        except Exception as error:  # torch.load raises anything for files that it did not write
            raise ConfigError(f"{path}: is not a checkpoint of train=dcgan ({type(error).__name__})") from None
        return cls(
            generator.eval(),
            classes,
            provenance["split_hash"],
            _hash_weights(weights),
            provenance["stored_channels"],
        )

    @property
    def label(self) -> str:
        """The only class of a GAN that is not conditional."""
        assert len(self.classes) == 1, f"one of {self.classes} must be chosen"
        return self.classes[0]

    def sample(self, seeds: Sequence[int], label: str) -> np.ndarray:
        """Generate an image of the class for each latent seed; return (N, S, S, stored_channels) uint8."""
        return sample(self.generator, seeds, self.stored_channels, self.classes.index(label))

    def write(self, folder: Path, seeds: Sequence[int], label: str) -> None:
        """Write an image of the class for each latent seed into folder/CLASS, and its row into the manifest."""
        with show_activity(f"generating {len(seeds)} images of {label}"):
            images = self.sample(seeds, label)
            write_synthetic(folder, label, images, list(seeds), self.checkpoint_hash, self.split_hash)


def _hash_weights(weights: dict[str, Tensor]) -> str:
    """Return a hash of the weights alone: a checkpoint also holds the time at which it was written."""
    digest = hashlib.sha256()
    for name, value in sorted(weights.items()):
        digest.update(name.encode() + value.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def draw_latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """Draw standard normal z (N, latent_dim). Each row depends on its own seed alone, so any can be drawn again."""
    return torch.stack([torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.inference_mode()
def sample(
    generator: Generator,
    seeds: Sequence[int],
    stored_channels: int,
    label_index: int | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Generate one image for each seed; return (N, S, S, stored_channels) uint8.

    Args:
        generator: the call leaves it in the mode, training or evaluation, in which it was.
        seeds: latent seeds; the same seed gives the same z for every class.
        stored_channels: 1 or 3; three channels become one by their mean.
        label_index: the class that a conditional generator generates.
        batch_size: how many images are generated at a time.
    """
    device = next(generator.parameters()).device
    was_training = generator.training
    generator.eval()
    parts = []
    for z in draw_latents(seeds, generator.latent_dim).split(batch_size):
        labels = None if label_index is None else torch.full((len(z),), label_index, device=device)
        images = (generator(z.to(device), labels).float() + 1) / 2  # (b, C, S, S) in [0, 1]
        if stored_channels < images.shape[1]:
            images = images.mean(dim=1, keepdim=True)
        parts.append((images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu())
    generator.train(was_training)
    return torch.cat(parts).numpy()
