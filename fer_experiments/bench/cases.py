"""One measurement in a process of its own: python -m fer_experiments.bench.cases NAME KEY=VALUE ..., JSON on stdout.

Steps run on one batch of noise that is already on the device.
"""

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fer_experiments.balance.objective import Objective
from fer_experiments.bench import tutorial
from fer_experiments.bench.plain_step import autocast_step, build_plain_step, random_batch
from fer_experiments.bench.timing import DEVICE, Clock, measure_flop_rate, measure_image_rate
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.networks import CNN
from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.samplers import EpochBatches
from fer_experiments.gan.build import build_generator
from fer_experiments.train.compose_config import compose_config
from fer_experiments.trainer.build import build_trainer
from fer_experiments.trainer.loggers.build import build_loggers
from fer_experiments.trainer.memory import keep_freed_memory

SIZES = {"dcgan": 64, "classifier": 100}
TINY_SIZES = {"dcgan": 32, "classifier": 22}  # next to no arithmetic, so that overhead is what remains
# D's inner layers at a batch of 64, then wide 3 x 3 layers: (channels in, channels out, side, kernel, stride).
LAYERS = (
    (64, 128, 32, 4, 2),
    (128, 256, 16, 4, 2),
    (256, 512, 8, 4, 2),
    (64, 64, 32, 3, 1),
    (256, 256, 16, 3, 1),
)


def step(
    model: str,
    implementation: str = "plain",
    batch: int = 64,
    size: int | None = None,
    precision: str = "fp32",
    steps: int = 20,
    tf32: int = 1,
    benchmark: int = 0,
) -> dict[str, float]:
    """Measure the seconds and the floating-point operations of one step.

    Args:
        model: "dcgan" or "classifier".
        implementation: "tutorial"; or "plain", our step in a loop.
        batch: images in a batch.
        size: the side of the images, in pixels; by default that of the model.
        precision: "fp32" or "bf16"; a tutorial has fp32.
        steps: how many steps are timed.
        tf32: whether a GPU may compute fp32 in TF32, as it does in jobs: 1 or 0.
        benchmark: whether cuDNN tries its algorithms and takes the fastest, as by trainer.benchmark=true: 1 or 0.
    """
    images, labels = random_batch(model, batch, size or SIZES[model])
    with FlopCounterMode(display=False) as flops:
        build_plain_step(model, images, labels)()
    if implementation == "tutorial":
        clock = Clock((images.contiguous(), labels), steps)
        tutorial.LOOPS[model](clock, 1, DEVICE)
    else:
        clock = Clock((images, labels), steps)
        set_up_as_jobs_do(bool(tf32))
        torch.backends.cudnn.benchmark = bool(benchmark)
        run = {"plain": autocast_step(build_plain_step(model, images, labels), precision)}[implementation]
        for _ in clock:
            run()
    result = {"seconds": clock.seconds_per_step(), "flop": float(flops.get_total_flops())}
    if torch.cuda.is_available():
        result["peak_bytes"] = float(torch.cuda.max_memory_allocated())
    return result | {"flop_per_second": result["flop"] / result["seconds"]}


def set_up_as_jobs_do(tf32: bool = True) -> None:
    """Set what jobs set before they train."""
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = tf32


def overhead(
    model: str,
    implementation: str,
    steps: int = 1000,
    batch: int = 2,
    size: int | None = None,
    width: int = 1,
    gan: str = "dcgan",
    r1_every: int = 16,
) -> dict[str, float]:
    """Measure the seconds of one step, by default of networks with next to no arithmetic.

    Args:
        model: "dcgan" or "classifier".
        implementation: "plain", in a loop; or "lightning", as jobs train.
        steps: how many steps are timed.
        batch: images in a batch.
        size: the side of the images, in pixels; by default that of TINY_SIZES.
        width: of the DCGAN's networks.
        gan: the file of conf/gan that is trained with Lightning.
        r1_every: gan.r1_every.
    """
    images, labels = random_batch(model, batch, size or TINY_SIZES[model])
    clock = Clock((images, labels), steps)
    set_up_as_jobs_do()
    if implementation == "lightning":
        keys = (f"gan={gan}", f"gan.r1_every={r1_every}", f"gan.width={width}")
        _train_with_lightning(model, clock, images.shape[-1], keys)
    else:
        run = {"plain": build_plain_step(model, images, labels, width)}[implementation]
        for _ in clock:
            run()
    return {"seconds": clock.seconds_per_step()}


