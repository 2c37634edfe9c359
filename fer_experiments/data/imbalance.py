"""data.imbalance and data.profile: how many training images each class is left."""

import math

from fer_experiments.data.source import Profile, Source
from fer_experiments.errors import ConfigError


def imbalanced(wanted: dict[str, int], source: Source) -> dict[str, int]:
    """{class: images} without imbalance -> with it: max(1, round(n / imbalance^e)), e by the place of the class.

    n is the number of the largest class. Classes with e = 0 stay as they are. More imbalance leaves no class more.
    Raises ConfigError where a class has fewer images than that: the data is more imbalanced than was asked for.
    """
    ratio, profile = source.imbalance, source.profile
    if ratio is None and profile != "minority":
        raise ConfigError(
            f"data.profile={profile}: takes the ratio of the largest to the smallest class; give data.imbalance=10"
        )
    if ratio is None or 0 in wanted.values():  # a class without training images is reported as such
        return wanted
    order = from_largest(wanted, profile, source.minority)
    places = {name: e for name, e in zip(order, exponents(profile, len(order)), strict=True) if e > 0}
    targets = {name: max(1, round(wanted[order[0]] * ratio**-e)) for name, e in places.items()}
    if any(targets[name] > wanted[name] for name in targets):
        raise ConfigError(_too_few(wanted, targets, places, order[0], source))
    return wanted | targets


def from_largest(wanted: dict[str, int], profile: Profile, minority: str | None) -> list[str]:
    """The classes from largest to smallest, equal ones by name, as CIFAR-10-LT has them; then data.minority, if given.

    profile minority, too, has one: the smallest, the first by name among equals.
    """
    if minority is None and profile == "minority":
        minority = min(wanted, key=lambda name: (wanted[name], name))
    return sorted(wanted, key=lambda name: (name == minority, -wanted[name], name))


def exponents(profile: Profile, classes: int) -> list[float]:
    """e of n / imbalance^e for the classes from largest to smallest.

    minority: 1 for the last. exponential (Cui et al. 2019): i / (K - 1) for i = 0 to K - 1. step (Buda et al. 2018): 1
    for the smaller half; of an odd number of classes the middle one belongs to the larger half.
    """
    if profile == "exponential":
        return [place / (classes - 1) for place in range(classes)]
    small = 1 if profile == "minority" else classes // 2
    return [0.0] * (classes - small) + [1.0] * small


def _too_few(
    wanted: dict[str, int], targets: dict[str, int], places: dict[str, float], largest: str, source: Source
) -> str:
    """The message, of the class that needs the largest ratio."""
    ratio = source.imbalance
    assert ratio is not None
    needed = {name: (wanted[largest] / wanted[name]) ** (1 / places[name]) for name in places}
    name = max(needed, key=lambda name: needed[name])
    fits = min(wanted[largest], *(math.floor(wanted[name] * ratio**e) for name, e in places.items()))
    leave_out = f", or leave {name} out (data.classes)" if len(wanted) > 2 else ""
    return (
        f"data.imbalance={ratio}: asks for {targets[name]} of {name} beside {wanted[largest]} of {largest} "
        f"(data.profile={source.profile}), but there are {wanted[name]}; give data.imbalance="
        f"{math.ceil(needed[name] * 100) / 100:.2f} or more, or at most {fits} of every class (data.counts){leave_out}"
    )
