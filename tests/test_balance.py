"""Balancing strategies: one contract over all of them, and the meaning of sampling_strategy."""

from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.balance import Strategy, TrainingPlan
from fer_experiments.balance.sampling import count_images_to_add, count_images_to_keep
from fer_experiments.data.injection import Injection
from fer_experiments.errors import ConfigError

STRATEGIES = sorted(path.stem for path in (CONF_DIR / "balance").glob("*.yaml"))
SETS = {
    "paper": {"angry": 820, "happy": 900},
    "tiny": {"angry": 3, "happy": 50},
    "seven": {"a": 40, "b": 3, "c": 25, "d": 60, "e": 60, "f": 7, "g": 31},
}


def labels_of(counts: dict[str, int]) -> np.ndarray:
    labels = np.repeat(list(counts), list(counts.values()))
    return np.random.default_rng(0).permutation(labels)


BUILT: dict[tuple[str, ...], Strategy] = {}  # frozen; a composition takes a tenth of a second


@pytest.fixture
def strategy(request):
    """strategy(NAME, *overrides) -> the strategy of conf/balance/NAME.yaml."""

    def build(*settings: str) -> Strategy:
        if settings not in BUILT:
            name, *overrides = settings
            overrides += ["balance.synthetic=."] if name == "external" else []
            BUILT[settings] = request.getfixturevalue("read")("train=cnn", f"balance={name}", *overrides).balance
        return BUILT[settings]

    return build


def mass(plan: TrainingPlan, labels: np.ndarray) -> list[float]:
    """Return for each class its images in an epoch, real, repeated, generated or interpolated, times their weight."""
    counts = Counter(labels[plan.indices].tolist()) + Counter(plan.added)
    weights = final_weights(plan, len(np.unique(labels)))
    return [counts[label] * float(weight) for label, weight in zip(sorted(counts), weights, strict=True)]


def final_weights(plan: TrainingPlan, classes: int) -> torch.Tensor:
    """Return the weights of the classes at the end of training."""
    plan.objective.start_epoch(0.99)
    return plan.objective(torch.zeros(classes, classes), torch.arange(classes))[1]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("counts", SETS.values(), ids=SETS)
