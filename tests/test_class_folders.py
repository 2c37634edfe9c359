"""A folder of generated images: what is read, what is left out and counted, and what is refused by name."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_experiments.data.class_folders import read_class_folders
from fer_experiments.data.warn_once import forget_warnings
from fer_experiments.errors import ConfigError

CLASSES = ("cat", "dog")
LEVELS = np.array([20, 100, 200])  # gray levels of the first three images
SIDE = 16


def gray(level: int) -> Image.Image:
    """An image of one gray level with a black upper half."""
    pixels = np.full((SIDE, SIDE), level, np.uint8)
    pixels[: SIDE // 2] = 0
    return Image.fromarray(pixels)


def half_transparent(image: Image.Image, mode: str) -> Image.Image:
    """The image with a lower half that shows half of what is behind it."""
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[SIDE // 2 :] = 128
    image = image.convert(mode)
    image.putalpha(Image.fromarray(alpha))
    return image


def write(folder: Path, change, suffix: str = "png", **options) -> Path:
    """folder/cat/N.SUFFIX, of LEVELS, each changed."""
    (folder / "cat").mkdir(parents=True)
    for number, level in enumerate(LEVELS):
        change(gray(level)).save(folder / "cat" / f"{number}.{suffix}", **options)
    return folder


def read(folder: Path, channels: int = 1):
    return read_class_folders(folder, CLASSES, channels, SIDE, None)


def lower_levels(folder: Path, channels: int = 1) -> np.ndarray:
    """The mean level of each image's lower half, away from the edge."""
    return read(folder, channels).images[:, SIDE // 2 + 3 :].mean((1, 2, 3))


@pytest.fixture
def folder(tmp_path) -> Path:
    return write(tmp_path / "good", lambda image: image)


@pytest.fixture(autouse=True)
def _warn_in_each_test() -> None:
    forget_warnings()


TWO_FRAMES = {"save_all": True, "append_images": [gray(0)]}
MODES = {
    "other size": (lambda image: image.resize((40, 24)), {}, LEVELS),
    "palette": (lambda image: image.convert("RGB").quantize(8), {}, LEVELS),
    "16 bits": (lambda image: Image.fromarray(np.asarray(image).astype(np.uint16) * 257), {}, LEVELS),
    "float": (lambda image: Image.fromarray(np.asarray(image) / np.float32(255)), {"suffix": "tif"}, LEVELS),
    "CMYK": (lambda image: image.convert("RGB").convert("CMYK"), {"suffix": "tif"}, LEVELS),
    "LA": (lambda image: half_transparent(image, "L"), {}, LEVELS / 2 + 127),  # white is behind it
    "RGBA": (lambda image: half_transparent(image, "RGB"), {}, LEVELS / 2 + 127),
    "1 bit": (lambda image: image.point(lambda level: 255 * (level > 50)).convert("1"), {}, [0, 255, 255]),
    "animated PNG": (lambda image: image, TWO_FRAMES, LEVELS),  # the first frame
    "animated WebP": (lambda image: image, TWO_FRAMES | {"suffix": "webp", "lossless": True}, LEVELS),
    "upper case": (lambda image: image, {"suffix": "PNG"}, LEVELS),
    "a GIF called PNG": (lambda image: image, {"format": "GIF"}, LEVELS),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MODES)
def test_images_of_every_mode_keep_their_brightness(tmp_path, name, channels):
    change, options, levels = MODES[name]
    folder = write(tmp_path / "images", change, **options)
    assert read(folder, channels).images.shape == (3, SIDE, SIDE, channels)
    assert lower_levels(folder, channels) == pytest.approx(np.array(levels), abs=2)


def test_images_of_16_bits_have_one_white_level(tmp_path):
    folder = write(tmp_path / "images", lambda image: Image.fromarray(np.asarray(image).astype(np.uint16)))
    bright = np.full((SIDE, SIDE), 65535, np.uint16)
    Image.fromarray(bright).save(folder / "cat" / "3.png")
    assert lower_levels(folder) == pytest.approx([0, 0, 1, 255], abs=0.5)


def first(folder: Path) -> Path:
    return folder / "cat" / "0.png"


def link_to(folder: Path, target: Path | str) -> None:
    first(folder).unlink()
    first(folder).symlink_to(target)


UNREADABLE = {
    "corrupt": (lambda folder: first(folder).write_bytes(b"nothing" * 9), r"0\.png: can't be read: cannot identify"),
    "truncated": (lambda folder: first(folder).write_bytes(first(folder).read_bytes()[:50]), r"0\.png: can't be read"),
    "empty": (lambda folder: first(folder).write_bytes(b""), r"0\.png: can't be read: is empty \(0 bytes\)"),
    "broken link": (lambda folder: link_to(folder, "nowhere.png"), r"0\.png: can't be read: .*No such file"),
    "negative": (
        lambda folder: Image.fromarray(np.full((8, 8), -1, np.float32)).save(folder / "cat" / "x.tif"),
        r"x\.tif: can't be read: values from -1 to -1; save it with",
    ),
    "unknown class": (lambda folder: (folder / "cat").rename(folder / "Cat"), "Cat is not a class of the split"),
    "no images": (lambda folder: shutil.rmtree(folder / "cat"), "has no images in CLASS"),
    "no folder": (shutil.rmtree, "is not a folder; give one that holds CLASS"),
    "GIF": (
        lambda folder: [file.rename(file.with_suffix(".gif")) for file in (folder / "cat").iterdir()],
        "has no images in CLASS",
    ),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_cant_be_read_is_named(folder, name):
    spoil, message = UNREADABLE[name]
    spoil(folder)
    with pytest.raises(ConfigError, match=message):
        read(folder)


def nest(folder: Path) -> None:
    (folder / "cat" / "a" / "b").mkdir(parents=True)
    first(folder).rename(folder / "cat" / "a" / "b" / "0.png")


def add_other_files(folder: Path) -> None:
    for name in ("notes.txt", "a.gif", "b.gif", ".DS_Store", "._0.png", "Thumbs.db"):
        (folder / "cat" / name).write_bytes(b"x")
    (folder / ".ipynb_checkpoints").mkdir()


LEFT_OUT = {
    "nested folders": (nest, None),
    "a link to an image outside": (lambda folder: link_to(folder, shutil.copy(first(folder), folder.parent)), None),
    "hidden and other files": (add_other_files, r"3 files were skipped: 2 \.gif, 1 \.txt; read are"),
    "a link to a folder": (
        lambda folder: (folder / "cat" / "more").symlink_to(folder),
        "cat: more is a link to a folder, whose images are not read",
    ),
    "an image of no class": (
        lambda folder: shutil.copy(first(folder), folder / "loose.png"),
        r"1 images lie in .*beside the folders of classes, such as loose\.png",
    ),
}


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_left_out_is_counted_and_nothing_else_is(folder, caplog, name):
    change, warning = LEFT_OUT[name]
    change(folder)
    images = read(folder)
    assert images.labels.tolist() == ["cat"] * 3
    assert sorted(lower_levels(folder)) == pytest.approx(LEVELS)
    if warning is None:
        assert caplog.messages == []
    else:
        (message,) = caplog.messages
        assert re.search(warning, message)