def _train_with_lightning(model: str, clock: Clock, size: int, gan_keys: Sequence[str]) -> None:
    module: Any
    if model == "dcgan":
        gan = compose_config(*gan_keys, f"gan.image_size={size}").gan
        module = build_generator(gan, channels=3, provenance={}, classes=["a", "b"] if gan.conditional else None)
    else:
        config = compose_config().classifier
        module = Classifier(CNN(2, 3, size), config, classes=["a", "b"], objective=Objective(), provenance={})
    with tempfile.TemporaryDirectory() as folder:
        jobs = compose_config()
        loggers = build_loggers(jobs.logger, {"folder": folder})
        callbacks = [StopClock(clock)]
        trainer = build_trainer(jobs.trainer, "overhead", 1, Path(folder), callbacks, loggers, validate=False)
        trainer.fit(module, clock)


class StopClock(lightning.Callback):
    """Stop a clock before the checkpoint at the end of an epoch is written."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.clock.stop()


def ceiling(precision: str = "fp32", repeats: int = 10) -> dict[str, float]:
    """Measure the best rate of convolutions like the models', forward and backward, and that of a matrix product."""
    convolutions = [_build_convolution(layer, precision) for layer in LAYERS]
    best = max(measure_flop_rate(convolution, repeats) for convolution in convolutions)
    left, right = (torch.randn(2048, 2048, device=DEVICE) for _ in range(2))
    if precision == "bf16":
        left, right = left.bfloat16(), right.bfloat16()
    product = measure_flop_rate(lambda: left @ right, repeats)
    return {"convolution_flop_per_second": best, "matmul_flop_per_second": product}


def _build_convolution(shape: tuple[int, int, int, int, int], precision: str) -> Callable[[], None]:
    """Return a function that runs a layer of LAYERS forward and backward on 64 images of noise."""
    channels_in, channels_out, side, kernel, stride = shape
    layer = nn.Conv2d(channels_in, channels_out, kernel, stride, 1, bias=False).to(DEVICE)
    layer.to(memory_format=torch.channels_last)
    images = torch.randn(64, channels_in, side, side, device=DEVICE).contiguous(memory_format=torch.channels_last)
    images.requires_grad_()

    def run() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, enabled=precision == "bf16"):
            loss = layer(images).sum()
        loss.backward()

    return run


def data(model: str, implementation: str, root: str) -> dict[str, float]:
    """Measure the images a second from files to batches as the model takes them, in a second pass.

    Args:
        model: "dcgan" or "classifier".
        implementation: "tutorial" or "lightning", our LightningDataModule.
        root: a folder with {train,valid,test}/CLASS/*.png.
    """
    if implementation == "tutorial":
        loader = tutorial.LOADERS[model](f"{root}/train")
        return {"images_per_second": measure_image_rate(lambda: (labels for _, labels in loader))}
    images = PreparedData.prepare(compose_config("data=folder", f"data.root={root}").data, seed=0)
    module = ImageDataModule(images, image_size=SIZES[model], batch_size=64, seed=0)
    batches = module.train_dataloader()
    rate = measure_image_rate(lambda: (module.on_after_batch_transfer(batch, 0)[1] for batch in batches))
    return {"images_per_second": rate}


def cache(images: int, augment: str = "none") -> dict[str, float]:
    """Measure the images a second from a cache of `images` gray ones of 48 pixels to batches of 100 pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (images, 48, 48, 1), dtype=np.uint8)
    dataset = ImageDataset(pixels, np.arange(images), np.zeros(images, dtype=np.int64), SIZES["classifier"])
    batches = EpochBatches(images, 64, -(-images // 64), seed=0)
    augmentation = compose_config(f"augment={augment}").augment

    def read_labels() -> Iterator[Tensor]:
        for places in batches:
            batch, labels = dataset[places]
            (augmentation(batch.to(DEVICE)).float() / 255).expand(-1, 3, -1, -1)
            yield labels

    return {"images_per_second": measure_image_rate(read_labels)}


CASES: dict[str, Callable[..., dict[str, float]]] = {
    "step": step,
    "overhead": overhead,
    "ceiling": ceiling,
    "data": data,
    "cache": cache,
}


def main(name: str, *settings: str) -> None:
    keys = dict(setting.split("=", 1) for setting in settings)
    result = CASES[name](**{key: int(text) if text.isdigit() else text for key, text in keys.items()})
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
