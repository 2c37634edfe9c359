"""Augmentation: one contract over all options, and what the affine change does."""

import pytest
import torch

from fer_experiments.__main__ import CONF_DIR

OPTIONS = sorted(path.stem for path in (CONF_DIR / "augment").glob("*.yaml"))


@pytest.fixture
def augment(read):
    return lambda name, *overrides: read("train=cnn", f"augment={name}", *overrides).augment


def still(**changes: float) -> list[str]:
    """traditional with nothing on but `changes`."""
    values = {"flip": 0.0, "degrees": 0.0, "translate": 0.0, "scale": 0.0} | changes
    return [f"augment.{key}={value}" for key, value in values.items()]


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("shape", [(5, 3, 20, 20), (1, 1, 33, 33)])
class TestEveryOption:
    def test_keeps_shape_and_range(self, augment, name, shape):
        out = augment(name)(torch.rand(shape))
        assert out.shape == shape
        assert out.min() >= 0
        assert out.max() <= 1

    def test_is_reproducible_by_seed(self, augment, name, shape):
        images, change = torch.rand(shape), augment(name)
        outs = []
        for _ in range(2):
            torch.manual_seed(4)
            outs.append(change(images))
        assert torch.equal(*outs)

    def test_leaves_its_input_alone(self, augment, name, shape):
        images = torch.rand(shape)
        before = images.clone()
        augment(name)(images)
        assert torch.equal(images, before)


def test_traditional_draws_for_each_image(augment):
    images = torch.rand(1, 3, 20, 20).repeat(8, 1, 1, 1)
    out = augment("traditional")(images)
    assert len({tuple(image.flatten().tolist()) for image in out}) == 8


def test_nothing_on_is_the_identity(augment):
    images = torch.rand(4, 3, 20, 20)
    torch.testing.assert_close(augment("traditional", *still())(images), images)


def test_flip_of_one_mirrors_every_image(augment):
    images = torch.rand(4, 3, 20, 20)
    torch.testing.assert_close(augment("traditional", *still(flip=1.0))(images), images.flip(3))


def test_flip_of_a_half_mirrors_about_half(augment):
    torch.manual_seed(0)
    images = torch.rand(1, 1, 8, 8).repeat(2000, 1, 1, 1)
    out = augment("traditional", *still(flip=0.5))(images)
    share = (out - images).abs().amax((1, 2, 3)).gt(1e-4).float().mean()
    assert 0.45 < share < 0.55  # 4.5 standard deviations


def test_shifts_stay_within_translate(augment):
    torch.manual_seed(0)
    images = torch.zeros(500, 1, 41, 41)
    images[:, :, 20, 20] = 1
    out = augment("traditional", *still(translate=0.1))(images)
    mass = out.sum((1, 2, 3))
    places = torch.arange(41.0)
    for moments in (out.sum((1, 2)), out.sum((1, 3))):
        shift = (moments * places).sum(1) / mass - 20
        assert shift.abs().max() <= 4.1 + 1e-3
        assert shift.abs().max() > 3.5


def test_scale_zooms_both_ways(augment):
    torch.manual_seed(0)
    images = torch.zeros(500, 1, 41, 41)
    images[:, :, 10:31, 10:31] = 1
    area = augment("traditional", *still(scale=0.2))(images).sum((1, 2, 3)) / images[0].sum()
    assert 0.8**2 - 0.02 <= area.min() < 0.7
    assert 1.38 < area.max() <= 1.2**2 + 0.02
