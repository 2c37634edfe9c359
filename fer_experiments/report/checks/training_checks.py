"""Checks of the trainings and of how they can be compared."""

from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.report.checks.check import Check, StudyFiles

MIN_SEEDS = 5  # with fewer, the exact sign-flip test can't reach p = 0.05, whatever the arms do


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
        message = f"{count} seeds say little about the randomness of training; use {MIN_SEEDS} or more."
    elif has_one_split:
        message = (
            f"{count} seeds of one split (data.split_seed), each with its own initialisation, order and GAN: the "
            "intervals do not cover another split."
        )
    else:
        message = f"{count} seeds, each with its own subset of the images, initialisation, order and GAN."
    return Check("enough seeds", "pass" if count >= MIN_SEEDS else "warn", message, "study.json, verdict.json")


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
