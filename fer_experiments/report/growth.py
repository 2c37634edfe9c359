"""Why a study that grew by itself stopped, and what more would cost."""

from fer_experiments.evaluation.looks import plan_looks
from fer_experiments.evaluation.sequential import select_open_arms
from fer_experiments.evaluation.verdict import ArmVerdict
from fer_experiments.report.study_record import Growth, StudyRecord
from fer_experiments.runs.status import format_duration

MAX_NAMED = 3  # arms in a sentence


def describe_growth(record: StudyRecord, verdicts: list[ArmVerdict]) -> str:
    """Return why the study stopped, or when it will be looked at next; "" for a study whose seeds are fixed."""
    growth = record.growth
    if growth is None:
        return ""
    sentence = _describe_stop(record, growth, verdicts)
    if growth.length < 1:
        sentence += f" Every training has {growth.length:.0%} of its configured length (train.length)."
    return sentence


def _describe_stop(record: StudyRecord, growth: Growth, verdicts: list[ArmVerdict]) -> str:
    count = len(record.seeds)
    undecided = _name_undecided(verdicts)
    seeds = "1 seed" if count == 1 else f"{count} seeds"
    match growth.stop:
        case None:
            return f"The study goes on: its next look is at {seeds}."
        case "settled":
            return f"It stopped after {seeds}, because every verdict that it was about is reached."
        case "failed":
            return f"It stopped after {seeds}, because every arm with generated images has failed."
        case "hopeless":
            return (
                f"It stopped after {seeds}, because up to {growth.looks[-1]} (train.max_seeds) would most likely leave "
                f"{undecided} undecided."
            )
        case "max_seeds":
            more = plan_looks(None)
            following = next((look for look in more if look > count), None)
            cost = (
                ""
                if following is None
                else f" {following} seeds would take about {_cost(record, count, following)} more."
            )
            return f"It stopped at {seeds} (train.max_seeds) with {undecided} undecided.{cost}"
        case "budget":
            following = next(look for look in growth.looks if look > count)
            assert growth.budget is not None
            return (
                f"It stopped after {seeds}, because train.budget={format_duration(growth.budget)} is spent, with "
                f"{undecided} undecided. {following} seeds, the next look, would take about "
                f"{_cost(record, count, following)} more: the same command with a larger train.budget continues."
            )


def explain_level(growth: Growth, level: float) -> str:
    """Say why the intervals of a growing study have the `level` that they have."""
    *first, last = growth.looks
    looks = f"{', '.join(map(str, first))} and {last}" if first else str(last)
    return (
        f"The study is looked at after {looks} seeds and may stop at each look: with intervals of {100 * level:g}% all "
        f"of them together hold {100 * growth.level:g}%."
    )


def _name_undecided(verdicts: list[ArmVerdict]) -> str:
    names = [verdict.arm for verdict in select_open_arms(verdicts)]
    if len(names) > MAX_NAMED:
        return f"{len(names)} arms"
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]])) or "nothing"


def _cost(record: StudyRecord, trained: int, seeds: int) -> str:
    """Return how long a growth from the trained seeds to so many would take, at the pace of the study so far."""
    return format_duration(record.seconds / trained * (seeds - trained))
