"""One measurement in a process of its own: python -m fer_experiments.bench.cases NAME KEY=VALUE ..., JSON on stdout.

Steps run on one batch of noise that is already on the device, after WARM_UP steps; the device is waited for at the end.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra import compose, initialize_config_dir
from torch import Tensor, nn
from torch.optim import Adam
from torch.utils.flop_counter import FlopCounterMode

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.balance import Objective
from fer_experiments.bench import tutorial
from fer_experiments.classifier.module import Classifier
from fer_experiments.classifier.networks import CNN
from fer_experiments.classifier.step import classification_step
from fer_experiments.data.batches import EpochBatches
from fer_experiments.data.module import ImageData, ImageDataModule, Images
from fer_experiments.gan.losses import BCE
from fer_experiments.gan.module import DCGAN
from fer_experiments.gan.networks import Discriminator, Generator
from fer_experiments.gan.step import adversarial_step
from fer_experiments.train.capture import Captured, on_streams
from fer_experiments.train.config import Config
from fer_experiments.train.memory import keep_freed_memory

WARM_UP = 5
SIZES = {"dcgan": 64, "classifier": 100}
TINY = {"dcgan": 32, "classifier": 22}  # next to no arithmetic: what remains is overhead


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Clock:
    """The same batch again and again; `seconds` is the time of a step between its WARM_UP-th and last batch."""

    def __init__(self, batch: Any, steps: int) -> None:
        self.batch, self.steps = batch, steps
        self.started = 0.0

    def __iter__(self) -> Iterator[Any]:
        for number in range(WARM_UP + self.steps):
            if number == WARM_UP:
                wait()
                self.started = time.perf_counter()
            yield self.batch

    def __len__(self) -> int:
        return WARM_UP + self.steps

    def seconds(self) -> float:
        wait()
        return (time.perf_counter() - self.started) / self.steps


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def noise(model: str, batch: int, size: int) -> tuple[Tensor, Tensor]:
    """A batch in the range that the model's step takes: [-1, 1] or [0, 1]."""
    images = torch.rand(batch, 3, size, size, device=device()).contiguous(memory_format=torch.channels_last)
    return (images * 2 - 1 if model == "dcgan" else images), torch.arange(batch, device=device()) % 2


def bare_step(model: str, images: Tensor, labels: Tensor, width: int = 64) -> Callable[[], Tensor]:
    """Our step with networks and optimizers of its own, as plain PyTorch."""
    batch, channels, size, _ = images.shape

    def ready(network: nn.Module, rate: float, betas: tuple[float, float] = (0.9, 0.999)) -> tuple[nn.Module, Adam]:
        network.to(device()).to(memory_format=torch.channels_last)
        cuda = device().type == "cuda"
        return network, Adam(network.parameters(), rate, betas, fused=True, capturable=cuda)

    if model == "classifier":
        network, optimizer = ready(CNN(2, channels, size), 1e-3)
        objective = Objective()
        return lambda: classification_step(network, optimizer, images, labels, objective)
    generator, step_g = ready(Generator(100, width, channels, size), 2e-4, (0.5, 0.999))
    discriminator, step_d = ready(Discriminator(width, channels, size), 2e-4, (0.5, 0.999))
    optimizers = (step_g, step_d)

    def step() -> Tensor:
        z = torch.randn(batch, 100, device=images.device)
        return adversarial_step(generator, discriminator, optimizers, images, z, BCE)

    return step


def in_precision(step: Callable[[], Tensor], precision: str) -> Callable[[], Tensor]:
    def run() -> Tensor:
        with torch.autocast(device().type, torch.bfloat16, enabled=precision == "bf16"):
            return step()

    return run


def step(
    model: str,
    whose: str = "ours",
    batch: int = 64,
    size: int | None = None,
    precision: str = "fp32",
    steps: int = 20,
    together: int = 1,
) -> dict[str, float]:
    """Seconds and floating-point operations of one step; whose: tutorial, ours, or captured (`together` models)."""
    images, labels = noise(model, batch, size or SIZES[model])
    with FlopCounterMode(display=False) as flops:
        bare_step(model, images, labels)()
    if whose == "tutorial":
        clock = Clock((images.contiguous(), labels), steps)
        tutorial.LOOPS[model](clock, 1, device())
    else:
        clock = Clock((images, labels), steps)
        as_jobs_do()
        ours = [in_precision(bare_step(model, images, labels), precision) for _ in range(together)]
        run = ours[0] if whose == "ours" else captured(ours)
        for _ in clock:
            run()
    done = {"seconds": clock.seconds(), "flop": float(flops.get_total_flops() * together)}
    if torch.cuda.is_available():
        done["peak_bytes"] = float(torch.cuda.max_memory_allocated())
    return done | {"flop_per_second": done["flop"] / done["seconds"]}


def as_jobs_do() -> None:
    """What jobs set before they train."""
    keep_freed_memory()
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True


def captured(steps: list[Callable[[], Tensor]]) -> Callable[[], Tensor]:
    return Captured(on_streams(steps) if len(steps) > 1 else steps[0], "the step", required=True)


