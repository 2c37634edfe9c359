"""Alarms about a GAN's training: each planted fault raises one, and a healthy training none."""

import json
import logging

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fer_experiments.gan.health import (
    GAN_ADVICE,
    Advice,
    compute_diversity_ratio,
    compute_last_scores,
    detect_cutout_leak,
    detect_mode_collapse,
    detect_short_training,
    detect_winning_discriminator,
    examine_gan,
    has_flat_square,
)


def noise(count: int, seed: int = 0, side: int = 32) -> torch.Tensor:
    return torch.randint(
        0, 256, (count, 1, side, side), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def history(real: float, generated: float, rows: int = 20) -> list[dict[str, float]]:
    """Return rows with scores of 0.5, and with the given ones in the last tenth."""
    even, last = ({"gan/score_real": a, "gan/score_generated": b} for a, b in ((0.5, 0.5), (real, generated)))
    return [even] * (rows - rows // 10) + [last] * (rows // 10)


def with_square(images: torch.Tensor, top: int = 3, left: int = 9) -> torch.Tensor:
    """Draw a grey square of half the side on copies of the images."""
    images = images.clone()
    half = images.shape[-1] // 2
    images[:, :, top : top + half, left : left + half] = 127
    return images


# Diversity


def test_other_images_of_the_same_kind_have_a_diversity_of_one():
    assert compute_diversity_ratio(noise(60, seed=1), noise(60, seed=2)) == pytest.approx(1, abs=0.02)


def test_copies_of_one_image_have_no_diversity():
    assert compute_diversity_ratio(noise(1).expand(60, -1, -1, -1), noise(60, seed=1)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("modes", [2, 4, 5])
def test_m_real_images_repeated_have_a_diversity_of_1_minus_1_over_m(modes):
    real = noise(40)
    repeated = real[torch.arange(200) % modes]
    expected = (1 - 1 / modes) * 200 / 199  # no image is paired with itself
    assert compute_diversity_ratio(repeated, real) == pytest.approx(expected, abs=0.02)


def test_brightness_is_not_diversity():
    steps = torch.arange(60, dtype=torch.uint8)[:, None, None, None]
    shades = (noise(1) // 2) + steps  # of one image
    assert compute_diversity_ratio(shades, noise(60, seed=1)) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(("generated", "real"), [(60, 1), (1, 60)])
def test_a_single_image_has_no_diversity_to_measure(generated, real):
    assert compute_diversity_ratio(noise(generated), noise(real)) is None
    assert compute_diversity_ratio(noise(60), noise(1).expand(3, -1, -1, -1)) is None


def test_collapse_names_its_classes_and_the_keys_to_change():
    alarm = detect_mode_collapse({"angry": 0.31, "happy": 0.8})
    assert alarm.name == "mode collapse"
    assert "angry 0.31; under 0.5" in alarm.message
    assert "happy" not in alarm.message
    assert "'gan.diffaugment=\"color,translation,cutout\"'" in alarm.message
    assert detect_mode_collapse({"happy": 0.8}) is None
    assert detect_mode_collapse({}) is None


# Scores


def test_last_scores_are_those_of_the_last_tenth():
    assert compute_last_scores(history(0.9, 0.1)) == pytest.approx((0.9, 0.1))
    assert compute_last_scores(history(0.9, 0.1, rows=10)[-1:]) == pytest.approx((0.9, 0.1))


@pytest.mark.parametrize("loss", ["bce", "minimax", "hinge", "lsgan"])
def test_a_discriminator_that_tells_all_apart_has_won(loss):
    alarm = detect_winning_discriminator(history(0.99, 0.01), loss)
    assert alarm.name == "discriminator has won"
    assert "0.99 on real and 0.01 on generated" in alarm.message
    assert "gan.discriminator_learning_rate" in alarm.message


@pytest.mark.parametrize(
    ("scores", "loss"),
    [((0.99, 0.2), "bce"), ((0.8, 0.01), "bce"), ((0.6, 0.4), "hinge"), ((0.99, 0.01), "wgan_gp")],
)
def test_a_discriminator_that_errs_or_has_no_score_has_not_won(scores, loss):
    assert detect_winning_discriminator(history(*scores), loss) is None


def test_without_history_there_is_no_alarm_about_the_discriminator():
    assert detect_winning_discriminator([], "bce") is None


# Steps


def test_too_few_steps_name_both_keys():
    alarm = detect_short_training(999)
    assert alarm.name == "too few steps"
    assert "999 batches" in alarm.message
    assert "gan.images_seen" in alarm.message
    assert "gan.epochs" in alarm.message
    assert detect_short_training(1000) is None


# Cutout


def test_a_flat_square_is_noticed_anywhere_in_the_image():
    for top, left in ((0, 0), (3, 9), (16, 16)):
        assert has_flat_square(with_square(noise(5), top, left)).all()
    assert not has_flat_square(noise(5)).any()
    assert has_flat_square(torch.cat([with_square(noise(1)), noise(3)])).tolist() == [True, False, False, False]


def test_a_smaller_square_is_ignored():
    images = noise(5)
    images[:, :, 4:16, 4:16] = 127
    assert not has_flat_square(images).any()


def test_cutout_leaks_if_samples_have_more_squares_than_real_images():
    alarm = detect_cutout_leak(0.4, 0.05, "color,translation,cutout")
    assert alarm.name == "cutout leaks"
    assert "40% of the samples" in alarm.message
    assert "'gan.diffaugment=\"color,translation\"'" in alarm.message
    assert detect_cutout_leak(0.1, 0.05, "color,cutout") is None
    assert detect_cutout_leak(0.9, 0.85, "cutout") is None  # dark backgrounds, in both
    assert detect_cutout_leak(0.4, 0.05, "color,translation") is None
    assert detect_cutout_leak(0.4, 0.05, None) is None


# All together


def alarm_names(generated: torch.Tensor, scores: tuple[float, float] = (0.6, 0.4), steps: int = 4000) -> set[str]:
    health = examine_gan(
        [("a", generated, noise(40, 1))], history(*scores), steps=steps, loss="bce", policy="color,cutout"
    )
    return {alarm.name for alarm in health.alarms}


def test_each_fault_raises_its_own_alarm_and_a_healthy_gan_none():
    good = noise(40)
    assert alarm_names(good) == set()
    assert alarm_names(good[:1].expand(40, -1, -1, -1)) == {"mode collapse"}
    assert alarm_names(good, scores=(0.99, 0.01)) == {"discriminator has won"}
    assert alarm_names(good, steps=10) == {"too few steps"}
    assert alarm_names(with_square(good)) == {"cutout leaks"}


def test_a_class_that_collapsed_alone_is_named():
    samples = [("a", noise(40, 3), noise(40, 0)), ("b", noise(1).expand(40, -1, -1, -1), noise(40, 1))]
    health = examine_gan(samples, history(0.6, 0.4), steps=4000, loss="bce", policy=None)
    assert [alarm.name for alarm in health.alarms] == ["mode collapse"]
    assert "is b 0.00;" in health.alarms[0].message
    assert health.values["diversity"] == health.values["diversity/b"] < 0.01 < 0.9 < health.values["diversity/a"]


def test_a_training_that_is_too_short_is_not_advised_to_be_shorter():
    samples = [("a", noise(1).expand(40, -1, -1, -1), noise(40, 1))]
    for steps, is_advised in ((10, False), (4000, True)):
        alarms = examine_gan(samples, history(0.99, 0.01), steps=steps, loss="bce", policy=None).alarms
        texts = [alarm.message for alarm in alarms if alarm.name != "too few steps"]
        assert len(texts) == 2
        assert all((GAN_ADVICE.shorter in text) == is_advised for text in texts)


def test_alarms_advise_the_keys_of_their_training():
    advice = Advice("longer keys", "shorter keys", "slower keys")
    assert detect_short_training(1, advice).message.endswith("longer keys")
    assert detect_mode_collapse({"angry": 0.1}, advice).message.endswith(", or shorter keys")
    message = detect_winning_discriminator(history(0.99, 0.01), "bce", advice).message
    assert message.endswith("slower keys, or shorter keys")
    assert all("gan." in text for text in GAN_ADVICE)


@pytest.mark.parametrize("gan", ["dcgan", "conditional"])
def test_a_training_ends_with_its_health(run, caplog, gan):
    with caplog.at_level(logging.WARNING):
        folder = run("train=dcgan", f"gan={gan}", "gan.epochs=2")
    health = json.loads((folder / "health.json").read_text())
    assert "too few steps" in {alarm["name"] for alarm in health["alarms"]}
    assert health["values"]["steps"] == {"dcgan": 2, "conditional": 4}[gan]
    assert {"score_real", "score_generated", "flat_squares", "flat_squares_real"} <= set(health["values"])
    assert f"GAN of {'angry' if gan == 'dcgan' else 'angry, happy'}: too few steps: " in caplog.text
    events = EventAccumulator(str(folder))
    events.Reload()
    scalars = events.Tags()["scalars"]
    assert "hparams/diversity" in scalars
    assert "epoch" not in scalars
