"""Augmentation: one contract for all options, and what each of them does."""

from collections import Counter

import pytest
import torch
from torch.nn.functional import affine_grid
from torchvision.transforms import v2

from fer_experiments.__main__ import CONF_DIR
from fer_experiments.augment.geometry import compute_grid, resample
from fer_experiments.evaluation.result import Result
from fer_experiments.strict_config import ConfigError

OPTIONS = sorted(path.stem for path in (CONF_DIR / "augment").glob("*.yaml"))
IMAGE_BY_IMAGE = ("randaugment", "trivialaugment")  # torchvision's policies choose on the host


@pytest.fixture
def augment(read):
    return lambda name, *overrides: read("train=cnn", f"augment={name}", *overrides).augment


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, dtype=torch.uint8)


def still(**changes: float) -> list[str]:
    """Return overrides that switch off everything in traditional except `changes`."""
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

    def test_does_not_change_its_input(self, augment, name, shape):
        images = noise(*shape)
        before = images.clone()
        augment(name)(images)
        assert torch.equal(images, before)


@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in IMAGE_BY_IMAGE])
def test_batches_are_changed_on_their_device(augment, name):
    state = torch.get_rng_state()
    augment(name)(torch.empty(4, 3, 20, 20, dtype=torch.uint8, device="meta"))  # reading a value of it raises
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "none"])
def test_every_image_has_its_own_draws(augment, name, channels):
    torch.manual_seed(0)
    out = augment(name)(noise(1, channels, 20, 20).expand(32, -1, -1, -1))
    assert len({image.numpy().tobytes() for image in out}) > 16  # two of a policy's choices may be alike


@pytest.mark.usefixtures("blank_figures")
def test_every_option_is_an_arm(run):
    folder = run("train=study", f"train.arms=[{','.join(f'none+{name}' for name in OPTIONS)}]")
    arms = {Result.load(file.parent).arm for file in folder.rglob("result.json")}
    assert arms == {"none" if name == "none" else f"none+{name}" for name in OPTIONS}


def test_no_augmentation_is_the_identity(augment):
    images = noise(4, 3, 20, 20)
    assert torch.equal(augment("none")(images), images)


# traditional


def test_traditional_with_everything_off_is_the_identity(augment):
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


# crop_flip


def test_crops_are_windows_of_the_image_with_a_black_border_all_equally_often(augment):
    torch.manual_seed(0)
    image = torch.randint(1, 256, (1, 3, 6, 6), dtype=torch.uint8)
    padded = torch.nn.functional.pad(image, (2, 2, 2, 2))
    windows = [padded[0, :, y : y + 6, x : x + 6].numpy().tobytes() for y in range(5) for x in range(5)]
    out = augment("crop_flip", "augment.padding=2", "augment.flip=0")(image.repeat(5000, 1, 1, 1))
    counts = Counter(crop.numpy().tobytes() for crop in out)
    assert counts.keys() == set(windows)
    assert all(130 < count < 270 for count in counts.values())  # 200, 5 standard deviations


def test_a_crop_without_border_is_the_identity_and_flips_about_half(augment):
    torch.manual_seed(0)
    images = noise(1, 3, 8, 8).repeat(2000, 1, 1, 1)
    assert torch.equal(augment("crop_flip", "augment.padding=0", "augment.flip=0")(images), images)
    assert torch.equal(augment("crop_flip", "augment.padding=0", "augment.flip=1")(images), images.flip(3))
    share = (augment("crop_flip", "augment.padding=0")(images) != images).flatten(1).any(1).float().mean()
    assert 0.45 < share < 0.55  # 4.5 standard deviations


def test_crops_pass_gradients_to_the_pixels_that_they_show(augment):
    images = torch.rand(4, 3, 8, 8, requires_grad=True)
    augment("crop_flip").transform_float(images).sum().backward()
    assert set(images.grad.unique().tolist()) <= {0.0, 1.0}
    assert images.grad.sum() > 0


# strong


def dark(**changes: object) -> list[str]:
    """Return overrides that switch off everything in strong except `changes`."""
    values = {"brightness": 0.0, "contrast": 0.0, "erase": 0.0} | changes
    return [*still(), *(f"augment.{key}={value}" for key, value in values.items())]


def test_strong_with_everything_off_is_the_identity(augment):
    images = noise(4, 3, 20, 20)
    assert torch.equal(augment("strong", *dark())(images), images)


def test_strong_moves_images_as_traditional_does(augment):
    images = noise(4, 1, 20, 20)
    moves = ["augment.flip=0.5", "augment.degrees=20", "augment.translate=0.2", "augment.scale=0.3"]
    outs = []
    for change in (augment("traditional", *moves), augment("strong", *dark(), *moves)):
        torch.manual_seed(0)
        outs.append(change(images))
    assert torch.equal(*outs)


def test_brightness_scales_whole_images_by_up_to_its_range(augment):
    torch.manual_seed(0)
    out = augment("strong", *dark(brightness=0.5))(torch.full((500, 3, 8, 8), 100, dtype=torch.uint8)).flatten(1)
    assert torch.equal(out.amin(1), out.amax(1))
    assert 50 <= out.min() < 53
    assert 147 < out.max() <= 150


