"""What makes the answer believable, checked on the files of the runs: pass, warn or fail, and why."""

import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
from pydantic import BaseModel

from fer_experiments.data.synthetic import MANIFEST
from fer_experiments.evaluation.arms import ArmName
from fer_experiments.evaluation.findings import ORDER, Finding
from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.evaluation.result import Result
from fer_experiments.report.gans import alarms_of, gan_folders
from fer_experiments.report.study import StudyRecord
from fer_experiments.report.verdicts import Findings

FEW_SEEDS = 5  # with fewer, the exact sign-flip test can't reach p = 0.05 whatever the arms do
NEAR_DUPLICATES_FAIL = 0.05  # of the test images

# Checks that each audit holds the finding of, and their names here.
AUDITED = {
    "shortcut": "no shortcut",
    "memorisation": "no memorisation",
    "leakage": "no copies of held-out images",
    "collapse": "diversity of generated images",
    "labels": "labels of generated images",
    "coverage": "coverage of the real images",
}

Status = Literal["pass", "warn", "fail", "unknown"]


class Check(NamedTuple):
    """One finding; source: the files it was made from."""

    name: str
    status: Status
    said: str
    source: str


def run_checks(record: StudyRecord, findings: Findings, facts: dict[str, Any], folder: Path) -> list[Check]:
    """All checks, in the order of a reader's doubts. facts: data.json; what a run did not leave is unknown."""
    if not record.results:
        return []
    audits = read_audits(record, folder)
    return [
        _finished(record, findings),
        _seeds(record),
        _same_splits(record),
        _leakage(record, folder),
        _near_duplicates(facts),
        *(_of_audits(name, check, audits) for check, name in AUDITED.items()),
        _health(record, folder),
        _equal_steps(record),
        _test_images(record, facts),
        _same_versions(record),
        *_on_purpose(record),
    ]


def _finished(record: StudyRecord, findings: Findings) -> Check:
    missing = unfinished(record)
    left_out = [*record.problems, *findings.problems]
    total = len(record.arms) * len(record.seeds)
    said = f"{len(missing)} of {total} trainings did not finish; they are listed below." if missing else ""
    said = " ".join([said, *left_out]).strip()
    source = "study.json, seed_*/ARM/predictions.npz"
    return Check("all trainings", "warn" if said else "pass", said or f"All {total} finished.", source)


def unfinished(record: StudyRecord) -> list[tuple[str, str]]:
    """(seed and arm, why) of every training without a result: what failed, then what has not run."""
    finished = {(result.seed, result.arm) for result in record.results}
    expected = [(seed, arm) for seed in record.seeds for arm in record.arms if (seed, arm) not in finished]
    open_ones = [f"seed {seed}, {arm}" for seed, arm in expected]
    return [*record.failed.items(), *((where, "not run yet") for where in open_ones if where not in record.failed)]


def _seeds(record: StudyRecord) -> Check:
    count = len({result.seed for result in record.results})
    if count == 1:
        said = "One seed: only these trained networks can be compared, nothing is known of another training's luck."
    elif count < FEW_SEEDS:
        said = f"{count} seeds tell little of the luck of training; {FEW_SEEDS} or more are better."
    else:
        said = f"{count} seeds, each with its own draw, initialisation, order and GAN."
    return Check("seeds", "pass" if count >= FEW_SEEDS else "warn", said, "study.json")


def _same_splits(record: StudyRecord) -> Check:
    """Arms with other settings of the data (a sweep over data.imbalance) are compared with none of these."""
    splits: dict[tuple[int, str], set[str]] = {}
    for one in record.results:
        splits.setdefault((one.seed, ArmName.parse(one.arm).data), set()).add(one.split_hash)
    wrong = sorted({seed for (seed, _), found in splits.items() if len(found) > 1})
    many = " and setting of the data" if len({data for _, data in splits}) > 1 else ""
    said = f"All arms of a seed{many} were trained and measured on the same split."
    if wrong:
        said = f"The arms of seed {', '.join(map(str, wrong))} saw different splits; only equal ones are compared."
    return Check("same split for all arms", "fail" if wrong else "pass", said, "seed_*/ARM/result.json")


