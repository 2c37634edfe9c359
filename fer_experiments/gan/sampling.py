"""From a checkpoint to images."""

import hashlib
import io
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


@dataclass(frozen=True)
class TrainedGenerator:
    """A generator in evaluation mode and where it comes from."""

    generator: Generator
    label: str
    split_hash: str
    checkpoint_hash: str
    stored_channels: int

    @classmethod
    def load(cls, path: Path) -> "TrainedGenerator":
        """Read a checkpoint of train=dcgan, weights only. Raises ConfigError where it is none."""
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror}") from None
        try:
            saved: dict[str, Any] = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
            settings = saved["hyper_parameters"]
            provenance = settings["provenance"]
            shape = {key: settings[key] for key in ("latent_dim", "width", "channels", "image_size")}
            weights = {
                key.removeprefix("generator."): value
                for key, value in saved["state_dict"].items()
                if key.startswith("generator.")
            }
            generator = Generator(**shape)
            generator.load_state_dict(weights)
        except Exception as error:  # torch.load raises anything on foreign bytes
            raise ConfigError(f"{path}: is no checkpoint of train=dcgan ({type(error).__name__})") from None
        return cls(
            generator.eval(),
            provenance["class"],
            provenance["split_hash"],
            hashlib.sha256(content).hexdigest()[:16],
            provenance["stored_channels"],
        )

    def write(self, folder: Path, seeds: Sequence[int]) -> None:
        """Write an image for each latent seed into folder/CLASS, and their rows of the manifest."""
        images = sample(self.generator, seeds, self.stored_channels)
        write_synthetic(folder, self.label, images, list(seeds), self.checkpoint_hash, self.split_hash)


def latents(seeds: Sequence[int], latent_dim: int) -> Tensor:
    """Standard normal z (N, latent_dim); each row depends on its own seed alone, so any can be made again."""
    return torch.stack([torch.randn(latent_dim, generator=torch.Generator().manual_seed(seed)) for seed in seeds])


@torch.inference_mode()
def sample(generator: Generator, seeds: Sequence[int], stored_channels: int, batch_size: int = 64) -> np.ndarray:
    """One image for each seed: (N, S, S, stored_channels) uint8. Three channels become one by their mean."""
    device = next(generator.parameters()).device
    training = generator.training
    generator.eval()
    parts = []
    for chunk in latents(seeds, generator.latent_dim).split(batch_size):
        images = (generator(chunk.to(device)).float() + 1) / 2  # (b, C, S, S) in [0, 1]
        if stored_channels < images.shape[1]:
            images = images.mean(dim=1, keepdim=True)
        parts.append((images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu())
    generator.train(training)
    return torch.cat(parts).numpy()
