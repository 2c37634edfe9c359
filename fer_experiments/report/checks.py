"""Checks of whether the answer can be believed, on the files of the runs. A new check is registered in CHECKS."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal, NamedTuple

from fer_experiments.audit.finding import SEVERITY
from fer_experiments.audit.record import AuditRecord
from fer_experiments.enumeration import enumerate_names
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.report.data_facts import DataFacts
from fer_experiments.report.findings import Findings
from fer_experiments.report.gan_files import HEALTH_FILE, find_audits_of_arm, find_gan_folders, read_alarms
from fer_experiments.report.leakage import find_leaks
from fer_experiments.report.study_record import StudyRecord, training_key

MIN_SEEDS = 5  # with fewer, the exact sign-flip test can't reach p = 0.05, whatever the arms do
NEAR_DUPLICATES_FAIL = 0.05  # of the test images
MIN_OF_CLASS = 50  # with n images the 95 % interval of a recall is at most +-1.96 sqrt(0.25 / n), 14 points
MIN_GROUPS = 10  # of which a class has images in a part
PARTS = {"test": "test", "valid": "validation"}

Status = Literal["pass", "warn", "fail", "unknown"]


class Check(NamedTuple):
    """The outcome of one check. source: the files that it used."""

    name: str
    status: Status
    message: str
    source: str


@dataclass(frozen=True)
class StudyFiles:
    """What the checks look at: a study with at least one result, and what lies in its folder."""

    record: StudyRecord
    findings: Findings
    facts: DataFacts
    folder: Path

    @cached_property
    def audits(self) -> list[AuditRecord]:
        return load_audits(self.record, self.folder)


def run_checks(record: StudyRecord, findings: Findings, facts: DataFacts, folder: Path) -> list[Check]:
    """Run all CHECKS. What the runs did not leave in `folder` is unknown. Without a result nothing is checked."""
    if not record.results:
        return []
    study = StudyFiles(record, findings, facts, folder)
    return [check for run_check in CHECKS if (check := run_check(study)) is not None]


def check_all_finished(study: StudyFiles) -> Check:
    record = study.record
    missing = record.unfinished_trainings()
    total = len(record.planned)
    problems = [f"{len(missing)} of {total} trainings did not finish; they are listed below."] if missing else []
    problems += [*record.problems, *study.findings.problems]
    source = "study.json, seed_*/ARM/predictions.npz"
    return Check(
        "all trainings finished",
        "warn" if problems else "pass",
        " ".join(problems) or f"All {total} trainings finished.",
        source,
    )


def check_seeds(study: StudyFiles) -> Check:
    compared = [verdict.pairs[0].comparison.seeds for verdict in study.findings.arms if verdict.pairs]
    count = min(compared, default=len({result.seed for result in study.record.results}))
    splits = {(ArmName.parse(result.arm).data, result.split_hash) for result in study.record.results}
    has_one_split = len(splits) == len({data for data, _ in splits})
    if count == 1:
        message = (
            "One seed: the comparison is of these trained networks alone and says nothing about the luck of another "
            "training."
        )
    elif count < MIN_SEEDS:
        message = f"{count} seeds say little about the luck of training; use {MIN_SEEDS} or more."
    elif has_one_split:
        message = (
            f"{count} seeds of one split (data.split_seed), each with its own initialisation, order and GAN: the "
            "intervals do not cover another split."
        )
    else:
        message = f"{count} seeds, each with its own subset of the images, initialisation, order and GAN."
    return Check("enough seeds", "pass" if count >= MIN_SEEDS else "warn", message, "study.json, verdict.json")


def check_same_split(study: StudyFiles) -> Check:
    """Check that the arms of a seed have one split. Arms with other settings of the data may have another."""
    splits: dict[tuple[int, str], set[str]] = {}
    for result in study.record.results:
        splits.setdefault((result.seed, ArmName.parse(result.arm).data), set()).add(result.split_hash)
    mixed = sorted({seed for (seed, _), hashes in splits.items() if len(hashes) > 1})
    each_setting = " and setting of the data" if len({data for _, data in splits}) > 1 else ""
    message = f"All arms of a seed{each_setting} were trained and measured on the same split."
    if mixed:
        seeds = ", ".join(map(str, mixed))
        message = f"The arms of seed {seeds} saw different splits; only arms with the same split are compared."
    return Check("same split for all arms", "fail" if mixed else "pass", message, "seed_*/ARM/result.json")


def check_no_leakage(study: StudyFiles) -> Check:
    """Check the files themselves: the images of training against those of validation and test."""
    name, source = "test images unseen in training", "training.csv, split.csv, predictions.npz, manifest.csv"
    leaks, unreadable = [], []
    honest = [result for result in study.record.results if not ArmName.parse(result.arm).leak]
    for result in honest:
        training = training_key(result.seed, result.arm)
        try:
            sentences = find_leaks(result, study.record.folder_of(result, study.folder))
        except (OSError, ValueError, KeyError) as error:
            unreadable.append(f"{training}: {error}")
        else:
            leaks += [f"{training}: {sentence}" for sentence in sentences]
    if leaks:
        return Check(name, "fail", f"{'; '.join(leaks)}.", source)
    if unreadable:
        return Check(name, "unknown", f"Can't be checked: {'; '.join(unreadable)}", source)
    message = (
        f"In {len(honest)} trainings no real training image, nor a pixel-identical one, lies in validation or test, "
        "and all images of GANs come from the same split."
    )
    return Check(name, "pass", message, source)


def check_near_duplicates(study: StudyFiles) -> Check:
    name, source = "parts share no near-duplicates", "data.json, near_duplicates.csv"
    near_duplicates = study.facts.near_duplicates
    if near_duplicates is None:
        return Check(name, "unknown", "data.json does not say whether there are any.", source)
    pairs, images = near_duplicates["pairs"], near_duplicates["test_images"]
    if not pairs:
        return Check(name, "pass", "None found (perceptual hash).", source)
    total = max(1, study.facts.test_images)
    message = (
        f"Pairs of alike images in different parts (shown below): {pairs:,}; test images in them: {images:,} of "
        f"{total:,}. Such images make the test scores of all arms too good."
    )
    return Check(name, "fail" if images / total >= NEAR_DUPLICATES_FAIL else "warn", message, source)


# ---- the audits of the generated images


def load_audits(record: StudyRecord, folder: Path) -> list[AuditRecord]:
    """Load audit.json of every GAN without a leak and of every folder of images that an arm was given."""
    audits = []
    for file in find_audits(record, folder):
        try:
            audits.append(AuditRecord.load(file.parent))
        except ValueError:
            audits.append(AuditRecord(label="", generated=0, synthetic="", problem=f"{file} can't be read"))
    return audits


def find_audits(record: StudyRecord, folder: Path) -> list[Path]:
    """Return the audit.json files in the folders of honest arms and in or below those of their GANs.

    An arm that was refused for what its audit says has no result, but an audit.
    """
    name = AuditRecord.file_name
    honest = [arm for arm in map(ArmName.parse, record.arms) if not arm.leak]
    places = {record.folder_of(result, folder) for result in record.results if not ArmName.parse(result.arm).leak}
    places |= {folder / f"seed_{seed}" / arm.folder for seed in record.seeds for arm in honest}
    of_gans = {file for gan in find_gan_folders(record, folder) for file in gan.glob(f"**/{name}")}
    return sorted(of_gans.union(*(find_audits_of_arm(place) for place in places)))


def check_audits(study: StudyFiles, key: str, name: str) -> Check:
    """Return the worst finding of the audits under `key`, and how many audits have one as bad."""
    source = "audit.json beside each GAN's images"
    findings = [(audit.label, audit.checks[key]) for audit in study.audits if key in audit.checks]
    measured = [(label, finding) for label, finding in findings if finding.is_measured]
    if not measured:
        problems = {audit.problem or "not measured" for audit in study.audits}
        reasons = sorted({finding.message for _, finding in findings} or problems)
        return Check(name, "unknown", " ".join(reasons) or "No generated images were audited.", source)
    label, worst = max(measured, key=lambda pair: SEVERITY.index(pair[1].status))
    as_bad = sum(finding.status == worst.status for _, finding in measured)
    count = f" ({as_bad} of {len(measured)} audits: {worst.status})" if len(measured) > 1 else ""
    return Check(name, worst.status, f"{label}: {worst.message}{count}", source)


def check_gan_training(study: StudyFiles) -> Check:
    name, source = "GAN training is healthy", "health.json beside each GAN"
    folders = find_gan_folders(study.record, study.folder)
    files = sorted({file for gan in folders for file in gan.glob(f"**/{HEALTH_FILE}")})
    if not files:
        return Check(name, "unknown", "No GAN was trained here, or none left its health.json.", source)
    alarms = [alarms for file in files if (alarms := read_alarms(file.parent))]
    if not alarms:
        return Check(name, "pass", f"No alarms in {len(files)} trainings.", source)
    return Check(name, "warn", f"Alarms in {len(alarms)} of {len(files)} trainings. {'; '.join(alarms[0])}", source)


# ---- the comparison itself


def check_equal_cost(study: StudyFiles) -> Check:
    """Check that arms with the same setting of the data were trained for as many optimizer steps."""
    steps_by_data: dict[str, list[int]] = {}
    for result in study.record.results:
        steps_by_data.setdefault(ArmName.parse(result.arm).data, []).append(result.optimizer_steps)
    setting = {data: f" with {data}" if data else "" for data in steps_by_data}
    unequal = [
        f"between {min(steps):,} and {max(steps):,} optimizer steps{setting[data]}"
        for data, steps in steps_by_data.items()
        if min(steps) < max(steps)
    ]
    counts = "; ".join(f"{steps[0]:,}{setting[data]}" for data, steps in steps_by_data.items())
    if unequal:
        message = f"The arms were not trained equally long: {'; '.join(unequal)}."
    elif len(steps_by_data) == 1:
        message = f"Every arm was trained for {counts} optimizer steps."
    else:
        message = f"Every arm was trained for as many optimizer steps as those it is compared with: {counts}."
    return Check("equal cost", "fail" if unequal else "pass", message, "seed_*/ARM/result.json")


def check_test_images(study: StudyFiles) -> Check:
    name, source = "test part", "seed_*/ARM/result.json, data.json"
    metrics = [result.metrics["test"] for result in study.record.results]
    used, total = min(test["images"] for test in metrics), study.facts.test_images
    absent = sorted({label for test in metrics for label, recall in test["recall"].items() if recall is None})
    if used < total:
        return Check(name, "fail", f"Only {used:,} of the {total:,} test images were used.", source)
    if absent:
        message = (
            f"The test part has no image of {enumerate_names(absent)}: no result is about it, and means are over the "
            "other classes."
        )
        return Check(name, "warn", message, source)
    return Check(name, "pass", f"{used:,} real images, with some of every class.", source)


def check_class_sizes(study: StudyFiles) -> Check:
    """Warn of classes with so few images that little can be said of them, however many seeds there are."""
    images = study.facts.images
    smallest = {part: min(images.get(part, {"": 0}).items(), key=lambda item: item[1]) for part in PARTS}
    few = [f"{n} {PARTS[part]} images of {name}" for part, (name, n) in smallest.items() if 0 < n < MIN_OF_CLASS]
    source = "data.json"
    if few:
        message = (
            f"There are {' and '.join(few)}. A recall on fewer than {MIN_OF_CLASS} is known to within 14 points at "
            f"best, and what is chosen on so few is chosen by luck; {MIN_OF_CLASS} or more of each class would do "
            "(data.test_fraction, data.valid_fraction, more images)."
        )
        return Check("enough images of each class", "warn", message, source)
    if not all(count for _, count in smallest.values()):
        return Check(
            "enough images of each class", "unknown", "It is not known how many images each class has.", source
        )
    message = f"Every class has {MIN_OF_CLASS} or more test and validation images."
    return Check("enough images of each class", "pass", message, source)


def check_groups(study: StudyFiles) -> Check | None:
    """Warn of classes whose images are of few groups, however many images there are; None if the data has no groups."""
    if not study.facts.groups:
        return None
    few = [
        f"{n} {PARTS[part]} {'group' if n == 1 else 'groups'} with {name}"
        for part in PARTS
        for name, n in study.facts.groups.get(part, {}).items()
        if n < MIN_GROUPS
    ]
    message = f"No group lies in two parts, and every class has {MIN_GROUPS} or more test and validation groups."
    if few:
        message = (
            f"No group lies in two parts, but there are only {enumerate_names(few)}. A group counts as one image, and "
            f"an interval over fewer than {MIN_GROUPS} is rough."
        )
    return Check("enough groups of each class", "warn" if few else "pass", message, "data.json")


def check_same_environment(study: StudyFiles) -> Check:
    results = study.record.results
    values = {
        package: {result.versions.get(package, "unknown") for result in results}
        for package in sorted({package for result in results for package in result.versions})
    }
    values |= {"devices": {result.device for result in results}, "precisions": {result.precision for result in results}}
    mixed = [f"{name} {', '.join(sorted(different))}" for name, different in values.items() if len(different) > 1]
    message = "All trainings ran with the same versions, on the same kind of device, in the same precision."
    if mixed:
        message = f"Results of different environments are compared: {'; '.join(mixed)}."
    return Check("same environment", "warn" if mixed else "pass", message, "versions in seed_*/ARM/result.json")


def check_leak_on_purpose(study: StudyFiles) -> Check | None:
    """Return a warning that names the arms with a leak; None if there is none."""
    leaks = [arm for arm in study.record.arms if ArmName.parse(arm).leak]
    if not leaks:
        return None
    message = f"{', '.join(leaks)} saw test images on purpose, to show what that does; no verdict rests on them."
    return Check("leak on purpose", "warn", message, "study.json")


CHECKS: tuple[Callable[[StudyFiles], Check | None], ...] = (
    check_all_finished,
    check_seeds,
    check_class_sizes,
    check_groups,
    check_same_split,
    check_no_leakage,
    check_near_duplicates,
    partial(check_audits, key="shortcut", name="generated images look real"),
    partial(check_audits, key="memorisation", name="generated images are new"),
    partial(check_audits, key="leakage", name="held-out images are not copied"),
    partial(check_audits, key="collapse", name="generated images vary"),
    partial(check_audits, key="labels", name="generated images show their class"),
    partial(check_audits, key="coverage", name="generated images cover the real ones"),
    check_gan_training,
    check_equal_cost,
    check_test_images,
    check_same_environment,
    check_leak_on_purpose,
)
"""In the order of a reader's doubts; a check may return None if it has nothing to say."""
