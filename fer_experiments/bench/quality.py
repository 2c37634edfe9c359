"""What bf16 costs in quality, from two studies: python -m fer_experiments.bench.quality FP32_STUDY BF16_STUDY.

The studies differ in trainer.precision alone. The features of KID come from one classifier for all studies: that of an
arm (none+traditional by default) of the first study's first seed.
"""

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from fer_experiments.data.datamodule import ImageDataModule
from fer_experiments.data.dataset import ImageDataset
from fer_experiments.data.prepared import PreparedData
from fer_experiments.evaluation.generated.kid import kernel_inception_distance
from fer_experiments.exit_status import run_command_line
from fer_experiments.gan.trained import TrainedGenerator
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.config import Config, load_config

SAMPLES = 1000
FIRST_SEED = 10**6  # latent seeds that no training used


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.quality", description=__doc__)
    parser.add_argument("studies", type=Path, nargs="+", help="folders of finished studies")
    parser.add_argument("--features", default="none+traditional", help="arm whose classifier gives the features")
    options = parser.parse_args(arguments)
    print(format_table([measure(study, options.studies[0], options.features) for study in options.studies]))


def measure(study: Path, reference: Path, arm: str) -> dict[str, list[float] | str]:
    """Return a study's precision and, as lists with a value for each seed, kid, floor and ARM: balanced accuracy.

    Args:
        study: its folder.
        reference: the folder of the study whose classifier gives the features.
        arm: the folder name of that classifier's arm.

    Returns:
        kid: the distance of generated images from test images; floor: that of training images.
    """
    record = StudyRecord.load(study)
    config = Config.read(load_config(study / "config.yaml"))
    columns: dict[str, list[float] | str] = {"precision": record.results[0].precision}
    for name in record.arms:
        columns[name] = [result.metrics["test"]["balanced_accuracy"] for result in record.results_of(name)]
    first = PreparedData.prepare(config.data, record.seeds[0])
    network = load_classifier(config, first, reference / f"seed_{record.seeds[0]}" / arm / "checkpoints" / "best.ckpt")
    kid, floor = [], []
    for seed in record.seeds:
        data = PreparedData.prepare(config.data, seed)
        trained = TrainedGenerator.load(study / f"seed_{seed}" / "gan" / "checkpoints" / "last.ckpt")
        module = ImageDataModule(data, image_size=config.classifier.image_size, batch_size=64, seed=seed)
        test = compute_features(network, module, *_select_class(module.part("test"), data, trained.label))
        train = compute_features(network, module, *_select_class(module.train_set, data, trained.label))
        pixels = trained.sample(range(FIRST_SEED, FIRST_SEED + SAMPLES), trained.label)
        labels = np.zeros(SAMPLES, dtype=np.int64)
        samples = ImageDataset(pixels, np.arange(SAMPLES), labels, config.classifier.image_size)
        generated = compute_features(network, module, samples, list(range(SAMPLES)))
        kid.append(kernel_inception_distance(test, generated).value)
        floor.append(kernel_inception_distance(test, train).value)
    return columns | {"kid": kid, "floor": floor}


def _select_class(images: ImageDataset, data: PreparedData, label: str) -> tuple[ImageDataset, list[int]]:
    """Return the images with the places of those of a class."""
    return images, torch.nonzero(images.labels == data.classes.index(label)).flatten().tolist()


def load_classifier(config: Config, data: PreparedData, checkpoint: Path) -> nn.Module:
    """Return the paper's CNN up to its hidden layer of 1024, in evaluation mode."""
    network = config.classifier.build_network(len(data.classes), config.data.channels)
    saved = torch.load(checkpoint, weights_only=True, map_location="cpu")["state_dict"]
    network.load_state_dict({name.removeprefix("network."): value for name, value in saved.items()})
    return nn.Sequential(network.get_submodule("features"), network.get_submodule("hidden")).eval()


@torch.inference_mode()
def compute_features(network: nn.Module, module: ImageDataModule, images: ImageDataset, places: list[int]) -> Tensor:
    """Return the features (N, D) of the images at `places`."""
    chunks = [places[start : start + 128] for start in range(0, len(places), 128)]
    return torch.cat([network(module.prepare(images[chunk][0])) for chunk in chunks])


def format_table(studies: list[dict[str, list[float] | str]]) -> str:
    """Return a row for each study, as Markdown: means over its seeds, with the values of the seeds in brackets."""
    names = [name for name in studies[0] if name != "precision"]
    rows = ["| precision | " + " | ".join(names) + " |", "| --- |" + " --: |" * len(names)]
    for study in studies:
        cells = []
        for name in names:
            values = study[name]
            assert not isinstance(values, str)
            mean, *of_seeds = (f"{value:.4f}" for value in (statistics.mean(values), *values))
            cells.append(f"{mean} ({', '.join(of_seeds)})")
        rows.append(f"| {study['precision']} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    run_command_line(main)
