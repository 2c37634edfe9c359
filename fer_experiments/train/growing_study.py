"""train.seeds=auto: seeds are added until the verdict is settled, hopeless, or costs more than it may."""

import logging

from fer_experiments.distributed import on_rank_zero
from fer_experiments.evaluation.question import Stop
from fer_experiments.evaluation.sequential import choose_stop, select_open_arms
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.study_record import Growth
from fer_experiments.train.seeds import StudyRun

log = logging.getLogger(__name__)


def grow_study(study: StudyRun, growth: Growth, first_seed: int) -> None:
    """Train every arm with first_seed and the seeds after it, look by look, until the study stops.

    What stops it, except for the time, depends on the results alone, so that a study that was killed takes the same
    decisions when it is continued. Raises RuntimeError if trainings failed, after all others have finished.
    """
    study.record.growth = growth
    seeds = [first_seed + number for number in range(growth.looks[-1])]
    for look in growth.looks:
        study.plan(seeds[:look])
        with study.show_progress():
            _train_up_to(study, growth, seeds[:look])
        if growth.stop is not None:
            break
    study.raise_failures()


def _train_up_to(study: StudyRun, growth: Growth, seeds: list[int]) -> None:
    """Train those of the seeds that are not trained yet, as many side by side as may be, and look at the results."""

    def look() -> None:
        if study.trained == seeds:
            growth.stop = on_rank_zero(_decide)(study, growth)

    while growth.stop is None and study.trained != seeds:
        rest = seeds[len(study.trained) :]
        batch = rest if _fits_budget(study, growth, rest) else rest[: study.workers]
        if on_rank_zero(_exceeds_budget)(study, growth, batch):
            growth.stop = "budget"
            study.plan(study.trained)
            study.write()
            return
        study.train(batch, before_report=look)


def _fits_budget(study: StudyRun, growth: Growth, seeds: list[int]) -> bool:
    """Whether these seeds together end within the budget, so that their parts may run side by side.

    With one worker nothing runs side by side, and the time is looked at before each of its seeds.
    """
    if study.workers == 1:
        return False
    if growth.budget is None:
        return True
    seconds = study.estimate_seconds(len(set(seeds) - study.finished_before))
    return seconds is not None and study.seconds + seconds <= growth.budget


def _exceeds_budget(study: StudyRun, growth: Growth, batch: list[int]) -> bool:
    """Whether the study would take longer than its budget with these seeds; the first ones are always trained."""
    costs_nothing = set(batch) <= study.finished_before
    if growth.budget is None or costs_nothing or study.seconds_of_seed is None:
        return False
    return study.seconds + study.seconds_of_seed > growth.budget


def _decide(study: StudyRun, growth: Growth) -> Stop | None:
    """Return why the study stops at this look; None if it goes on."""
    record, seeds = study.record, len(study.trained)
    planned = [arm.name for arm in study.arms if arm.adds_generated_images]
    if planned and not any(record.results_of(name) for name in planned):
        return "failed"
    verdicts = compute_findings(record, study.folder).arms
    stop = choose_stop(verdicts, seeds, growth.looks[-1], record.question)
    if stop is None:
        names = ", ".join(verdict.arm for verdict in select_open_arms(verdicts))
        log.info("after %d seeds undecided: %s; the study goes on", seeds, names)
    return stop