def overhead(
    model: str, whose: str, steps: int = 1000, batch: int = 2, size: int | None = None, width: int = 1
) -> dict[str, float]:
    """Seconds of one step, by default of networks without arithmetic; whose: bare, captured or lightning (as jobs do).

    On a GPU "lightning" is captured.
    """
    images, labels = noise(model, batch, size or TINY[model])
    clock = Clock((images, labels), steps)
    as_jobs_do()
    if whose != "lightning":
        run = bare_step(model, images, labels, width)
        if whose == "captured":
            run = captured([run])
        for _ in clock:
            run()
        return {"seconds": clock.seconds()}
    side = images.shape[-1]
    module: Any
    if model == "dcgan":
        module = DCGAN(
            latent_dim=100,
            width=width,
            channels=3,
            image_size=side,
            discriminator_outputs=2,
            loss="non_saturating",
            learning_rate=2e-4,
            betas=[0.5, 0.999],
            provenance={},
        )
    else:
        network = CNN(2, 3, side)
        adam = configured().classifier.optimizer
        module = Classifier(
            network, classes=["a", "b"], optimizer=adam, learning_rate=1e-3, objective=Objective(), provenance={}
        )
    with tempfile.TemporaryDirectory() as folder:
        trainer = configured().trainer.build("overhead", 1, Path(folder), [], validate=False)
        trainer.fit(module, clock)
    return {"seconds": clock.seconds()}


def ceiling(precision: str = "fp32", repeats: int = 10) -> dict[str, float]:
    """The best rate, forward and backward, of convolutions shaped as the models' own, and of a matrix product."""
    best = 0.0
    # D's inner layers (batch 64: width, side, kernel, stride), then wide 3 x 3 ones.
    for inputs, outputs, side, kernel, stride in (
        (64, 128, 32, 4, 2),
        (128, 256, 16, 4, 2),
        (256, 512, 8, 4, 2),
        (64, 64, 32, 3, 1),
        (256, 256, 16, 3, 1),
    ):
        layer = nn.Conv2d(inputs, outputs, kernel, stride, 1, bias=False).to(device())
        layer.to(memory_format=torch.channels_last)
        images = torch.randn(64, inputs, side, side, device=device()).contiguous(memory_format=torch.channels_last)
        images.requires_grad_()

        def run(layer: nn.Module = layer, images: Tensor = images) -> None:
            with torch.autocast(device().type, torch.bfloat16, enabled=precision == "bf16"):
                loss = layer(images).sum()
            loss.backward()

        best = max(best, rate(run, repeats))
    left, right = (torch.randn(2048, 2048, device=device()) for _ in range(2))
    if precision == "bf16":
        left, right = left.bfloat16(), right.bfloat16()
    return {"convolution_flop_per_second": best, "matmul_flop_per_second": rate(lambda: left @ right, repeats)}


def rate(run: Callable[[], Any], repeats: int) -> float:
    with FlopCounterMode(display=False) as flops:
        run()
    run()
    wait()
    started = time.perf_counter()
    for _ in range(repeats):
        run()
    wait()
    return repeats * flops.get_total_flops() / (time.perf_counter() - started)


def data(model: str, whose: str, root: str) -> dict[str, float]:
    """Images a second from root/{train,valid,test}/CLASS/*.png to batches as the model takes them, in a second pass."""
    if whose == "tutorial":
        loader = tutorial.LOADERS[model](f"{root}/train")
        return {"images_per_second": second_pass(lambda: (labels for _, labels in loader))}
    images = ImageData.prepare(configured("data=folder", f"data.root={root}").data, seed=0)
    module = ImageDataModule(images, image_size=SIZES[model], batch_size=64, seed=0)
    batches = module.train_dataloader()
    return {"images_per_second": second_pass(lambda: (module.on_after_batch_transfer(x, 0)[1] for x in batches))}


def many(images: int, augment: str = "none") -> dict[str, float]:
    """Images a second out of a cache of `images` grey ones of 48 pixels to batches of 100 pixels, on the device."""
    cache = np.random.default_rng(0).integers(0, 256, (images, 48, 48, 1), dtype=np.uint8)
    dataset = Images(cache, np.arange(images), np.zeros(images, dtype=np.int64), SIZES["classifier"])
    batches = EpochBatches(images, 64, -(-images // 64), seed=0)
    augmented = configured(f"augment={augment}").augment

    def labels() -> Iterator[Tensor]:
        for places in batches:
            pixels, found = dataset[places]
            (augmented(pixels.to(device())).float() / 255).expand(-1, 3, -1, -1)
            yield found

    return {"images_per_second": second_pass(labels)}


def second_pass(labels: Callable[[], Iterable[Tensor]]) -> float:
    """Images a second of the second of two passes over batches, of which `labels` gives the labels."""
    sum(len(batch) for batch in labels())
    wait()
    started = time.perf_counter()
    count = sum(len(batch) for batch in labels())
    wait()
    return count / (time.perf_counter() - started)


def configured(*overrides: str) -> Config:
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return Config.read(compose("config", overrides=list(overrides)))


CASES: dict[str, Callable[..., dict[str, float]]] = {
    "step": step,
    "overhead": overhead,
    "ceiling": ceiling,
    "data": data,
    "many": many,
}


def main(name: str, *settings: str) -> None:
    def value(text: str) -> Any:
        return int(text) if text.isdigit() else text

    keys = {key: value(text) for key, text in (setting.split("=", 1) for setting in settings)}
    print(json.dumps(partial(CASES[name], **keys)()))


if __name__ == "__main__":
    main(*sys.argv[1:])