def _leakage(record: StudyRecord, folder: Path) -> Check:
    """From the files themselves: what was trained on, against what was measured on."""
    leaked, unread = [], []
    honest = [result for result in record.results if not ArmName.parse(result.arm).leak]
    for result in honest:
        try:
            found = _leaked(result, record.folder_of(result, folder))
        except (OSError, ValueError, KeyError) as error:
            unread.append(f"seed {result.seed}, {result.arm}: {error}")
        else:
            leaked += [f"seed {result.seed}, {result.arm}: {what}" for what in found]
    name, source = "no leakage", "training.csv, split.csv, predictions.npz, manifest.csv"
    if leaked:
        return Check(name, "fail", f"{'; '.join(leaked)}.", source)
    if unread:
        return Check(name, "unknown", f"Can't be checked: {'; '.join(unread)}", source)
    said = (
        f"In {len(honest)} trainings no training image, nor a pixel-identical one, lies in validation or test, and all "
        "generated images come from GANs of the same split."
    )
    return Check(name, "pass", said, source)


def _leaked(result: Result, folder: Path) -> list[str]:
    """Sentences on what a training saw but should not have. Raises what reading its files raises."""
    split = _read_csv(_beside(folder, "split.csv"))
    training = _read_csv(folder / "training.csv")
    paths = training.loc[training["origin"] == "real", "path"]
    real = split[split["path"].isin(paths)]
    held_out = split[split["split"] != "train"]
    measured = {value for part in ("valid", "test") for value in Predictions.load(folder, part).content_hash}
    found = []
    if not paths.isin(split["path"]).all():
        found.append("was trained on images that split.csv does not list")
    if set(held_out["content_hash"]) != measured:
        found.append("was measured on other images than split.csv lists for validation and test")
    if (real["split"] != "train").any():
        found.append("was trained on validation or test images")
    if real["content_hash"].isin([*held_out["content_hash"], *measured]).any():
        found.append("was trained on images whose pixel-identical copies are in validation or test")
    files = training.loc[training["origin"] == "generated", "path"]
    for manifest in {Path(file).parent.parent / MANIFEST for file in files}:
        if set(_read_csv(manifest)["split_hash"]) != {result.split_hash}:
            found.append(f"its generated images come from another split ({manifest})")
    return found


def _beside(folder: Path, name: str) -> Path:
    """A training's own file, or the one that the arms of its seed share."""
    return folder / name if (folder / name).is_file() else folder.parent / name


@lru_cache(maxsize=64)
def _read_csv(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding_errors="surrogateescape")


def _near_duplicates(facts: dict[str, Any]) -> Check:
    name, source = "near-duplicates across parts", "data.json, near_duplicates.csv"
    found = facts.get("near_duplicates")
    if found is None:
        return Check(name, "unknown", "Not looked for.", source)
    pairs, touched = found["pairs"], found["test_images"]
    if not pairs:
        return Check(name, "pass", "None found (perceptual hash).", source)
    total = max(1, sum(facts.get("images", {}).get("test", {}).values()))
    said = (
        f"{pairs} pairs of alike images lie in different parts; {touched:,} of {total:,} test images are in one. "
        "Pictures below. They make test scores too good for all arms alike."
    )
    return Check(name, "fail" if touched / total >= NEAR_DUPLICATES_FAIL else "warn", said, source)


# ---- the audits of the generated images


class _Finding(BaseModel):
    status: Literal["pass", "warn", "fail"]
    said: str
    measured: bool = True


class _Audit(BaseModel):
    """What the checks use of audit.json, which may lack any of it."""

    checks: dict[str, _Finding] = {}
    problem: str = ""


def read_audits(record: StudyRecord, folder: Path) -> list[dict[str, Any]]:
    """audit.json of every honest GAN and of every folder of images that an arm brought along."""
    found = []
    for file in audit_files(record, folder):
        try:
            audit = json.loads(file.read_bytes())
            _Audit.model_validate(audit)
            found.append(audit)
        except (OSError, ValueError):
            found.append({"problem": f"{file} can't be read"})
    return found


def audit_files(record: StudyRecord, folder: Path) -> list[Path]:
    """audit.json in each arm's folder, and in the GAN's beside it."""
    places = {record.folder_of(result, folder) for result in record.results if not ArmName.parse(result.arm).leak}
    of_gans = {file for gan in gan_folders(record, folder) for file in gan.glob("**/audit.json")}
    return sorted(of_gans | {file for place in places if (file := place / "audit.json").is_file()})


