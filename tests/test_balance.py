"""Balancing strategies: one contract over all of them, and the meaning of sampling_strategy."""

from collections import Counter

import numpy as np
import pytest
import torch

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.balance.sampling import images_to_add
from fer_experiments.errors import ConfigError

STRATEGIES = sorted(path.stem for path in (CONF_DIR / "balance").glob("*.yaml"))
BALANCING = sorted(set(STRATEGIES) - {"none"})
SETS = {
    "paper": {"angry": 820, "happy": 900},
    "tiny": {"angry": 3, "happy": 50},
    "seven": {"a": 40, "b": 3, "c": 25, "d": 60, "e": 60, "f": 7, "g": 31},
}


def labels_of(counts: dict[str, int]) -> np.ndarray:
    labels = np.repeat(list(counts), list(counts.values()))
    return np.random.default_rng(0).permutation(labels)


@pytest.fixture
def strategy(read):
    return lambda name, *overrides: read("train=cnn", f"balance={name}", *overrides).balance


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("counts", SETS.values(), ids=SETS)
class TestEveryStrategy:
    def test_keeps_every_real_image(self, strategy, name, counts):
        plan = strategy(name).plan(labels_of(counts), seed=0)
        assert set(plan.indices) == set(range(sum(counts.values())))

    def test_same_seed_same_plan(self, strategy, name, counts):
        first, second = (strategy(name).plan(labels_of(counts), seed=3) for _ in range(2))
        assert np.array_equal(first.indices, second.indices)
        assert first.generated == second.generated

    def test_balanced_images_are_left_as_they_are(self, strategy, name, counts):
        plan = strategy(name).plan(labels_of(dict.fromkeys(counts, 20)), seed=0)
        assert len(plan.indices) == 20 * len(counts)
        assert not plan.generated
        assert plan.class_weights is None or torch.allclose(plan.class_weights, torch.ones(len(counts)))


@pytest.mark.parametrize("name", BALANCING)
@pytest.mark.parametrize("counts", SETS.values(), ids=SETS)
def test_every_class_gets_the_same_weight_in_the_end(strategy, name, counts):
    """Places in an epoch, real, repeated or generated, times the weight in the loss."""
    labels = labels_of(counts)
    plan = strategy(name).plan(labels, seed=0)
    places = Counter(labels[plan.indices].tolist())
    places.update(plan.generated)
    weights = torch.ones(len(counts)) if plan.class_weights is None else plan.class_weights
    mass = [places[label] * float(weight) for label, weight in zip(sorted(counts), weights, strict=True)]
    assert mass == pytest.approx([mass[0]] * len(mass), rel=1e-5)


def test_oversample_repeats_as_evenly_as_can_be(strategy):
    labels = labels_of({"rare": 3, "often": 50})
    plan = strategy("oversample").plan(labels, seed=0)
    times = Counter(plan.indices.tolist())
    assert sorted(times[place] for place in np.flatnonzero(labels == "rare")) == [16, 17, 17]


def test_oversample_draws_by_seed(strategy):
    labels = labels_of(SETS["paper"])
    first, second = (strategy("oversample").plan(labels, seed=seed).indices for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_class_weights_are_n_over_k_times_n_c(strategy):
    weights = strategy("class_weight").plan(labels_of({"angry": 820, "happy": 900}), seed=0).class_weights
    assert weights.tolist() == pytest.approx([1720 / (2 * 820), 1720 / (2 * 900)])


def test_dcgan_asks_for_the_papers_eighty_images(strategy):
    assert strategy("dcgan").plan(labels_of(SETS["paper"]), seed=0).generated == {"angry": 80}


def test_dcgan_needs_images_unless_a_folder_is_given(strategy):
    assert strategy("dcgan").needs_images
    assert not strategy("dcgan", "balance.synthetic=somewhere").needs_images


# add


@pytest.mark.parametrize(
    ("added", "generated"),
    [("200", {"angry": 200}), ("0", {}), ("{happy: 5, angry: 0}", {"happy": 5}), ("{}", {})],
)
def test_add_generates_so_many_whatever_the_balance(strategy, added, generated):
    chosen = strategy("dcgan", f"balance.add={added}")
    assert chosen.plan(labels_of(SETS["paper"]), seed=0).generated == generated


def test_add_is_for_the_first_of_equal_classes(strategy):
    assert strategy("dcgan", "balance.add=5").plan(labels_of({"b": 9, "a": 9}), seed=0).generated == {"a": 5}


def test_an_arm_that_adds_nothing_needs_no_gan(strategy):
    assert not strategy("dcgan", "balance.add=0").needs_images
    assert strategy("dcgan", "balance.add=1").needs_images


def test_add_refuses_an_unknown_class(strategy):
    with pytest.raises(ConfigError, match=r"balance\.add=\{'bored': 5\}: no class bored; the classes are angry, happy"):
        strategy("dcgan", "balance.add={bored: 5}").plan(labels_of(SETS["paper"]), seed=0)


# sampling_strategy


@pytest.mark.parametrize(
    ("wanted", "added"),
    [
        ("auto", {"angry": 80}),
        ("minority", {"angry": 80}),
        ("not minority", {}),
        ("not majority", {"angry": 80}),
        ("all", {"angry": 80}),
        (0.95, {"angry": 35}),
        (1.0, {"angry": 80}),
        ({"angry": 900}, {"angry": 80}),
        ({"angry": 1000, "happy": 950}, {"angry": 180, "happy": 50}),
        ({"angry": 820}, {}),
    ],
)
def test_sampling_strategy_of_two_classes(wanted, added):
    assert images_to_add(wanted, labels_of(SETS["paper"])) == added


def test_sampling_strategy_of_seven_classes():
    labels = labels_of(SETS["seven"])
    assert images_to_add("auto", labels) == {"a": 20, "b": 57, "c": 35, "f": 53, "g": 29}
    assert images_to_add("minority", labels) == {"b": 57}
    assert images_to_add({"b": 10, "f": 10}, labels) == {"b": 7, "f": 3}


@pytest.mark.parametrize("count", range(1, 200))
def test_a_ratio_is_rounded_not_truncated(count):
    """imbalanced-learn itself takes int(0.95 * 900 - 820), which is 34 or 35 by luck of the floats."""
    majority, ratio = 1000, (500 + count) / 1000
    labels = labels_of({"big": majority, "small": 500})
    assert images_to_add(ratio, labels) == {"small": count}


@pytest.mark.parametrize(
    ("wanted", "counts", "message"),
    [
        ({"bored": 900}, "paper", "bored.*is/are not present in the data"),
        ({"angry": 100}, "paper", "should be greater or equal to the original number of samples"),
        (0.5, "paper", "the ratio is 0.911 already"),
        (0.5, "seven", "only when the type of target is binary"),
    ],
)
def test_impossible_sampling_strategies_are_refused(wanted, counts, message):
    with pytest.raises(ConfigError, match=rf"balance\.sampling_strategy=.*({message})"):
        images_to_add(wanted, labels_of(SETS[counts]))


def test_one_class_is_refused():
    with pytest.raises(ConfigError, match="1 class"):
        images_to_add("auto", labels_of({"angry": 5}))
