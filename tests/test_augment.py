"""Augmentation: one contract over all options, and what each of them does."""

import pytest
import torch

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.evaluation.result import Result

OPTIONS = sorted(path.stem for path in (CONF_DIR / "augment").glob("*.yaml"))


@pytest.fixture
def augment(read):
    return lambda name, *overrides: read("train=cnn", f"augment={name}", *overrides).augment


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def stays_on_the_device(change) -> bool:
    """Tensors of the meta device have no values, so that asking for one raises."""
    state = torch.get_rng_state()
    try:
        change(torch.empty(4, 3, 20, 20, dtype=torch.uint8, device="meta"))
    except RuntimeError:
        return False
    return torch.equal(torch.get_rng_state(), state)


def still(**changes: float) -> list[str]:
    """traditional with nothing on but `changes`."""
    values = {"flip": 0.0, "degrees": 0.0, "translate": 0.0, "scale": 0.0} | changes
    return [f"augment.{key}={value}" for key, value in values.items()]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("shape", [(5, 3, 20, 20), (1, 1, 33, 33)])
class TestEveryOption:
    def test_maps_bytes_to_bytes_of_the_same_shape(self, augment, name, shape):
        out = augment(name)(noise(*shape))
        assert out.shape == shape
        assert out.dtype == torch.uint8

    def test_is_reproducible_by_seed(self, augment, name, shape):
        images, change = noise(*shape), augment(name)
        outs = []
        for _ in range(2):
            torch.manual_seed(4)
            outs.append(change(images))
        assert torch.equal(*outs)

    def test_leaves_its_input_alone(self, augment, name, shape):
        images = noise(*shape)
        before = images.clone()
        augment(name)(images)
        assert torch.equal(images, before)


@pytest.mark.parametrize("name", OPTIONS)
def test_exactly_what_asks_nothing_of_the_host_may_be_captured(augment, name):
    change = augment(name)
    assert change.capturable == stays_on_the_device(change)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "none"])
def test_every_image_has_its_own_draws(augment, name, channels):
    torch.manual_seed(0)
    out = augment(name)(noise(1, channels, 20, 20).expand(32, -1, -1, -1))
    assert len({image.numpy().tobytes() for image in out}) > 16  # two of a policy's choices may be alike


def test_every_option_is_an_arm(run):
    folder = run("train=study", f"train.arms=[{','.join(f'none+{name}' for name in OPTIONS)}]")
    arms = {Result.load(file.parent).arm for file in folder.rglob("result.json")}
    assert arms == {"none" if name == "none" else f"none+{name}" for name in OPTIONS}


def test_no_augmentation_is_the_identity(augment):
    images = noise(4, 3, 20, 20)
    assert torch.equal(augment("none")(images), images)


# traditional


def test_nothing_on_is_the_identity(augment):
    images = noise(4, 3, 20, 20)
    assert torch.equal(augment("traditional", *still())(images), images)


def test_flip_of_one_mirrors_every_image(augment):
    images = noise(4, 3, 20, 20)
    assert torch.equal(augment("traditional", *still(flip=1.0))(images), images.flip(3))


def test_flip_of_a_half_mirrors_about_half(augment):
    torch.manual_seed(0)
    images = noise(1, 1, 8, 8).repeat(2000, 1, 1, 1)
    out = augment("traditional", *still(flip=0.5))(images)
    share = (out != images).flatten(1).any(1).float().mean()
    assert 0.45 < share < 0.55  # 4.5 standard deviations


def test_shifts_stay_within_translate(augment):
    torch.manual_seed(0)
    images = torch.zeros(500, 1, 41, 41, dtype=torch.uint8)
    images[:, :, 20, 20] = 255
    out = augment("traditional", *still(translate=0.1))(images).float()
    mass = out.sum((1, 2, 3))
    places = torch.arange(41.0)
    for moments in (out.sum((1, 2)), out.sum((1, 3))):
        shift = (moments * places).sum(1) / mass - 20
        assert shift.abs().max() <= 4.1 + 0.01  # a pixel's rounding
        assert shift.abs().max() > 3.5


def test_scale_zooms_both_ways(augment):
    torch.manual_seed(0)
    images = torch.zeros(500, 1, 41, 41, dtype=torch.uint8)
    images[:, :, 10:31, 10:31] = 255
    area = augment("traditional", *still(scale=0.2))(images).sum((1, 2, 3)) / images[0].sum()
    assert 0.8**2 - 0.02 <= area.min() < 0.7
    assert 1.38 < area.max() <= 1.2**2 + 0.02
