"""Profiles of imbalance: closed-form counts, a fixed order of classes, and no class with more images than before."""

import string
from itertools import pairwise

import pytest

from fer_experiments.data.imbalance import apply_imbalance, exponents, sort_from_largest
from fer_experiments.errors import ConfigError
from tests.conftest import source
from tests.test_split import index, paths, split

FER2013 = {
    "angry": 3995,
    "disgust": 436,
    "fear": 4097,
    "happy": 7215,
    "neutral": 4965,
    "sad": 4830,
    "surprise": 3171,
}


def equal(classes: int, count: int) -> dict[str, int]:
    return dict.fromkeys(string.ascii_lowercase[:classes], count)


def remaining(counts: dict[str, int], **keys) -> list[int]:
    """Return how many images each class keeps, in the order of `counts`."""
    return list(apply_imbalance(counts, source("folder", root=".", **keys)).values())


@pytest.mark.parametrize(
    ("classes", "count", "ratio", "profile", "counts"),
    [
        (2, 900, 10.0, "exponential", [900, 90]),
        (3, 900, 100.0, "exponential", [900, 90, 9]),
        (7, 640, 64.0, "exponential", [640, 320, 160, 80, 40, 20, 10]),
        # CIFAR-10-LT of Cui et al. 2019, who truncate; here counts are rounded
        (10, 5000, 100.0, "exponential", [5000, 2997, 1797, 1077, 646, 387, 232, 139, 83, 50]),
        (2, 900, 10.0, "step", [900, 90]),
        (3, 900, 10.0, "step", [900, 900, 90]),
        (7, 900, 10.0, "step", [900] * 4 + [90] * 3),
        (10, 5000, 100.0, "step", [5000] * 5 + [50] * 5),
        (3, 900, 1e9, "exponential", [900, 1, 1]),
        (4, 900, 1e9, "step", [900, 900, 1, 1]),
        (7, 900, 1.0, "exponential", [900] * 7),
        (7, 900, 1.0, "step", [900] * 7),
    ],
)
def test_equal_classes_keep_the_closed_form(classes, count, ratio, profile, counts):
    assert remaining(equal(classes, count), imbalance=ratio, profile=profile) == counts


def test_step_keeps_all_images_of_the_larger_half():
    assert remaining({"a": 30, "b": 500, "c": 400, "d": 200}, imbalance=50.0, profile="step") == [10, 500, 400, 10]


def test_exponential_counts_from_the_largest_class():
    assert remaining({"a": 700, "b": 20, "c": 800}, imbalance=100.0, profile="exponential") == [80, 8, 800]


@pytest.mark.parametrize("profile", ["minority", "exponential", "step"])
def test_all_profiles_are_the_same_for_two_classes_with_a_named_minority(profile):
    assert remaining({"cat": 900, "dog": 700}, imbalance=10.0, minority="cat", profile=profile) == [70, 700]


@pytest.mark.parametrize(
    ("profile", "minority", "order"),
    [
        ("exponential", None, ["d", "b", "c", "a"]),
        ("step", "b", ["d", "c", "a", "b"]),
        ("exponential", "d", ["b", "c", "a", "d"]),
    ],
)
def test_classes_are_sorted_by_size_then_name_with_the_minority_last(profile, minority, order):
    assert sort_from_largest({"c": 5, "a": 3, "b": 5, "d": 9}, profile, minority) == order


@pytest.mark.parametrize("profile", ["minority", "exponential", "step"])
@pytest.mark.parametrize("classes", range(2, 12))
def test_exponents_rise_from_0_to_1(profile, classes):
    values = exponents(profile, classes)
    assert (len(values), values[0], values[-1]) == (classes, 0, 1)
    assert values == sorted(values)


@pytest.mark.parametrize(
    ("profile", "message"),
    [
        (
            "exponential",
            r"data\.imbalance=10\.0: needs 722 images of disgust beside 7215 of happy \(data\.profile=exponential\), "
            r"but there are 436; give data\.imbalance=16\.55 or more, or at most 4360 of every class \(data\.counts\), "
            r"or leave disgust out \(data\.classes\)",
        ),
        (
            "step",
            r"data\.imbalance=10\.0: needs 722 images of disgust .*data\.imbalance=16\.55 or more, or at most 4360",
        ),
    ],
)
def test_a_profile_for_which_a_class_is_too_small_is_refused_with_remedies(profile, message):
    with pytest.raises(ConfigError, match=message):
        remaining(FER2013, imbalance=10.0, profile=profile)
    assert remaining(FER2013, imbalance=16.55, profile=profile)[1] == 436
    fewer = {name: min(count, 4360) for name, count in FER2013.items()}
    assert remaining(fewer, imbalance=10.0, profile=profile)[1] == 436


@pytest.mark.parametrize("profile", ["exponential", "step"])
def test_a_profile_without_a_ratio_is_refused(profile):
    with pytest.raises(ConfigError, match=rf"data\.profile={profile}: needs the ratio .*give data\.imbalance=10"):
        split(index({"train": {"cat": 100, "dog": 200}}), profile=profile)


@pytest.mark.parametrize("profile", ["minority", "exponential", "step"])
def test_a_smaller_training_set_is_contained_in_a_larger_one(profile):
    table = index({"train": {"a": 200, "b": 180, "c": 160, "d": 120, "e": 120}})
    splits = [split(table, imbalance=ratio, profile=profile) for ratio in (2.5, 4.0, 15.0, 1000.0)]
    for larger, smaller in pairwise(splits):
        assert paths(smaller, "train") < paths(larger, "train")
        for part in ("valid", "test"):
            assert paths(smaller, part) == paths(larger, part)
