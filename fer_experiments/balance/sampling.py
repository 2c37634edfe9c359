"""The meaning of sampling_strategy, as imbalanced-learn has it."""

from collections import Counter
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fer_experiments.errors import ConfigError

SamplingStrategy = (
    Literal["auto", "minority", "majority", "not minority", "not majority", "all"]
    | Annotated[float, Field(gt=0.0, le=1.0)]
    | dict[str, int]
)


def images_to_add(strategy: SamplingStrategy, labels: np.ndarray) -> dict[str, int]:
    """{class: images to add}, classes that need none left out; labels (N,) are class names.

    900 and 820 images: auto adds 80 to the second, the ratio 0.95 adds 35, {second: 900} adds 80. Raises ConfigError
    with imbalanced-learn's words: unknown class, a total below what there is, a ratio with more than two classes.
    """
    counts = Counter(labels.tolist())
    if isinstance(strategy, float) and len(counts) == 2:
        (_, majority), (minority, _) = counts.most_common()
        found = _checked(strategy, labels, "over-sampling", {minority: round(strategy * majority)})
    else:
        found = _checked(strategy, labels, "over-sampling")
    return {name: number for name, number in found.items() if number > 0}


def images_to_keep(strategy: SamplingStrategy, labels: np.ndarray) -> dict[str, int]:
    """{class: images to keep}, classes of which all stay left out; labels (N,) are class names.

    900 and 820 images: auto keeps 820 of the first, the ratio 0.95 keeps 863, {first: 850} keeps 850. Raises
    ConfigError with imbalanced-learn's words.
    """
    counts = Counter(labels.tolist())
    if isinstance(strategy, float) and len(counts) == 2:
        (majority, _), (_, minority) = counts.most_common()
        found = _checked(strategy, labels, "under-sampling", {majority: round(minority / strategy)})
    else:
        found = _checked(strategy, labels, "under-sampling")
    return {name: number for name, number in found.items() if number < counts[name]}


def repeat(strategy: SamplingStrategy, labels: np.ndarray, seed: int) -> np.ndarray:
    """Every place (N,) of the training part, then those of the small classes again, each as evenly often as can be."""
    rng = np.random.default_rng([seed, 5])
    parts = [np.arange(len(labels))]
    for name, number in sorted(images_to_add(strategy, labels).items()):
        members = rng.permutation(np.flatnonzero(labels == name))
        parts.append(np.resize(members, number))  # all once, then all again, until there are enough
    return np.concatenate(parts)


def _checked(
    strategy: SamplingStrategy,
    labels: np.ndarray,
    kind: Literal["over-sampling", "under-sampling"],
    totals: dict[str, int] | None = None,
) -> dict[str, int]:
    """totals: what a ratio means, rounded; imbalanced-learn truncates (0.95 * 900 may be 854.99...)."""
    from imblearn.utils import check_sampling_strategy  # over a second, which arms that resample nothing don't need

    try:
        found = check_sampling_strategy(totals or strategy, labels, kind)
    except ValueError as error:
        raise ConfigError(f"balance.sampling_strategy={strategy}: {error}") from None
    return {str(name): int(number) for name, number in found.items()}