class TestEveryStrategy:
    def test_uses_every_real_image_exactly_if_the_strategy_promises_it(self, strategy, name, counts):
        chosen, labels = strategy(name), labels_of(counts)
        plan = chosen.plan(labels, seed=0)
        assert set(plan.indices) <= set(range(len(labels)))
        assert set(labels[plan.indices]) == set(counts)
        assert (len(set(plan.indices)) == len(labels)) == chosen.keeps_all_images

    def test_same_seed_same_plan(self, strategy, name, counts):
        first, second = (strategy(name).plan(labels_of(counts), seed=3) for _ in range(2))
        assert np.array_equal(first.indices, second.indices)
        assert (first.added, first.injection) == (second.added, second.injection)
        logits, labels = torch.randn(5, len(counts)), torch.arange(5) % len(counts)
        for a, b in zip(first.objective(logits, labels), second.objective(logits, labels), strict=True):
            assert torch.equal(a, b)

    def test_balanced_images_are_left_as_they_are(self, strategy, name, counts):
        plan = strategy(name).plan(labels_of(dict.fromkeys(counts, 20)), seed=0)
        assert sorted(plan.indices) == list(range(20 * len(counts)))
        assert not plan.added

    def test_balanced_images_leave_no_class_preferred(self, strategy, name, counts):
        """Renaming the classes renames the losses and the predictions, and changes nothing else."""
        classes = len(counts)
        objective = strategy(name).plan(labels_of(dict.fromkeys(counts, 20)), seed=0).objective
        objective.start_epoch(0.99)
        logits, labels, order = torch.randn(6, classes), torch.arange(6) % classes, torch.randperm(classes)
        renamed = logits[:, order], order.argsort()[labels]
        for a, b in zip(objective(logits, labels), objective(*renamed), strict=True):
            torch.testing.assert_close(a, b)
        torch.testing.assert_close(objective.predict(logits).softmax(1), logits.softmax(1))

    def test_classes_have_equal_mass_exactly_if_the_strategy_promises_it(self, strategy, name, counts):
        chosen, labels = strategy(name), labels_of(counts)
        masses = mass(chosen.plan(labels, seed=0), labels)
        assert (masses == pytest.approx([masses[0]] * len(masses), rel=1e-5)) == chosen.balances_classes

    def test_small_classes_are_never_worse_off(self, strategy, name, counts):
        labels = labels_of(counts)
        masses = dict(zip(sorted(counts), mass(strategy(name).plan(labels, seed=0), labels), strict=True))
        for pair in combinations(counts, 2):
            small, large = sorted(pair, key=lambda label: counts[label])
            assert masses[small] / masses[large] >= counts[small] / counts[large] * (1 - 1e-5)

    def test_losses_are_finite_and_fall_as_the_logit_of_the_class_grows(self, strategy, name, counts):
        objective = strategy(name).plan(labels_of(counts), seed=0).objective
        logits = (100 * torch.randn(50, len(counts))).requires_grad_()
        labels = torch.arange(50) % len(counts)
        losses, weights = objective(logits, labels)
        assert losses.isfinite().all()
        assert (losses >= 0).all()
        assert (weights > 0).all()
        (gradient,) = torch.autograd.grad(losses.sum(), logits)
        assert gradient.isfinite().all()
        assert (gradient.gather(1, labels[:, None]) <= 0).all()


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_planned_number_of_images_is_interpolated(strategy, name):
    counts = SETS["seven"]
    chosen, labels = strategy(name), labels_of(counts)
    planned = chosen.plan(labels, seed=0).added_from("interpolated")
    images = np.random.default_rng(0).integers(0, 256, (len(labels), 6, 6, 3), dtype=np.uint8)
    if not planned:
        with pytest.raises(NotImplementedError, match="plans no interpolated images"):
            chosen.interpolate(images, labels, seed=0)
        return
    new, names = chosen.interpolate(images, labels, seed=0)
    assert Counter(names.tolist()) == planned
    assert new.shape == (len(names), 6, 6, 3)
    assert new.dtype == np.uint8
    same_seed, next_seed = (chosen.interpolate(images, labels, seed)[0] for seed in (0, 1))
    assert np.array_equal(new, same_seed)
    assert not np.array_equal(new, next_seed)


def test_smote_makes_images_on_the_line_between_two_of_the_class(strategy):
    labels = np.array(["rare"] * 2 + ["often"] * 9)
    images = np.zeros((11, 4, 4, 1), dtype=np.uint8)
    images[0], images[2:] = 200, 255  # the two rare images are uniformly grey, 200 and 0
    new, names = strategy("smote").interpolate(images, labels, seed=0)
    assert names.tolist() == ["rare"] * 7
    assert all(len(np.unique(image)) == 1 and image.max() <= 200 for image in new)
    assert len(np.unique(new)) > 2


def test_smote_refuses_a_class_of_one_image(strategy):
    with pytest.raises(
        ConfigError, match=r"balance=smote: rare has one training image, but SMOTE interpolates.*balance=oversample"
    ):
        strategy("smote").plan(labels_of({"rare": 1, "often": 5}), seed=0)


def test_undersample_draws_by_seed_and_keeps_the_smallest_class(strategy):
    labels = labels_of({"rare": 3, "often": 50})
    first, second = (strategy("undersample").plan(labels, seed=seed).indices for seed in (0, 1))
    assert not np.array_equal(first, second)
    assert Counter(labels[first].tolist()) == {"rare": 3, "often": 3}


def test_oversample_repeats_each_image_of_a_class_nearly_equally_often(strategy):
    labels = labels_of({"rare": 3, "often": 50})
    plan = strategy("oversample").plan(labels, seed=0)
    times = Counter(plan.indices.tolist())
    assert sorted(times[index] for index in np.flatnonzero(labels == "rare")) == [16, 17, 17]


