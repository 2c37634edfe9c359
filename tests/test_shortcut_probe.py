"""The shortcut probe tells images by how they were made, and by nothing else."""

import pytest
import torch
from torchvision.transforms.v2.functional import resize

from fer_experiments.audit.shortcut_probe import auroc_interval, shortcut_probe


def noise(count: int, side: int = 64, seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, side, side), generator=torch.Generator().manual_seed(seed)).byte()


def test_probe_is_at_chance_between_two_halves_of_one_set():
    images = noise(128, side=48)
    probe = shortcut_probe(images[::2], images[1::2], seed=0)
    assert 0.35 < probe.auroc < 0.65
    assert probe.low < 0.5 < probe.high
    assert probe.images == 64


@pytest.mark.parametrize("swapped", [False, True])
def test_probe_sees_that_images_were_enlarged_whichever_kind_they_are(swapped):
    kinds = [noise(48), resize(noise(64, side=32, seed=1), [64, 64], antialias=True)]
    # The same range of brightness, so that only the enlargement tells.
    kinds[1] = ((kinds[1].float() - 127) * 1.6 + 127).clamp(0, 255).byte()
    probe = shortcut_probe(*reversed(kinds) if swapped else kinds, seed=0)
    assert probe.auroc > 0.9
    assert probe.images == 48


def test_probe_repeats_itself_and_leaves_the_random_state():
    images = noise(40, side=32)
    state = torch.get_rng_state()
    first, second = (shortcut_probe(images[:20], images[20:], seed=3) for _ in range(2))
    assert first == second
    assert torch.equal(torch.get_rng_state(), state)


def test_probe_of_few_images_says_why_there_is_no_number():
    with pytest.raises(ValueError, match=r"^40 real and 7 generated images; 16 of each are needed$"):
        shortcut_probe(noise(40), noise(7), seed=0)


def test_probe_takes_a_last_batch_of_one_image():
    images = noise(34, side=28)  # each of the two folds has 17 of them, a batch of 16 and one of 1
    assert 0 <= shortcut_probe(images[:17], images[17:], seed=0).auroc <= 1


def test_probe_of_images_that_its_layers_would_use_up_is_not_measured():
    with pytest.raises(ValueError, match=r"^images of 16 pixels; 22 are needed$"):
        shortcut_probe(noise(20, side=16), noise(20, side=16), seed=0)


def test_auroc_interval_contains_its_value_and_shrinks_with_more_images():
    for auroc in (0.0, 0.3, 0.5, 0.97, 1.0):
        (low, high), (nearer_low, nearer_high) = (auroc_interval(auroc, count, count) for count in (20, 200))
        assert 0 <= low <= nearer_low <= auroc <= nearer_high <= high <= 1
        assert high - low > nearer_high - nearer_low
    assert auroc_interval(1.0, 20, 20)[0] < 1  # 20 of each that are told apart are no proof
    low, high = auroc_interval(0.3, 30, 50)
    assert auroc_interval(0.7, 30, 50) == pytest.approx((1 - high, 1 - low))