def _of_audits(name: str, check: str, audits: list[dict[str, Any]]) -> Check:
    """The worst of the audits' own findings; how many audits have one as bad."""
    source = "audit.json beside each GAN's images"
    found = [
        (one.get("class", ""), Finding(**one["checks"][check])) for one in audits if check in one.get("checks", {})
    ]
    measured = [(label, finding) for label, finding in found if finding.measured]
    if not measured:
        broken = {one.get("problem", "not measured") for one in audits}
        reasons = sorted({finding.said for _, finding in found} or broken)
        return Check(name, "unknown", " ".join(reasons) or "No generated images were audited.", source)
    label, worst = max(measured, key=lambda one: ORDER.index(one[1].status))
    alike = sum(finding.status == worst.status for _, finding in measured)
    count = f" ({alike} of {len(measured)} audits: {worst.status})" if len(measured) > 1 else ""
    return Check(name, worst.status, f"{label}: {worst.said}{count}", source)


def _health(record: StudyRecord, folder: Path) -> Check:
    name, source = "GAN training", "health.json beside each GAN"
    files = sorted({file for gan in gan_folders(record, folder) for file in gan.glob("**/health.json")})
    if not files:
        return Check(name, "unknown", "No GAN was trained here, or none left its health.json.", source)
    ill = {file: alarms for file in files if (alarms := alarms_of(file.parent))}
    if not ill:
        return Check(name, "pass", f"No alarms in {len(files)} trainings.", source)
    first = "; ".join(next(iter(ill.values())))
    return Check(name, "warn", f"Alarms in {len(ill)} of {len(files)} trainings. {first}", source)


# ---- the comparison itself


def _equal_steps(record: StudyRecord) -> Check:
    by_data: dict[str, list[int]] = {}
    for result in record.results:
        by_data.setdefault(ArmName.parse(result.arm).data, []).append(result.optimizer_steps)
    ranges = {data: (min(steps), max(steps)) for data, steps in by_data.items()}
    unequal = [f"between {low:,} and {high:,} optimizer steps{f' with {data}' if data else ''}"
               for data, (low, high) in ranges.items() if low < high]  # fmt: skip
    said = f"The arms were not trained equally long: {'; '.join(unequal)}."
    if not unequal:
        many = "; ".join(f"{low:,}{f' with {data}' if data else ''}" for data, (low, _) in ranges.items())
        said = f"Every arm was trained for as many optimizer steps as those it is compared with: {many}."
        said = f"Every arm was trained for {many} optimizer steps." if len(ranges) == 1 else said
    return Check("equal cost", "fail" if unequal else "pass", said, "seed_*/ARM/result.json")


def _test_images(record: StudyRecord, facts: dict[str, Any]) -> Check:
    name, source = "test part", "seed_*/ARM/result.json, data.json"
    there = sum(facts.get("images", {}).get("test", {}).values())
    used = min(result.metrics["test"]["images"] for result in record.results)
    absent = sorted(
        {label for one in record.results for label, recall in one.metrics["test"]["recall"].items() if recall is None}
    )
    if used < there:
        return Check(name, "fail", f"Only {used:,} of the {there:,} test images were looked at.", source)
    if absent:
        said = f"The test part has no image of {', '.join(absent)}: nothing is said of it, the means are of the others."
        return Check(name, "warn", said, source)
    return Check(name, "pass", f"{used:,} real images, some of every class.", source)


def _same_versions(record: StudyRecord) -> Check:
    mixed = [
        f"{package} {', '.join(versions)}"
        for package in sorted({package for one in record.results for package in one.versions})
        if len(versions := sorted({one.versions.get(package, "unknown") for one in record.results})) > 1
    ]
    for what in ("device", "precision"):
        if len(values := sorted({getattr(one, what) for one in record.results})) > 1:
            mixed.append(f"{what}s {', '.join(values)}")
    said = f"Results of different environments are compared: {'; '.join(mixed)}." if mixed else (
        "All trainings ran with the same versions, on the same kind of device, in the same precision."
    )  # fmt: skip
    return Check("same environment", "warn" if mixed else "pass", said, "versions in seed_*/ARM/result.json")


def _on_purpose(record: StudyRecord) -> Iterable[Check]:
    leaks = [arm for arm in record.arms if ArmName.parse(arm).leak]
    if leaks:
        said = f"{', '.join(leaks)} saw test images on purpose, to show what that does; no verdict rests on them."
        yield Check("leak on purpose", "warn", said, "study.json")