def test_oversample_draws_by_seed(strategy):
    labels = labels_of(SETS["paper"])
    first, second = (strategy("oversample").plan(labels, seed=seed).indices for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_class_weights_are_n_over_k_times_n_c(strategy):
    plan = strategy("class_weight").plan(labels_of({"angry": 820, "happy": 900}), seed=0)
    assert final_weights(plan, 2).tolist() == pytest.approx([1720 / (2 * 820), 1720 / (2 * 900)])


def test_class_balanced_weights_are_those_of_the_effective_numbers(strategy):
    counts = {"a": 10, "b": 1000}
    plan = strategy("class_balanced", "balance.beta=0.99").plan(labels_of(counts), seed=0)
    effective = [sum(0.99**k for k in range(n)) for n in counts.values()]  # 1 + beta + ... + beta^(n - 1)
    expected = [2 / number / sum(1 / n for n in effective) for number in effective]
    assert final_weights(plan, 2).tolist() == pytest.approx(expected)


def test_a_beta_of_zero_gives_equal_weights(strategy):
    plan = strategy("class_balanced", "balance.beta=0.0").plan(labels_of(SETS["seven"]), seed=0)
    assert final_weights(plan, 7).tolist() == pytest.approx([1.0] * 7)


@pytest.mark.parametrize("name", ["class_weight", "class_balanced", "ldam_drw"])
def test_deferred_weights_are_equal_until_reweight_after(strategy, name):
    objective = strategy(name, "balance.reweight_after=0.8").plan(labels_of(SETS["tiny"]), seed=0).objective
    weights = {}
    for progress in (0.0, 0.79, 0.8, 0.99, 0.5):
        objective.start_epoch(progress)
        weights[progress] = objective(torch.zeros(2, 2), torch.arange(2))[1].tolist()
    assert weights[0.0] == weights[0.79] == weights[0.5] == [1.0, 1.0]
    assert weights[0.8] == weights[0.99]
    assert weights[0.8][0] > 1 > weights[0.8][1]


def test_margins_fall_with_the_fourth_root_of_the_count_from_the_largest_of_half(strategy):
    plan = strategy("ldam_drw").plan(labels_of({"a": 16, "b": 256}), seed=0)
    assert plan.cosine_head == 30
    logits = torch.zeros(2, 2)
    margins = np.array([0.5, 0.25]) * 30  # (16 / 256)^(1/4) = 1/2
    assert plan.objective(logits, torch.arange(2))[0].tolist() == pytest.approx(np.log1p(np.exp(margins)).tolist())


def test_post_hoc_adjustment_changes_predictions_alone(strategy):
    labels = labels_of({"angry": 100, "happy": 900})
    plan = strategy("logit_adjustment_post_hoc", "balance.tau=2.0").plan(labels, seed=0)
    logits = torch.zeros(2, 2)
    assert plan.objective(logits, torch.arange(2))[0].tolist() == pytest.approx([np.log(2)] * 2)
    odds = plan.objective.predict(logits).softmax(1)[0]
    assert float(odds[0] / odds[1]) == pytest.approx(81.0)  # (0.9 / 0.1)^2
    trained = strategy("logit_adjustment", "balance.tau=2.0").plan(labels, seed=0).objective
    assert torch.equal(trained.predict(logits), logits)


def test_dcgan_asks_for_the_papers_eighty_images(strategy):
    assert strategy("dcgan").plan(labels_of(SETS["paper"]), seed=0).added == {"angry": 80}


def test_dcgan_needs_images_unless_a_folder_is_given(strategy):
    assert strategy("dcgan").needs_generated_images
    assert not strategy("dcgan", "balance.synthetic=somewhere").needs_generated_images


# add


@pytest.mark.parametrize(
    ("added", "generated"),
    [("200", {"angry": 200}), ("0", {}), ("{happy: 5, angry: 0}", {"happy": 5}), ("{}", {})],
)
def test_add_generates_the_given_number_whatever_the_balance(strategy, added, generated):
    chosen = strategy("dcgan", f"balance.add={added}")
    assert chosen.plan(labels_of(SETS["paper"]), seed=0).added == generated


def test_add_is_for_the_first_by_name_of_equally_small_classes(strategy):
    assert strategy("dcgan", "balance.add=5").plan(labels_of({"b": 9, "a": 9}), seed=0).added == {"a": 5}


def test_an_arm_that_adds_nothing_needs_no_gan(strategy):
    assert not strategy("dcgan", "balance.add=0").needs_generated_images
    assert strategy("dcgan", "balance.add=1").needs_generated_images


def test_add_refuses_an_unknown_class(strategy):
    with pytest.raises(
        ConfigError, match=r"balance\.add=\{'bored': 5\}: there is no class bored; the classes are angry, happy"
    ):
        strategy("dcgan", "balance.add={bored: 5}").plan(labels_of(SETS["paper"]), seed=0)


# inject


@pytest.mark.parametrize("inject", ["symmetric", "pretrain"])
@pytest.mark.parametrize("counts", SETS.values(), ids=SETS)
def test_if_every_class_gets_images_the_real_ones_are_balanced_too(strategy, inject, counts):
    labels = labels_of(counts)
    plan = strategy("dcgan", f"balance.inject={inject}").plan(labels, seed=0)
    largest = max(counts.values())
    assert plan.added == dict.fromkeys(sorted(counts), largest)
    assert Counter(labels[plan.indices].tolist()) == dict.fromkeys(counts, largest)
    assert set(plan.indices) == set(range(len(labels)))
    assert np.array_equal(plan.indices, strategy("oversample").plan(labels, seed=0).indices)


@pytest.mark.parametrize("inject", ["symmetric", "pretrain"])
def test_if_every_class_gets_images_add_is_the_number_for_each(strategy, inject):
    chosen = strategy("dcgan", f"balance.inject={inject}", "balance.add=7")
    assert chosen.plan(labels_of(SETS["paper"]), seed=0).added == {"angry": 7, "happy": 7}
    assert not strategy("dcgan", f"balance.inject={inject}", "balance.add=0").plan(labels_of(SETS["paper"]), 0).added


@pytest.mark.parametrize(
    ("settings", "injection"),
    [
        ([], Injection()),
        (["balance.generated_fraction=0.25", "balance.weight=0.5"], Injection(generated_fraction=0.25, weight=0.5)),
        (["balance.inject=symmetric", "balance.generated_fraction=0.5"], Injection(generated_fraction=0.5)),
        (["balance.inject=pretrain"], Injection(pretrain_fraction=1 / 3)),
        (["balance.inject=pretrain", "balance.generated_fraction=0.5"], Injection(pretrain_fraction=0.5)),
    ],
)
def test_the_plan_says_how_images_reach_the_batches(strategy, settings, injection):
    assert strategy("dcgan", *settings).plan(labels_of(SETS["paper"]), seed=0).injection == injection


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["balance.inject=symmetric", "balance.add={angry: 5}"], r"add=\{'angry': 5\}: with inject=symmetric every"),
        (
            ["balance.inject=pretrain", "balance.weight=0.5"],
            r"weight=0\.5: with inject=pretrain no batch has both training images and added",
        ),
        (["balance.inject=onesided"], r"balance\.inject='onesided'.*'missing', 'symmetric' or 'pretrain'"),
        (["balance.generated_fraction=1.0"], r"balance\.generated_fraction=1\.0"),
        (["balance.weight=0.0"], r"balance\.weight=0\.0"),
    ],
)
def test_contradictory_injections_are_refused(strategy, settings, message):
    with pytest.raises(ConfigError, match=message):
        strategy("dcgan", *settings)


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
    assert count_images_to_add(wanted, labels_of(SETS["paper"])) == added