def test_contrast_scales_the_distance_from_the_mean_and_leaves_the_mean(augment):
    torch.manual_seed(0)
    images = torch.full((500, 1, 8, 8), 80, dtype=torch.uint8)
    images[..., 4:] = 120
    out = augment("strong", *dark(contrast=0.5))(images).float()
    assert (out.mean((1, 2, 3)) - 100).abs().max() <= 0.5
    distance = out[:, 0, 0, 7] - out[:, 0, 0, 0]
    assert 20 <= distance.min() < 23
    assert 57 < distance.max() <= 60


def test_pixels_that_become_too_bright_are_white(augment):
    out = augment("strong", *dark(brightness=0.5))(torch.full((50, 1, 8, 8), 255, dtype=torch.uint8))
    assert out.min() >= 127  # nothing wraps around to black
    assert (out == 255).any()


def boxes(out: torch.Tensor, value: int) -> torch.Tensor:
    """Return (B, 2): height and width of the area of each image that is not `value`."""
    changed = (out != value).any(1)
    return torch.stack([changed.any(2).sum(1), changed.any(1).sum(1)], dim=1)


def test_erasing_fills_a_rectangle_of_the_requested_area_and_ratio_with_noise(augment):
    torch.manual_seed(0)
    images = torch.full((300, 3, 60, 60), 128, dtype=torch.uint8)
    out = augment("strong", *dark(erase=1.0, erase_area="[0.2,0.2]", erase_ratio=0.5))(images)
    sides = boxes(out, 128).float()
    assert (sides.prod(1) / 3600 - 0.2).abs().max() < 0.03  # a side is a whole number of pixels
    ratio = sides[:, 0] / sides[:, 1]
    assert 0.46 < ratio.min() < 0.55
    assert 1.8 < ratio.max() < 2.2
    noisy = out[out != 128].float()
    assert abs(noisy.mean().item() - 127.5) < 1
    assert len(noisy.unique()) == 255


def test_opposite_sides_are_erased_equally_often(augment):
    torch.manual_seed(0)
    images = torch.full((2000, 1, 20, 20), 128, dtype=torch.uint8)
    frequency = (augment("strong", *dark(erase=1.0))(images) != 128).float().mean((0, 1))
    assert (frequency - frequency.flip(0)).abs().max() < 0.07  # 5 standard deviations
    assert (frequency - frequency.flip(1)).abs().max() < 0.07


def test_a_whole_image_can_be_erased(augment):
    images = torch.full((4, 1, 20, 20), 128, dtype=torch.uint8)
    out = augment("strong", *dark(erase=1.0, erase_area="[1.0,1.0]"))(images)
    assert (boxes(out, 128) == 20).all()


def test_erase_of_a_half_erases_about_half(augment):
    torch.manual_seed(0)
    images = torch.full((2000, 1, 8, 8), 128, dtype=torch.uint8)
    out = augment("strong", *dark(erase=0.5, erase_area="[0.3,0.4]"))(images)
    assert 0.45 < (out != 128).flatten(1).any(1).float().mean() < 0.55  # 4.5 standard deviations


@pytest.mark.parametrize("area", ["[0.3,0.1]", "[0.3]"])
def test_an_area_that_is_not_a_range_is_refused(read, area):
    with pytest.raises(ConfigError, match=r"augment\.erase_area=\[0\.3.*\]: takes the smallest and the largest share"):
        read("augment=strong", f"augment.erase_area={area}")


# randaugment, trivialaugment


@pytest.mark.parametrize(
    ("name", "transform"), [("randaugment", v2.RandAugment()), ("trivialaugment", v2.TrivialAugmentWide())]
)
def test_policies_are_torchvisions_applied_to_each_image(augment, name, transform):
    images = noise(6, 3, 20, 20)
    torch.manual_seed(0)
    out = augment(name)(images)
    torch.manual_seed(0)
    assert torch.equal(out, torch.stack([transform(image) for image in images]))


def test_a_magnitude_beyond_the_bins_is_refused(read):
    message = r"augment: magnitude=31: must be below num_magnitude_bins=31; give a smaller magnitude or more bins"
    with pytest.raises(ConfigError, match=message):
        read("augment=randaugment", "augment.magnitude=31")


@pytest.mark.parametrize("side", [32, 100])
def test_the_grid_is_that_of_torch_and_autocast_changes_nothing(side):
    matrices, images = torch.randn(8, 2, 3), torch.rand(8, 3, side, side)
    expected = affine_grid(matrices, [8, 3, side, side], align_corners=False)
    moves = {"flip": 0.5, "degrees": 20.0, "translate": 0.1, "scale": 0.2}
    resampled = []
    for is_enabled in (False, True):
        torch.manual_seed(0)
        with torch.autocast("cpu", torch.bfloat16, enabled=is_enabled):
            torch.testing.assert_close(compute_grid(matrices, side), expected, rtol=0, atol=1e-6)  # bfloat16: 1e-2
            resampled.append(resample(images, **moves))
    assert torch.equal(*resampled)
    assert resampled[0].dtype == torch.float32
