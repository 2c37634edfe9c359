"""Datasets that return whole batches of cached and generated images."""

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from fer_experiments.data.injection import GENERATED, Origin
from fer_experiments.data.samplers import SequentialBatches

REAL = "real"
Batch = tuple[Tensor, ...]
EVALUATION_BATCH = 128


class ImageDataset(Dataset[Batch]):
    """Real images by their row in the cache, then generated ones; dataset[[i, j, ...]] is one batch.

    A batch has images (B, C, S, S) uint8 in channels_last and labels (B,) int64; if generated images have another
    weight in the loss than 1, also weights (B,) float32.
    """

    def __init__(
        self,
        cache: np.ndarray,
        rows: np.ndarray,
        labels: np.ndarray,
        size: int,
        bottleneck: int | None = None,
        generated: np.ndarray | None = None,
        origin: Origin = GENERATED,
        weight: float = 1.0,
    ) -> None:
        """Describe the images; nothing is read yet.

        Args:
            cache: images (M, s, s, C) uint8.
            rows: the rows in the cache of the real images.
            labels: class indices, first of the real images, then of the generated ones.
            size: the side of the images in a batch.
            bottleneck: the side to which real images are resized first; None: they are not.
            generated: images (N, s, s, C) uint8 that are added to the real ones; None: no images.
            origin: of the added images.
            weight: of a generated image in the loss.
        """
        self.cache = cache
        self.rows = rows
        self.labels = torch.from_numpy(labels)
        self.size = size
        self.bottleneck = bottleneck
        self.generated = generated
        self.origin = origin
        weights = torch.where(torch.arange(len(labels)) < len(rows), 1.0, weight)
        self.targets = (self.labels,) if weight == 1 else (self.labels, weights)
        assert len(labels) == len(rows) + (0 if generated is None else len(generated))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """The size of all images, at the side that they have in a batch."""
        return len(self) * self.size**2 * self.cache.shape[-1]

    @property
    def origins(self) -> list[str]:
        """REAL, or the origin of the added images, for every image."""
        return [REAL] * len(self.rows) + [self.origin] * (len(self) - len(self.rows))

    def __getitem__(self, indices: list[int]) -> Batch:
        chosen = np.asarray(indices)
        is_real = chosen < len(self.rows)
        real = self._resize(self.cache[self.rows[chosen[is_real]]], self.bottleneck)
        targets = [values[chosen] for values in self.targets]
        if self.generated is None or is_real.all():
            return real, *targets
        generated = self._resize(self.generated[chosen[~is_real] - len(self.rows)], None)
        images = torch.empty((len(chosen), *generated.shape[1:]), dtype=torch.uint8)
        images = images.contiguous(memory_format=torch.channels_last)
        mask = torch.from_numpy(is_real)
        images[mask], images[~mask] = real, generated
        return images, *targets

    def _resize(self, pixels: np.ndarray, bottleneck: int | None) -> Tensor:
        """pixels (B, s, s, C) -> (B, C, S, S) channels_last, by way of the bottleneck if there is one."""
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)
        for side in (bottleneck, self.size):
            if side is not None and images.shape[-1] != side and len(images):
                images = resize(images, [side, side], InterpolationMode.BILINEAR, antialias=True)
        if len(images) == 0:
            images = images.new_empty((0, images.shape[1], self.size, self.size))
        return images.contiguous(memory_format=torch.channels_last)


class DeviceImageDataset(Dataset[Batch]):
    """All images of an ImageDataset on a device, resized once, uint8; batches are gathered there."""

    def __init__(self, dataset: ImageDataset, device: torch.device) -> None:
        images = torch.empty((len(dataset), dataset.size, dataset.size, dataset.cache.shape[-1]), dtype=torch.uint8)
        for indices in SequentialBatches(len(dataset), EVALUATION_BATCH):
            images[indices] = dataset[indices][0].permute(0, 2, 3, 1)
        self.images, self.targets = images.to(device), [values.to(device) for values in dataset.targets]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: list[int]) -> Batch:
        chosen = torch.tensor(indices)
        if self.images.is_cuda:  # from pinned memory, or the host would wait for the device in each step
            chosen = chosen.pin_memory().to(self.images.device, non_blocking=True)
        images = self.images[chosen].permute(0, 3, 1, 2)  # channels_last
        return images, *(values[chosen] for values in self.targets)
