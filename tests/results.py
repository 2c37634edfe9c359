"""Results, studies, jobs and GANs as runs leave them, without a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from PIL import Image

from fer_experiments.evaluation.predictions import Predictions, save_predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study_record import StudyRecord

HISTORY = [
    {"epoch": 1.0, "train/loss": 0.7, "train/accuracy": 0.5, "valid/loss": 0.6, "valid/accuracy": 0.6},
    {"epoch": 2.0, "train/loss": 0.5, "train/accuracy": 0.7, "valid/loss": 0.5, "valid/accuracy": 0.8},
]


def build_result(arm: str, seed: int, score: float, classes: tuple[str, ...] = ("angry", "happy"), **changes) -> Result:
    """Return a result on ten test images of each class, with generated images if the arm's name has dcgan in it."""
    test: dict[str, Any] = {
        "accuracy": score,
        "balanced_accuracy": score,
        "loss": 0.4,
        "recall": dict.fromkeys(classes, score),
        "confusion": [[8, 2], [3, 7]] if len(classes) == 2 else (10 * np.eye(len(classes), dtype=int)).tolist(),
        "images": 10 * len(classes),
    }
    fields = {
        "job": "cnn",
        "arm": arm,
        "seed": seed,
        "classes": list(classes),
        "real": dict.fromkeys(classes, 10) | {classes[0]: 5},
        "generated": {classes[0]: 5} if "dcgan" in arm else {},
        "repeated": {},
        "optimizer_steps": 4,
        "selected_epoch": 2,
        "metrics": {"test": test},
        "history": HISTORY,
        "split_hash": f"split{seed}",
        "seconds": 1.0,
        "device": "cpu",
        "precision": "fp32",
        "versions": {},
    }
    return Result(**(fields | changes))


def build_study(
    scores: dict[str, dict[int, float]], seeds: list[int], failed: dict[str, str] | None = None
) -> StudyRecord:
    """Return a study. scores: {arm: {seed: balanced accuracy}} of its finished trainings."""
    results = [build_result(arm, seed, score) for arm, by_seed in scores.items() for seed, score in by_seed.items()]
    return StudyRecord(arms=list(scores), seeds=seeds, results=results, failed=failed or {}, versions={"python": "3"})


def write_gan(folder: Path, epochs: list[int]) -> None:
    """Write a GAN's result, and a grid of samples for each of the epochs."""
    (folder / "samples").mkdir(parents=True)
    for epoch in epochs:
        Image.new("RGB", (16, 16), "gray").save(folder / "samples" / f"epoch_{epoch:04d}.png")
    row = {"gan/loss_discriminator": 1.0, "gan/loss_generator": 1.0, "gan/score_real": 0.6, "gan/score_generated": 0.4}
    gan = build_result("gan", 0, 0.0, job="dcgan", real={"angry": 5}, generated={"angry": 5}, metrics={})
    gan.model_copy(update={"history": [{"step": 2.0, "epoch": 1.0, **row}]}).save(folder)


def build_predictions(score: float, images: int = 200, seed: int = 0, prefix: str = "test") -> Predictions:
    """Return predictions that are right on the share `score` of each of two even classes.

    Which images are hard depends a little on `seed`.
    """
    labels = np.arange(images) % 2
    rank = np.argsort(np.argsort(np.arange(images) // 2 * 1.0 + np.random.default_rng(seed).normal(0, 3, images)))
    predicted = np.where(rank < round(score * images), labels, 1 - labels)
    logits = np.eye(2, dtype=np.float32)[predicted]
    return Predictions(logits, labels, np.array([f"{prefix}{n:03d}" for n in range(images)]), ("angry", "happy"))


def write_training(result: Result, folder: Path, score: float, valid: float | None = None, **changes: Any) -> None:
    """Write result.json, predictions.npz and training.csv of an arm's training, and split.csv of its seed."""
    folder.mkdir(parents=True, exist_ok=True)
    result.save(folder)
    parts = {
        "valid": build_predictions(score if valid is None else valid, 40, prefix="valid"),
        "test": build_predictions(score, seed=result.seed, **changes),
    }
    save_predictions(folder, parts)
    train = pd.DataFrame({"path": [f"train{n}" for n in range(15)], "label": "angry", "split": "train"})
    held_out = [
        pd.DataFrame({"path": predictions.content_hash, "label": "angry", "split": part})
        for part, predictions in parts.items()
    ]
    split = pd.concat([train, *held_out], ignore_index=True)
    split.assign(content_hash=split["path"]).to_csv(folder.parent / "split.csv", index=False)
    train.assign(origin="real", times=1).drop(columns="split").to_csv(folder / "training.csv", index=False)


def write_study(
    folder: Path,
    scores: dict[str, dict[int, float]],
    seeds: list[int],
    failed: dict[str, str] | None = None,
    valid: dict[str, float] | None = None,
) -> StudyRecord:
    """Return build_study(), and write the files of its trainings.

    valid: {arm: score on validation} of the arms whose score on validation is not that on test.
    """
    record = build_study(scores, seeds, failed)
    for result in record.results:
        score = scores[result.arm][result.seed]
        write_training(result, record.folder_of(result, folder), score, (valid or {}).get(result.arm))
    return record


def save_study(folder: Path, record: StudyRecord) -> Path:
    """Write study.json and the result.json of each training; return the study's folder."""
    for result in record.results:
        write_result(record.folder_of(result, folder), result)
    folder.mkdir(exist_ok=True)
    record.save(folder)
    return folder


def write_result(folder: Path, result: Result) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    result.save(folder)


def write_job(
    folder: Path, *overrides: str, train: str = "cnn", experiment: str = "quick", augment: str = "none", **keys: dict
) -> None:
    """Write what Hydra leaves of a job. keys: groups of the configuration, such as gan={"epochs": 25}."""
    config = {"seed": 0, "train": {"arms": ["none", "dcgan"], "seeds": 2}, "gan": {"epochs": 25}, **keys}
    choices = {"train": train, "experiment": experiment, "balance": "dcgan", "augment": augment}
    files = {"overrides": list(overrides), "config": config, "hydra": {"hydra": {"runtime": {"choices": choices}}}}
    (folder / ".hydra").mkdir(parents=True)
    for name, content in files.items():
        (folder / ".hydra" / f"{name}.yaml").write_text(yaml.safe_dump(content))


def write_sweep(root: Path, **epochs_by_job: int) -> Path:
    """Write a sweep over gan.epochs, with a job for each {name: epochs}; return its folder."""
    for number, (name, epochs) in enumerate(epochs_by_job.items()):
        write_job(root / name, f"gan.epochs={epochs}", "trainer.progress=false", gan={"epochs": epochs})
        write_result(root / name, build_result("dcgan", 0, 0.7 + number / 10))
    return root
