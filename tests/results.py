"""Results, studies and GANs as runs leave them, made without a training."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from fer_experiments.evaluation.predictions import Predictions, save_predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.study import StudyRecord

HISTORY = [
    {"epoch": 1.0, "train/loss": 0.7, "train/accuracy": 0.5, "valid/loss": 0.6, "valid/accuracy": 0.6},
    {"epoch": 2.0, "train/loss": 0.5, "train/accuracy": 0.7, "valid/loss": 0.5, "valid/accuracy": 0.8},
]


def finished(arm: str, seed: int, score: float, classes: tuple[str, ...] = ("angry", "happy"), **changes) -> Result:
    """A result on 20 test images, with generated images where the arm's name has dcgan in it."""
    test: dict[str, Any] = {
        "accuracy": score,
        "balanced_accuracy": score,
        "loss": 0.4,
        "recall": dict.fromkeys(classes, score),
        "confusion": [[8, 2], [3, 7]],
        "images": 20,
    }
    fields = {
        "job": "cnn",
        "arm": arm,
        "seed": seed,
        "classes": list(classes),
        "real": {classes[0]: 5, classes[1]: 10},
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


def study(scores: dict[str, dict[int, float]], seeds: list[int], failed: dict[str, str] | None = None) -> StudyRecord:
    """scores: {arm: {seed: balanced accuracy}} of what has finished."""
    results = [finished(arm, seed, score) for arm, found in scores.items() for seed, score in found.items()]
    return StudyRecord(arms=list(scores), seeds=seeds, results=results, failed=failed or {}, versions={"python": "3"})


def write_gan(folder: Path, epochs: list[int]) -> None:
    (folder / "samples").mkdir(parents=True)
    for epoch in epochs:
        Image.new("RGB", (16, 16), "gray").save(folder / "samples" / f"epoch_{epoch:04d}.png")
    row = {"gan/loss_discriminator": 1.0, "gan/loss_generator": 1.0, "gan/score_real": 0.6, "gan/score_generated": 0.4}
    gan = finished("gan", 0, 0.0, job="dcgan", real={"angry": 5}, generated={"angry": 5}, metrics={})
    gan.model_copy(update={"history": [{"step": 2.0, "epoch": 1.0, **row}]}).save(folder)


def predictions(score: float, images: int = 200, seed: int = 0, prefix: str = "test") -> Predictions:
    """Of two even classes, right on that share of each; which of them are hard depends on `seed` a little."""
    labels = np.arange(images) % 2
    rank = np.argsort(np.argsort(np.arange(images) // 2 * 1.0 + np.random.default_rng(seed).normal(0, 3, images)))
    predicted = np.where(rank < round(score * images), labels, 1 - labels)
    logits = np.eye(2, dtype=np.float32)[predicted]
    return Predictions(logits, labels, np.array([f"{prefix}{n:03d}" for n in range(images)]), ("angry", "happy"))


def write_training(result: Result, folder: Path, score: float, valid: float | None = None, **changes: Any) -> None:
    """result.json, predictions.npz and training.csv of an arm's training, and split.csv of its seed."""
    folder.mkdir(parents=True, exist_ok=True)
    result.save(folder)
    parts = {
        "valid": predictions(score if valid is None else valid, 40, prefix="valid"),
        "test": predictions(score, seed=result.seed, **changes),
    }
    save_predictions(folder, parts)
    train = pd.DataFrame({"path": [f"train{n}" for n in range(15)], "label": "angry", "split": "train"})
    held = [pd.DataFrame({"path": of.content_hash, "label": "angry", "split": part}) for part, of in parts.items()]
    split = pd.concat([train, *held], ignore_index=True)
    split.assign(content_hash=split["path"]).to_csv(folder.parent / "split.csv", index=False)
    train.assign(origin="real", times=1).drop(columns="split").to_csv(folder / "training.csv", index=False)


def written(
    folder: Path,
    scores: dict[str, dict[int, float]],
    seeds: list[int],
    failed: dict[str, str] | None = None,
    valid: dict[str, float] | None = None,
) -> StudyRecord:
    """study() with the files of its trainings. valid: {arm: its score on validation} where it is not that on test."""
    record = study(scores, seeds, failed)
    for result in record.results:
        score = scores[result.arm][result.seed]
        write_training(result, record.folder_of(result, folder), score, (valid or {}).get(result.arm))
    return record
