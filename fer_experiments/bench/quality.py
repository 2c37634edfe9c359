"""What bf16 costs in quality, from two studies: python -m fer_experiments.bench.quality FP32_STUDY BF16_STUDY.

The studies differ in trainer.precision alone and have an arm whose classifier gives the features of KID, by default
none+traditional of the first study's first seed, so that all images are looked at with the same eyes.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_experiments.data.module import ImageData, ImageDataModule, Images
from fer_experiments.ending import ended
from fer_experiments.evaluation.kid import kernel_inception_distance
from fer_experiments.gan.sampling import TrainedGenerator
from fer_experiments.report.study import FILE, StudyRecord
from fer_experiments.train.config import Config, load

SAMPLES = 1000
FIRST_SEED = 10**6  # latent seeds that no training used


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.quality", description=__doc__)
    parser.add_argument("studies", type=Path, nargs="+", help="folders of finished studies")
    parser.add_argument("--features", default="none+traditional", help="arm whose classifier gives the features")
    options = parser.parse_args(arguments)
    print(table([measure(study, options.studies[0], options.features) for study in options.studies]))


def measure(study: Path, reference: Path, arm: str) -> dict[str, list[float] | str]:
    """{precision, kid, floor, ARM: balanced accuracies}, each a value for each seed."""
    record = StudyRecord.model_validate_json((study / FILE).read_bytes())
    config = Config.read(load(study / "config.yaml"))
    found: dict[str, list[float] | str] = {"precision": record.results[0].precision}
    for name in record.arms:
        found[name] = [result.metrics["test"]["balanced_accuracy"] for result in record.of_arm(name)]
    first = ImageData.prepare(config.data, record.seeds[0])
    network = load_classifier(config, first, reference / f"seed_{record.seeds[0]}" / arm / "checkpoints" / "best.ckpt")
    kid, floor = [], []
    for seed in record.seeds:
        data = ImageData.prepare(config.data, seed)
        trained = TrainedGenerator.load(study / f"seed_{seed}" / "gan" / "checkpoints" / "last.ckpt")
        module = ImageDataModule(data, image_size=config.classifier.image_size, batch_size=64, seed=seed)
        test = features(network, module, *_of_class(module.part("test"), data, trained.label))
        train = features(network, module, *_of_class(module.train_set, data, trained.label))
        pixels = trained.sample(range(FIRST_SEED, FIRST_SEED + SAMPLES), trained.label)
        made = Images(pixels, np.arange(SAMPLES), np.zeros(SAMPLES, dtype=np.int64), config.classifier.image_size)
        generated = features(network, module, made, list(range(SAMPLES)))
        kid.append(kernel_inception_distance(test, generated).value)
        floor.append(kernel_inception_distance(test, train).value)
    return found | {"kid": kid, "floor": floor}


def _of_class(images: Images, data: ImageData, label: str) -> tuple[Images, list[int]]:
    return images, torch.nonzero(images.labels == data.classes.index(label)).flatten().tolist()


def load_classifier(config: Config, data: ImageData, checkpoint: Path) -> nn.Module:
    """The paper's CNN up to its hidden layer of 1024, in evaluation mode."""
    network = config.classifier.build_network(len(data.classes), config.data.channels)
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")["state_dict"]
    network.load_state_dict({name.removeprefix("network."): value for name, value in saved.items()})
    return nn.Sequential(network.get_submodule("features"), network.get_submodule("hidden")).eval()


@torch.inference_mode()
def features(network: nn.Module, module: ImageDataModule, images: Images, places: list[int]) -> Tensor:
    """Features (N, D) of the images at `places`."""
    chunks = [places[start : start + 128] for start in range(0, len(places), 128)]
    return torch.cat([network(module.prepare(images[chunk][0])) for chunk in chunks])


def table(studies: list[dict[str, list[float] | str]]) -> str:
    """One row a study: mean over its seeds and the seeds' values."""
    names = [name for name in studies[0] if name != "precision"]
    rows = ["| precision | " + " | ".join(names) + " |", "| --- |" + " --: |" * len(names)]
    for study in studies:
        cells = []
        for name in names:
            values = study[name]
            assert not isinstance(values, str)
            shown = [f"{value:.4f}" for value in (statistics.mean(values), *values)]
            cells.append(f"{shown[0]} ({', '.join(shown[1:])})")
        rows.append(f"| {study['precision']} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    ended(main)
