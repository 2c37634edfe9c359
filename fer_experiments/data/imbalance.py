"""data.imbalance and data.profile: how many training images each class keeps."""

import math

from fer_experiments.data.sources.base import DataSource, Profile
from fer_experiments.errors import ConfigError


def apply_imbalance(counts: dict[str, int], source: DataSource) -> dict[str, int]:
    """Return {class: training images} under data.imbalance; `counts` are those without it.

    A class with the exponent e > 0 (see `exponents`) keeps max(1, round(n / imbalance^e)) images, where n is the count
    of the largest class; a class with e = 0 keeps all of them. A larger imbalance leaves no class more images.
    Raises ConfigError if a class has fewer images than it must keep: then the data is more imbalanced than that.
    """
    ratio, profile = source.imbalance, source.profile
    if ratio is None and profile != "minority":
        raise ConfigError(
            f"data.profile={profile}: needs the ratio of the largest to the smallest class; give data.imbalance=10"
        )
    if ratio is None or 0 in counts.values():  # a class without training images is reported later
        return counts
    order = sort_from_largest(counts, profile, source.minority)
    reduced = {name: e for name, e in zip(order, exponents(profile, len(order)), strict=True) if e > 0}
    targets = {name: max(1, round(counts[order[0]] * ratio**-e)) for name, e in reduced.items()}
    if any(targets[name] > counts[name] for name in targets):
        raise ConfigError(_describe_shortage(counts, targets, reduced, order[0], source))
    return counts | targets


def sort_from_largest(counts: dict[str, int], profile: Profile, minority: str | None) -> list[str]:
    """Return the classes from the largest to the smallest, but data.minority last if it is given.

    Equally large ones are sorted by name, as in CIFAR-10-LT. Under the profile minority, the first by name of the
    smallest classes is the minority if none is given.
    """
    if minority is None and profile == "minority":
        minority = min(counts, key=lambda name: (counts[name], name))
    return sorted(counts, key=lambda name: (name == minority, -counts[name], name))


def exponents(profile: Profile, classes: int) -> list[float]:
    """Return e of n / imbalance^e for each of so many classes, from the largest to the smallest.

    minority: 1 for the last class, 0 for the others. exponential (Cui et al. 2019): i / (K - 1) for i = 0 to K - 1.
    step (Buda et al. 2018): 1 for the smaller half, 0 for the larger half, which has the middle one of an odd number.
    """
    if profile == "exponential":
        return [place / (classes - 1) for place in range(classes)]
    small = 1 if profile == "minority" else classes // 2
    return [0.0] * (classes - small) + [1.0] * small


def _describe_shortage(
    counts: dict[str, int], targets: dict[str, int], reduced: dict[str, float], largest: str, source: DataSource
) -> str:
    """Return the message about the class with too few images that needs the largest ratio, and the remedies.

    Args:
        counts: {class: images}.
        targets: {class: images that it must keep}.
        reduced: {class: exponent}, of the classes with an exponent above 0.
        largest: the class with the most images.
        source: the data source with its ratio and profile.
    """
    ratio = source.imbalance
    assert ratio is not None
    needed_ratios = {name: (counts[largest] / counts[name]) ** (1 / reduced[name]) for name in reduced}
    name = max(needed_ratios, key=lambda name: needed_ratios[name])
    fitting = min(counts[largest], *(math.floor(counts[name] * ratio**e) for name, e in reduced.items()))
    leave_out = f", or leave {name} out (data.classes)" if len(counts) > 2 else ""
    return (
        f"data.imbalance={ratio}: needs {targets[name]} images of {name} beside {counts[largest]} of {largest} "
        f"(data.profile={source.profile}), but there are {counts[name]}; give data.imbalance="
        f"{math.ceil(needed_ratios[name] * 100) / 100:.2f} or more, or at most {fitting} of every class "
        f"(data.counts){leave_out}"
    )