def test_sampling_strategy_of_seven_classes():
    labels = labels_of(SETS["seven"])
    assert count_images_to_add("auto", labels) == {"a": 20, "b": 57, "c": 35, "f": 53, "g": 29}
    assert count_images_to_add("minority", labels) == {"b": 57}
    assert count_images_to_add({"b": 10, "f": 10}, labels) == {"b": 7, "f": 3}


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [
        ("auto", {"happy": 820}),
        ("majority", {"happy": 820}),
        ("not minority", {"happy": 820}),
        ("not majority", {}),
        ("all", {"happy": 820}),
        (0.95, {"happy": 863}),
        (1.0, {"happy": 820}),
        ({"happy": 850}, {"happy": 850}),
        ({"happy": 90, "angry": 80}, {"happy": 90, "angry": 80}),
    ],
)
def test_sampling_strategy_of_undersampling(wanted, kept):
    assert count_images_to_keep(wanted, labels_of(SETS["paper"])) == kept


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("minority", "cannot be used with under-sampler"),
        ({"bored": 9}, "bored.*is/are not present in the data"),
        ({"happy": 1000}, "should be less or equal to the original number of samples"),
        (0.5, "should be less or equal to the original number of samples"),
    ],
)
def test_impossible_sampling_strategies_of_undersampling_are_refused(wanted, message):
    with pytest.raises(ConfigError, match=rf"balance\.sampling_strategy=.*({message})"):
        count_images_to_keep(wanted, labels_of(SETS["paper"]))


