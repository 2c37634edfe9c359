"""What a training should not have used: its own files, compared with the split."""

from functools import lru_cache
from pathlib import Path

from fer_experiments.data.synthetic import MANIFEST
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.gan_files import find_audits_of_arm
from fer_experiments.runs.training_files import find_training_file, read_text_table

_read_csv = lru_cache(maxsize=64)(read_text_table)


def find_leaks(result: Result, folder: Path) -> list[str]:
    """Return what is wrong with the images of the training in `folder`: "was trained on validation or test images".

    Raises OSError, ValueError or KeyError if its files can't be read.
    """
    split = _read_csv(find_training_file(folder, "split.csv"))
    training = _read_csv(folder / "training.csv")
    paths = training.loc[training["origin"] == "real", "path"]
    real = split[split["path"].isin(paths)]
    held_out = split[split["split"] != "train"]
    measured = {value for part in ("valid", "test") for value in Predictions.load(folder, part).content_hash}
    leaks = []
    if not paths.isin(split["path"]).all():
        leaks.append("was trained on images that split.csv does not list")
    if set(held_out["content_hash"]) != measured:
        leaks.append("was measured on other images than split.csv lists for validation and test")
    if (real["split"] != "train").any():
        leaks.append("was trained on validation or test images")
    used = {*real["content_hash"], *training.get("content_hash", [])}  # the column is new; it has added images as well
    if used & {*held_out["content_hash"], *measured}:
        leaks.append("was trained on images whose pixel-identical copies are in validation or test")
    if "group" in split:
        groups = {*real["group"], *training.get("group", [])} - {""}
        if groups & {*held_out["group"]}:
            leaks.append("was trained on images of groups that are in validation or test")
    files = training.loc[training["origin"] == "generated", "path"]
    has_audit = bool(find_audits_of_arm(folder))
    for manifest in {Path(file).parent.parent / MANIFEST for file in files}:
        if has_audit and not manifest.is_file():
            continue  # images of balance=external, of which that audit says whether their generator saw test images
        if set(_read_csv(manifest)["split_hash"]) != {result.split_hash}:
            leaks.append(f"its generated images come from another split ({manifest})")
    return leaks
