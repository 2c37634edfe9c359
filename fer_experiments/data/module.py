"""The LightningDataModule that GAN and classifier share, and the injection of generated images into training."""

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import lightning
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import resize

from fer_experiments.data.batches import EpochBatches, InjectedBatches, Injection, InOrder, Shares
from fer_experiments.data.cache import ImageCache, open_cache
from fer_experiments.data.source import Source
from fer_experiments.data.split import Split, make_split
from fer_experiments.data.synthetic import GeneratedImages

Batch = tuple[Tensor, ...]
REAL, GENERATED, INTERPOLATED = "real", "generated", "interpolated"
EVALUATION_BATCH = 128
LARGEST_RESIDENT_SHARE = 0.25  # of a GPU's free memory, for one part of the data; larger parts stay on the host


@dataclass(frozen=True)
class ImageData:
    """A source made ready: its decoded images and one seed's split of them."""

    source: Source
    cache: ImageCache
    split: Split

    @classmethod
    def prepare(cls, source: Source, seed: int) -> "ImageData":
        """Decode (or find the cache) and split. Raises ConfigError for anything wrong with the data."""
        cache = open_cache(source)
        return cls(source, cache, make_split(cache.index, source, seed))

    @property
    def classes(self) -> tuple[str, ...]:
        return self.split.classes

    def class_indices(self, labels: np.ndarray) -> np.ndarray:
        """Class names (N,) -> their places in `classes` (N,) int64."""
        places = {name: place for place, name in enumerate(self.classes)}
        return np.array([places[label] for label in labels], dtype=np.int64)


class Augmentation(Protocol):
    """Maps images (B, C, S, S) uint8 to images; capturable: all its draws are on the device."""

    capturable: ClassVar[bool]

    def __call__(self, images: Tensor) -> Tensor: ...


class Images(Dataset[Batch]):
    """Real images by row of the cache, then generated ones. dataset[[i, j, ...]] is one batch:

    images (B, C, S, S) uint8 in channels_last, labels (B,) int64, and where generated images have another `weight`
    than 1, weights (B,) float32.
    """

    def __init__(
        self,
        cache: np.ndarray,
        rows: np.ndarray,
        labels: np.ndarray,
        size: int,
        bottleneck: int | None = None,
        generated: np.ndarray | None = None,
        made: str = GENERATED,
        weight: float = 1.0,
    ) -> None:
        """labels holds those of `rows`, then those of `generated` (N, s, s, C); made: GENERATED or INTERPOLATED."""
        self.cache = cache
        self.rows = rows
        self.labels = torch.from_numpy(labels)
        self.size = size
        self.bottleneck = bottleneck
        self.generated = generated
        self.made = made
        weights = torch.where(torch.arange(len(labels)) < len(rows), 1.0, weight)
        self.told = (self.labels,) if weight == 1 else (self.labels, weights)
        assert len(labels) == len(rows) + (0 if generated is None else len(generated))

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def bytes(self) -> int:
        """Of all images at the size of a batch."""
        return len(self) * self.size**2 * self.cache.shape[-1]

    @property
    def origin(self) -> list[str]:
        """REAL, GENERATED or INTERPOLATED, for every image."""
        return [REAL] * len(self.rows) + [self.made] * (len(self) - len(self.rows))

    def __getitem__(self, indices: list[int]) -> Batch:
        chosen = np.asarray(indices)
        real = chosen < len(self.rows)
        first = self._resized(self.cache[self.rows[chosen[real]]], self.bottleneck)
        told = [values[chosen] for values in self.told]
        if self.generated is None or real.all():
            return first, *told
        second = self._resized(self.generated[chosen[~real] - len(self.rows)], None)
        images = torch.empty((len(chosen), *second.shape[1:]), dtype=torch.uint8)
        images = images.contiguous(memory_format=torch.channels_last)
        mask = torch.from_numpy(real)
        images[mask], images[~mask] = first, second
        return images, *told

    def _resized(self, pixels: np.ndarray, through: int | None) -> Tensor:
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)  # (B, C, s, s), channels_last
        for side in (through, self.size):
            if side is not None and images.shape[-1] != side and len(images):
                images = resize(images, [side, side], InterpolationMode.BILINEAR, antialias=True)
        if len(images) == 0:
            images = images.new_empty((0, images.shape[1], self.size, self.size))
        return images.contiguous(memory_format=torch.channels_last)


class ResidentImages(Dataset[Batch]):
    """All of `images`, resized once, as uint8 on a device, from which whole batches are gathered there."""

    def __init__(self, images: Images, device: torch.device) -> None:
        self.images = torch.empty((len(images), images.size, images.size, images.cache.shape[-1]), dtype=torch.uint8)
        for places in InOrder(len(images), EVALUATION_BATCH):
            self.images[places] = images[places][0].permute(0, 2, 3, 1)
        self.images, self.told = self.images.to(device), [values.to(device) for values in images.told]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, indices: list[int]) -> Batch:
        places = torch.tensor(indices)
        if self.images.is_cuda:  # from pinned memory, or the host would wait for the device in each step
            places = places.pin_memory().to(self.images.device, non_blocking=True)
        return self.images[places].permute(0, 3, 1, 2), *(values[places] for values in self.told)  # channels_last


