"""The plan of a study: which seeds and which length of its trainings fit its budget."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from fer_experiments.gan.generator_config import MIN_STEPS as MIN_GAN_STEPS
from fer_experiments.train.arms.arm import Arm
from fer_experiments.train.length import SHARES, shorten
from fer_experiments.train.plan.make_plan import plan_arms
from fer_experiments.train.plan.plan import Plan, format_rough_duration
from fer_experiments.train.settings import Settings

# How much faster several seeds are side by side, on CPUs for each process (.github/docs/speed.md, size.md).
CPU_GAIN, MAX_GPU_GAIN = 0.8, 3.0
RESERVED = 0.85  # of the budget, for which trainings are shortened: the time is estimated from a few steps
UNKNOWN_TIME = "train.length=auto shortens nothing, because the time of so few steps is not known"


def plan_study(
    settings: Settings,
    arms: Sequence[Arm],
    looks: tuple[int, ...],
    count_workers: Callable[[], int],
    budget: float | None,
    length: float | None,
) -> Plan:
    """Return the plan of a study, without its time.

    Args:
        settings: the configuration, with the study's first seed.
        arms: those to compare.
        looks: the numbers of seeds at which the study may end.
        count_workers: returns how many trainings run side by side.
        budget: the seconds that the study may take; None: any time.
        length: the share of their lengths that trainings have; None: all of it, or as much as lets the first look fit
            the budget, once the trainings are timed.
    """
    plan = plan_arms(*shorten(settings, arms, length or 1.0))
    advise_arms = plan.complete

    def complete(plan: Plan) -> Plan:
        workers = count_workers()
        gain = min(workers, MAX_GPU_GAIN) if settings.trainer.device_type == "cuda" else max(1, CPU_GAIN * workers)
        plan = replace(advise_arms(plan), speed_up=gain)
        if not plan.exceeds_budget:
            is_unknown = length is None and plan.seconds_of_seed is None
            return replace(plan, advice=(*plan.advice, UNKNOWN_TIME)) if is_unknown else plan
        too_long = f"{looks[0]} seeds take longer than train.budget={format_rough_duration(budget or 0)}"
        shorter = _fit_budget(plan, settings, arms)
        if shorter is None:
            several = sum(training.is_gan for training in plan.trainings) > 1
            one_gan = "gan=conditional (one GAN for all classes), " if several else ""
            advice = (
                f"{too_long}, also with train.length={SHARES[-1]:g}, and fewer seeds decide little; give a larger one, "
                f"{one_gan}fewer arms, or smaller gan.image_size and classifier.image_size"
            )
            return replace(plan, advice=(*plan.advice, advice))
        fits = f"{too_long}; train.length={shorter.length:g} fits{_warn_of_short_gans(plan, shorter)}"
        if length is None:
            return replace(shorter, shortened=f"shortened: {fits}")
        return replace(plan, advice=(*plan.advice, fits))

    def count_threads() -> int:
        from fer_experiments.train import workers

        return workers.count_threads(count_workers())

    return replace(
        plan, looks=looks, budget=budget, length=length or 1.0, count_threads=count_threads, complete=complete
    )


def _fit_budget(plan: Plan, settings: Settings, arms: Sequence[Arm]) -> Plan | None:
    """Return the longest of the plans whose first look fits the budget, if possible with a reserve; None: none does."""
    assert plan.budget is not None
    for share, part in (*((share, RESERVED) for share in SHARES), (SHARES[-1], 1.0)):
        limited = replace(plan, budget=part * plan.budget)
        least = [training.scaled(share / plan.length) for training in plan.trainings]  # as epochs are rounded up
        if share < plan.length and not replace(limited, trainings=least).exceeds_budget:
            trainings = plan_arms(*shorten(settings, arms, share)).trainings
            timed = [each.with_seconds_of(longer) for each, longer in zip(trainings, plan.trainings, strict=True)]
            if not replace(limited, trainings=timed, length=share).exceeds_budget:
                return replace(plan, trainings=timed, length=share)
    return None


def _warn_of_short_gans(plan: Plan, shorter: Plan) -> str:
    """Return what to expect of GANs that are shortened to fewer steps than they need, after a comma; "" of others."""
    pairs = zip(plan.trainings, shorter.trainings, strict=True)
    steps = [short.steps for long, short in pairs if short.is_gan and long.steps >= MIN_GAN_STEPS > short.steps]
    if not steps:
        return ""
    return (
        f", but a GAN of {min(steps):,} steps makes poor images (it needs {MIN_GAN_STEPS:,} or more): smaller sizes or "
        "fewer arms are better"
    )