@pytest.mark.parametrize("count", range(1, 200))
def test_a_ratio_is_rounded_not_truncated(count):
    """imbalanced-learn itself takes int(0.95 * 900 - 820), which is 34 or 35 by luck of the floats."""
    majority, ratio = 1000, (500 + count) / 1000
    labels = labels_of({"big": majority, "small": 500})
    assert count_images_to_add(ratio, labels) == {"small": count}


@pytest.mark.parametrize(
    ("wanted", "counts", "message"),
    [
        ({"bored": 900}, "paper", "bored.*is/are not present in the data"),
        ({"angry": 100}, "paper", "should be greater or equal to the original number of samples"),
        (0.5, "paper", "should be greater or equal to the original number of samples"),
        ("majority", "paper", "cannot be used with over-sampler"),
        (0.5, "seven", "only when the type of target is binary"),
    ],
)
def test_impossible_sampling_strategies_are_refused(wanted, counts, message):
    with pytest.raises(ConfigError, match=rf"balance\.sampling_strategy=.*({message})"):
        count_images_to_add(wanted, labels_of(SETS[counts]))


def test_one_class_is_refused():
    with pytest.raises(ConfigError, match="1 class"):
        count_images_to_add("auto", labels_of({"angry": 5}))


@pytest.mark.parametrize("fraction", [0.25, 0.5, 1.0])
def test_fewer_images_keeps_a_fraction_of_each_small_class_and_the_classes_as_frequent(strategy, fraction):
    counts = SETS["seven"]
    labels = labels_of(counts)
    indices = strategy("fewer_images", f"balance.fraction={fraction}").plan(labels, seed=0).indices
    assert Counter(labels[indices].tolist()) == counts
    kept = Counter(labels[np.unique(indices)].tolist())
    largest = max(counts.values())
    assert kept == {name: n if n == largest else max(1, round(fraction * n)) for name, n in counts.items()}
    times = Counter(indices.tolist()).values()
    assert max(times) - min(times) <= round(1 / fraction)


def test_a_learning_curve_is_nested(strategy):
    labels = labels_of(SETS["paper"])
    quarter, half = (
        set(strategy("fewer_images", f"balance.fraction={fraction}").plan(labels, seed=0).indices.tolist())
        for fraction in (0.25, 0.5)
    )
    assert quarter < half


@pytest.mark.parametrize("name", ["copies", "real_images"])
def test_controls_add_as_many_images_in_the_same_way_as_a_gan(strategy, name):
    for settings in ([], ["balance.add=7"], ["balance.inject=symmetric"], ["balance.generated_fraction=0.25"]):
        labels = labels_of(SETS["paper"])
        control, generated = (strategy(each, *settings).plan(labels, seed=0) for each in (name, "dcgan"))
        assert control.added == generated.added
        assert np.array_equal(control.indices, generated.indices)
        assert replace(control.injection, origin="generated") == generated.injection