class ImageDataModule(lightning.LightningDataModule):
    """Batches of images (B, C, S, S) float in [0, 1], labels (B,) int64 and, as Images has it, weights (B,).

    The training part can be narrowed to some rows, repeat rows, and take generated images in; validation and test
    are real images always. `augment` maps batches of uint8 images, (B, 1 or C, S, S), and is used in training only.
    """

    def __init__(
        self,
        data: ImageData,
        *,
        image_size: int,
        batch_size: int,
        seed: int,
        train_indices: np.ndarray | None = None,
        steps_per_epoch: int | None = None,
        augment: Augmentation | None = None,
    ) -> None:
        """train_indices picks from the training part (repeats allowed); null: all. steps_per_epoch null: one pass."""
        super().__init__()
        self.data, self.image_size, self.batch_size, self.seed = data, image_size, batch_size, seed
        self.augment = augment
        rows, labels = data.split.rows("train"), data.class_indices(data.split.labels("train"))
        chosen = np.arange(len(rows)) if train_indices is None else train_indices
        self.train_set = self._images(rows[chosen], labels[chosen])
        self.generated: GeneratedImages | None = None
        self.injection = Injection()
        self.steps_per_epoch = steps_per_epoch or -(-len(chosen) // batch_size)
        self.first_epoch = 0

    def inject(
        self,
        generated: GeneratedImages,
        made: str = GENERATED,
        injection: Injection = Injection(),  # noqa: B008
    ) -> None:
        """Add images, GENERATED or INTERPOLATED, to the training part; the number of steps stays."""
        self.generated, self.injection = generated, injection
        labels = self.data.class_indices(generated.labels)
        real = self.train_set
        both = np.concatenate([real.labels.numpy(), labels])
        self.train_set = self._images(real.rows, both, generated.images, made, injection.weight)

    def training_table(self) -> pd.DataFrame:
        """What the training part holds, one row an image: path, label, origin, times (repeats)."""
        paths = self.data.split.table.loc[self.train_set.rows, "path"].tolist()
        if self.generated is not None:
            paths += self.generated.files.tolist()
        labels = [self.data.classes[place] for place in self.train_set.labels]
        table = pd.DataFrame({"path": paths, "label": labels, "origin": self.train_set.origin})
        return (
            table.groupby(["path", "label", "origin"], sort=False, as_index=False)
            .size()
            .rename({"size": "times"}, axis=1)
        )

    def _images(
        self,
        rows: np.ndarray,
        labels: np.ndarray,
        generated: np.ndarray | None = None,
        made: str = GENERATED,
        weight: float = 1.0,
    ) -> Images:
        bottleneck = self.data.source.bottleneck
        return Images(self.data.cache.images, rows, labels, self.image_size, bottleneck, generated, made, weight)

    def part(self, name: str) -> Images:
        """The validation or test part."""
        return self._images(self.data.split.rows(name), self.data.class_indices(self.data.split.labels(name)))

    def state_dict(self) -> dict[str, int]:
        """The epoch that comes next, in a checkpoint written at the end of one."""
        assert self.trainer is not None
        progress: Any = self.trainer.fit_loop.epoch_progress.current
        return {"epoch": progress.processed}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        # Before Lightning asks for a loader, whose workers read ahead as soon as there is one.
        self.first_epoch = state_dict["epoch"]

    def _loader(self, dataset: Images, batches: Sampler[list[int]]) -> DataLoader:
        # batch_size=None: the sampler gives whole batches, and the dataset gathers each in one indexing.
        device = torch.device("cpu") if self.trainer is None else self.trainer.strategy.root_device
        if device.type == "cuda" and dataset.bytes <= torch.cuda.mem_get_info(device)[0] * LARGEST_RESIDENT_SHARE:
            return DataLoader(
                ResidentImages(dataset, device), sampler=batches, batch_size=None, generator=torch.Generator()
            )
        workers = self.data.source.workers
        return DataLoader(
            dataset,
            sampler=batches,
            batch_size=None,
            num_workers=workers,
            persistent_workers=workers > 0,
            # Else it draws its workers' seeds, which nothing here uses, from the training's own random numbers: as
            # often as it is started, which differs with workers and in a resumed training.
            generator=torch.Generator(),
        )

    def train_dataloader(self) -> DataLoader:
        batches = self._training_batches()
        batches.set_epoch(self.first_epoch)
        if self.trainer is None or self.trainer.world_size == 1:
            return self._loader(self.train_set, batches)
        return self._loader(self.train_set, Shares(batches, self.trainer.global_rank, self.trainer.world_size))

    def _training_batches(self) -> EpochBatches:
        size, steps, seed = self.batch_size, self.steps_per_epoch, self.seed
        if self.generated is None or not self.injection.steers:
            return EpochBatches(len(self.train_set), size, steps, seed)
        epochs = 1 if self.trainer is None else self.trainer.max_epochs or 1
        real, generated = len(self.train_set.rows), len(self.generated.labels)
        return InjectedBatches(real, generated, size, steps, seed, self.injection, total=epochs * steps)

    def val_dataloader(self) -> DataLoader:
        dataset = self.part("valid")
        return self._loader(dataset, InOrder(len(dataset), EVALUATION_BATCH))

    def predict_dataloader(self) -> list[DataLoader]:
        """Validation, then test."""
        test = self.part("test")
        return [self.val_dataloader(), self._loader(test, InOrder(len(test), EVALUATION_BATCH))]

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        images, *told = batch
        training = self.trainer is not None and self.trainer.training
        return (self.prepare_training if training else self.prepare)(images), *told

    def prepare(self, images: Tensor) -> Tensor:
        """uint8 (B, 1 or C, S, S) -> float (B, C, S, S) in [0, 1], channels_last."""
        return (
            (images.float() / 255)
            .expand(-1, self.data.source.channels, -1, -1)
            .contiguous(memory_format=torch.channels_last)
        )

    @property
    def capturable(self) -> bool:
        """Whether `prepare_training` may be a CUDA graph, whose replays repeat what was drawn on the host."""
        return self.augment is None or self.augment.capturable

    def prepare_training(self, images: Tensor) -> Tensor:
        """`prepare`, augmented: before it, as a grey image is one channel there and three after it."""
        return self.prepare(images if self.augment is None else self.augment(images))
