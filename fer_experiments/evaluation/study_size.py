"""The smallest difference that a study can show, and the size of a study that would settle an undecided question."""

import math
from collections.abc import Callable

from fer_experiments.evaluation.intervals import Estimate, Spread

POWER = 0.8  # the probability with which a study must show a true difference
MAX_SEEDS = 1000  # to advise more would help nobody
MAX_FACTOR = 100  # times as many images, or as many seeds and images


def resolvable_difference(spread: Spread, level: float) -> float:
    """Return the smallest true difference of which the interval at `level` excludes 0 with probability POWER."""
    return min(1.0, _resolvable(spread, level))


def _resolvable(spread: Spread, level: float) -> float:
    return spread.distance_to_quantile((1 + level) / 2) + spread.distance_to_quantile(POWER)


def describe_settling_study(
    difference: Estimate, margin: float, level: float, seeds: int, images: int, are_clustered: bool = False
) -> str:
    """Return a sentence on how many seeds or test images would settle an undecided comparison.

    That is, how many would make an interval that excludes 0 or lies within the margin in four studies of five (POWER),
    if the true difference is the estimated one. An interval that just reaches 0 would settle it in only half of such
    studies.

    Args:
        difference: the estimate of the comparison.
        margin: differences within +-margin count as none.
        level: of the interval.
        seeds, images: of the present study.
        are_clustered: whether several of the images tell no more than one, as those of one person.
    """
    distance = max(abs(difference.mean), margin - abs(difference.mean))

    def is_enough(seed_factor: float, image_factor: float) -> bool:
        return _resolvable(difference.spread.scaled(seed_factor, image_factor), level) < distance

    enough_seeds = _first(_larger_sizes(seeds, MAX_SEEDS), lambda n: is_enough(n / seeds, 1.0))
    enough_images = _first(_larger_sizes(images, MAX_FACTOR * images), lambda n: is_enough(1.0, n / images))
    sizes = [] if enough_seeds is None else [f"about {enough_seeds:,} seeds"]
    noun = "test images, with as many times more groups," if are_clustered else "test images"
    sizes += [] if enough_images is None else [f"about {enough_images:,} {noun}"]
    if not sizes:  # neither is enough alone, because the variance of the other source stays
        both = _first(_larger_sizes(seeds, MAX_FACTOR * seeds), lambda n: is_enough(n / seeds, n / seeds))
        if both is None:
            return "no study of a reasonable size would settle it."
        sizes = [f"about {both:,} seeds together with {_two_digits(images * both / seeds):,} {noun}"]
    return f"{' or '.join(sizes)} would settle it if the difference stays as it is."


def _first(sizes: list[int], is_enough: Callable[[int], bool]) -> int | None:
    return next((size for size in sizes if is_enough(size)), None)


def _larger_sizes(start: int, stop: float) -> list[int]:
    """Return whole numbers from start + 1 to stop in steps of about 5%, of two digits."""
    sizes = []
    size = start + 1
    while size <= stop:
        sizes.append(max(start + 1, _two_digits(size)))
        size = max(size + 1, round(size * 1.05))
    return sizes


def _two_digits(value: float) -> int:
    """Return the value, rounded to two digits: advice is no more exact."""
    return int(round(value, min(0, 1 - math.floor(math.log10(value)))))
