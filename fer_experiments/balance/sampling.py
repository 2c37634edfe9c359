"""The meaning of sampling_strategy, which is imbalanced-learn's."""

from collections import Counter
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fer_experiments.errors import ConfigError
from fer_experiments.random_streams import RandomStream
from fer_experiments.strict_config import Label

SamplingStrategy = (
    Literal["auto", "minority", "majority", "not minority", "not majority", "all"]
    | Annotated[float, Field(gt=0.0, le=1.0)]
    | dict[Label, int]
)


def count_images_to_add(strategy: SamplingStrategy, labels: np.ndarray) -> dict[str, int]:
    """Return {class: images to add} for the classes that need any; labels (N,) are class names.

    For classes of 900 and 820 images "auto" adds 80 to the second, the ratio 0.95 adds 35, and {second: 900} adds 80.
    Raises ConfigError with imbalanced-learn's message for an unknown class, a total below the number of images, or a
    ratio with more than two classes.
    """
    counts = Counter(labels.tolist())
    if isinstance(strategy, float) and len(counts) == 2:
        (_, majority), (minority, _) = counts.most_common()
        numbers = _call_imblearn(strategy, labels, "over-sampling", {minority: round(strategy * majority)})
    else:
        numbers = _call_imblearn(strategy, labels, "over-sampling")
    return {name: number for name, number in numbers.items() if number > 0}


def count_images_to_keep(strategy: SamplingStrategy, labels: np.ndarray) -> dict[str, int]:
    """Return {class: images to keep} for the classes that lose any; labels (N,) are class names.

    For classes of 900 and 820 images "auto" keeps 820 of the first, the ratio 0.95 keeps 863, and {first: 850} keeps
    850. Raises ConfigError with imbalanced-learn's message.
    """
    counts = Counter(labels.tolist())
    if isinstance(strategy, float) and len(counts) == 2:
        (majority, _), (_, minority) = counts.most_common()
        numbers = _call_imblearn(strategy, labels, "under-sampling", {majority: round(minority / strategy)})
    else:
        numbers = _call_imblearn(strategy, labels, "under-sampling")
    return {name: number for name, number in numbers.items() if number < counts[name]}


def repeat_small_classes(strategy: SamplingStrategy, labels: np.ndarray, seed: int) -> np.ndarray:
    """Return the indices of all labels (N,), then those of the small classes again, all nearly equally often."""
    rng = np.random.default_rng([seed, RandomStream.RESAMPLING])
    parts = [np.arange(len(labels))]
    for name, number in sorted(count_images_to_add(strategy, labels).items()):
        members = rng.permutation(np.flatnonzero(labels == name))
        parts.append(np.resize(members, number))  # all of them in turn, until there are enough
    return np.concatenate(parts)


def _call_imblearn(
    strategy: SamplingStrategy,
    labels: np.ndarray,
    kind: Literal["over-sampling", "under-sampling"],
    totals: dict[str, int] | None = None,
) -> dict[str, int]:
    """Return {class: images to add, or to keep} as imbalanced-learn computes it.

    totals: the rounded {class: images} of a ratio. imbalanced-learn truncates it, and 0.95 * 900 may be 854.99...
    """
    from imblearn.utils import check_sampling_strategy  # takes over a second, and not every strategy needs it

    try:
        numbers = check_sampling_strategy(totals or strategy, labels, kind)
    except ValueError as error:
        raise ConfigError(f"balance.sampling_strategy={strategy}: {error}") from None
    return {str(name): int(number) for name, number in numbers.items()}
