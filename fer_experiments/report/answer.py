"""The answer of a study in one sentence."""

from collections.abc import Sequence
from statistics import fmean

from fer_experiments.report.study import StudyRecord


def headline(record: StudyRecord) -> str:
    """The answer in one sentence: the best arm with generated images against the best without, by their means on test.

    One seed is undecided; of several it gives mean and range, and says that chance was not tested.
    """
    if not record.results:
        all_failed = len(record.failed) == len(record.arms) * len(record.seeds)
        return f"No answer: {'every training failed' if all_failed else 'no training has finished'}."
    generated, simple = _best(record, generated=True), _best(record, generated=False)
    lost = [arm for arm in record.arms if not record.of_arm(arm) and _failures(record, arm)]
    also = f" (failed: {', '.join(lost)})" if lost else ""
    if generated is None:
        assert simple is not None
        value = percent(fmean(scores(record, simple).values()))
        return (
            f"No answer: no finished arm used generated images{also}; the best simple arm ({simple}) reached {value} "
            "balanced accuracy."
        )
    if simple is None:
        value = percent(fmean(scores(record, generated).values()))
        return f"Undecided: {generated} reached {value} balanced accuracy, but no simple arm finished beside it{also}."
    return _compared(record, generated, simple)


def _compared(record: StudyRecord, generated: str, simple: str) -> str:
    """Both arms on the seeds that both finished."""
    ours, theirs = scores(record, generated), scores(record, simple)
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return f"Undecided: {generated} and the best simple arm ({simple}) have no finished seed in common."
    total = len(record.seeds)
    number = "One" if len(seeds) == 1 else str(len(seeds))
    count = f"{number} {'seed' if total == 1 else 'seeds'}" if len(seeds) == total else f"{number} of {total} seeds"
    (our_mean, our_range), (their_mean, their_range) = (_spread([of[seed] for seed in seeds]) for of in (ours, theirs))
    if len(seeds) == 1:
        ours_and_theirs = f"{our_mean} balanced accuracy, the best simple arm ({simple}) {their_mean}"
        return f"{count}: {generated} reached {ours_and_theirs}: undecided."
    return (
        f"{count}: {generated} reached {our_mean} balanced accuracy on average ({our_range}), the best simple arm "
        f"({simple}) {their_mean} ({their_range}); whether the difference is more than chance is not tested."
    )


def _spread(values: Sequence[float]) -> tuple[str, str]:
    return percent(fmean(values)), f"{100 * min(values):.1f} to {percent(max(values))}"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def scores(record: StudyRecord, arm: str) -> dict[int, float]:
    """{seed: balanced accuracy on test} of the seeds that an arm finished."""
    return {result.seed: float(result.metrics["test"]["balanced_accuracy"]) for result in record.of_arm(arm)}


def generated_arms(record: StudyRecord) -> list[str]:
    """Arms that were given generated images; one that asked for none (the classes were even) is a simple arm."""
    return [arm for arm in record.arms if any(sum(result.generated.values()) for result in record.of_arm(arm))]


def _best(record: StudyRecord, *, generated: bool) -> str | None:
    found = {arm: scores(record, arm) for arm in record.arms if (arm in generated_arms(record)) == generated}
    means = {arm: fmean(values.values()) for arm, values in found.items() if values}
    return max(means, key=lambda arm: means[arm], default=None)


def _failures(record: StudyRecord, arm: str) -> list[int]:
    return [seed for seed in record.seeds if f"seed {seed}, {arm}" in record.failed]
