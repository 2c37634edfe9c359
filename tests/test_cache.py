"""The cache: every image is decoded once, to the same pixels in any file format; unreadable files are all named."""

import os
import re
import shutil
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from fer_experiments.data import cache as cache_module
from fer_experiments.data import checksums
from fer_experiments.data.cache import open_cache
from fer_experiments.data.decode import to_8_bit
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.sources import Folder
from fer_experiments.errors import ConfigError
from tests.conftest import source, write_images
from tests.processes import start_process


@pytest.fixture
def pets(two_classes, tmp_path):
    """pets(**keys) -> the folder source of two_classes, with a cache for this test alone."""
    return lambda **keys: source("folder", root=two_classes, **{"cache_dir": tmp_path / "cache"} | keys)


def save(path, image, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, **options)


def decoded(tmp_path, image, name="x.png", keys=None, **options) -> np.ndarray:
    """Return the pixels in the cache of a source that has only this image."""
    save(tmp_path / "one" / "a" / name, image, **options)
    opened = open_cache(source("folder", root=tmp_path / "one", **{"grayscale": False} | (keys or {})))
    assert list(opened.index["error"]) == [""]
    return opened.images[0]


def errors(tmp_path) -> dict[str, str]:
    """Return {path: why it can't be read, or ""} by the index of a folder's cache."""
    index = open_cache(source("folder", root=tmp_path)).index
    return dict(zip(index["path"], index["error"], strict=True))


# The content of a cache


def test_cache_holds_the_pixels_of_every_image_in_the_order_of_the_index(pets, two_classes):
    opened = open_cache(pets())
    assert opened.images.shape == (32, 24, 24, 3)
    assert opened.images.dtype == np.uint8
    for row, path in enumerate(opened.index["path"]):
        np.testing.assert_array_equal(opened.images[row], np.asarray(Image.open(two_classes / path)))


def test_cache_is_read_only_and_mapped(pets):
    images = open_cache(pets()).images
    assert isinstance(images, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        images[0] = 0


def test_bytes_are_the_size_on_disk(pets):
    opened = open_cache(pets())
    assert opened.bytes == sum(file.stat().st_size for file in opened.folder.iterdir()) > 32 * 24 * 24 * 3


def test_content_hash_is_of_pixels_and_not_of_files(tmp_path):
    image = Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    save(tmp_path / "a" / "one.png", image)
    save(tmp_path / "a" / "two.bmp", image)
    save(tmp_path / "a" / "three.webp", image, lossless=True)
    save(tmp_path / "b" / "one.png", image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    hashes = open_cache(source("folder", root=tmp_path)).index["content_hash"]
    assert len(set(hashes[:3])) == 1
    assert hashes[3] != hashes[0]


def test_content_hash_is_of_the_image_before_it_is_resized(tmp_path):
    for number, colour in enumerate((7, 7)):
        save(tmp_path / "a" / f"{number}.png", Image.new("L", (10 + number, 10), colour))
    opened = open_cache(source("folder", root=tmp_path))
    np.testing.assert_array_equal(opened.images[0], opened.images[1])
    assert opened.index["content_hash"].is_unique


@pytest.mark.parametrize(
    ("sizes", "keys", "side"),
    [
        ([(24, 24)], {}, 24),
        ([(128, 128)], {}, 128),
        ([(129, 129)], {}, 128),
        ([(24, 24), (25, 25)], {}, 128),
        ([(30, 20)], {}, 128),
        ([(30, 20)], {"image_size": 40}, 40),
        ([(24, 24), (300, 9)], {"image_size": 16}, 16),
        ([(1, 1)], {}, 1),
    ],
)
def test_without_image_size_the_side_is_the_images_own_if_all_agree_else_128(tmp_path, sizes, keys, side):
    for number, size in enumerate(sizes):
        save(tmp_path / "a" / f"{number}.png", Image.new("RGB", size))
    assert open_cache(source("folder", root=tmp_path, **keys)).images.shape == (len(sizes), side, side, 1)


@pytest.mark.parametrize(("keys", "channels"), [({}, 3), ({"grayscale": True}, 1), ({"channels": 1}, 1)])
def test_grayscale_or_one_channel_stores_one_channel(pets, keys, channels):
    assert open_cache(pets(**keys)).images.shape[-1] == channels


# Image modes

GRAY = np.add.outer(np.arange(16), 15 * np.arange(16)).astype(np.uint8)
RGB = np.stack([GRAY, GRAY.T, 255 - GRAY], axis=-1)


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
@pytest.mark.parametrize("grayscale", [True, False])
def test_a_grayscale_image_is_the_same_in_every_mode(tmp_path, mode, grayscale):
    image = Image.fromarray(GRAY.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(GRAY).convert(mode)
    pixels = decoded(tmp_path, image, keys={"grayscale": grayscale})
    np.testing.assert_array_equal(pixels, np.stack([GRAY] * (1 if grayscale else 3), axis=-1))


@pytest.mark.parametrize("name", ["x.png", "x.bmp"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_are_kept(tmp_path, name, mode):
    np.testing.assert_array_equal(decoded(tmp_path, Image.fromarray(RGB).convert(mode), name), RGB)


def test_colour_read_as_grayscale_is_its_luma(tmp_path):
    luma = decoded(tmp_path, Image.fromarray(RGB), keys={"grayscale": True})[..., 0]
    np.testing.assert_allclose(luma, RGB @ [0.299, 0.587, 0.114], atol=0.51)


def test_transparent_pixels_are_white(tmp_path):
    image = Image.new("RGBA", (8, 8), (200, 0, 0, 0))
    image.putpixel((3, 2), (200, 0, 0, 255))
    pixels = decoded(tmp_path, image)
    assert pixels[2, 3].tolist() == [200, 0, 0]
    pixels = pixels.copy()
    pixels[2, 3] = 255
    assert (pixels == 255).all()


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_the_transparent_colour_of_a_png_is_white(tmp_path, mode):
    image = Image.new("L", (8, 8), 0)
    image.putpixel((3, 2), 90)
    transparent = (0, 0, 0) if mode == "RGB" else 0
    pixels = decoded(tmp_path, image.convert(mode), transparency=transparent)
    assert pixels[2, 3].tolist() == [90, 90, 90]
    assert pixels[0, 0].tolist() == [255, 255, 255]


def test_palettes_become_their_colours(tmp_path):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 200, 30])
    assert (decoded(tmp_path, image) == [10, 200, 30]).all()


def test_black_and_white_bits_become_0_and_255(tmp_path):
    image = Image.new("1", (8, 8))
    image.putpixel((3, 2), 1)
    pixels = decoded(tmp_path, image)
    assert pixels[2, 3].tolist() == [255] * 3
    assert pixels.sum() == 3 * 255


def test_cmyk_becomes_rgb(tmp_path):
    ink_free = Image.new("CMYK", (8, 8), (0, 0, 0, 0))
    np.testing.assert_allclose(decoded(tmp_path, ink_free, "x.jpg"), 255, atol=2)
    save(tmp_path / "one" / "a" / "x.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)))
    pixels = open_cache(source("folder", root=tmp_path / "one")).images[0].astype(int)
    assert (np.abs(pixels - [255, 0, 0]) <= 3).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_are_turned_as_their_exif_says(tmp_path, orientation):
    upright = Image.new("L", (16, 16))
    upright.paste(255, (0, 0, 8, 8))
    operations = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(operations[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = decoded(tmp_path, stored, "x.jpg", exif=exif, quality=100)[..., 0]
    np.testing.assert_allclose(pixels, np.asarray(upright), atol=3)


def test_sixteen_bits_are_scaled_and_not_clipped():
    values = np.array([[0, 257 * 100, 65535]], dtype=np.uint16)
    assert np.asarray(to_8_bit(Image.fromarray(values), 1)).tolist() == [[0, 100, 255]]


# data.grayscale=auto


def test_images_without_colour_are_stored_in_one_channel_and_that_is_logged_once(tmp_path, caplog):
    for number, mode in enumerate(["L", "RGB", "I;16", "LA"]):
        image = Image.fromarray(GRAY.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(GRAY).convert(mode)
        save(tmp_path / "a" / f"{number}.png", image)
    (tmp_path / "a" / "broken.png").write_text("text")
    data = source("folder", root=tmp_path, grayscale="auto")
    with caplog.at_level("INFO"):
        assert [open_cache(data).images.shape[-1] for _ in range(2)] == [1, 1]
    lines = [record.message for record in caplog.records if "data.grayscale" in record.message]
    assert lines == [
        "data.grayscale=auto: none of 5 images that were looked at has colour, so all are read as grayscale; "
        "data.grayscale=false reads them in colour"
    ]


@pytest.mark.parametrize("place", [0, 60, 119])
def test_an_image_with_colour_that_is_looked_at_keeps_three_channels(tmp_path, place, caplog):
    for number in range(120):
        save(tmp_path / "a" / f"{number:03d}.png", Image.fromarray(GRAY))
    coloured = GRAY[..., None].repeat(3, -1)
    coloured[3, 2, 1] ^= 1  # the smallest difference of one pixel
    save(tmp_path / "a" / f"{place:03d}.png", Image.fromarray(coloured))
    with caplog.at_level("INFO"):
        assert source("folder", root=tmp_path, grayscale="auto").stored_channels == (1 if place == 119 else 3)
    assert (f"a/{place:03d}.png has colour, so all images are read in colour" in caplog.text) == (place < 119)


def test_at_most_fifty_images_are_looked_at(tmp_path, monkeypatch):
    for number in range(120):
        save(tmp_path / "a" / f"{number:03d}.png", Image.fromarray(GRAY))
    opened, open_image = [], Folder.open
    monkeypatch.setattr(Folder, "open", lambda self, path: opened.append(path) or open_image(self, path))
    assert source("folder", root=tmp_path, grayscale="auto").stored_channels == 1
    assert opened == [f"a/{number:03d}.png" for number in range(0, 120, 3)]
    assert source("folder", root=tmp_path, grayscale="auto", channels=1).stored_channels == 1
    assert len(opened) == 40


@pytest.mark.parametrize("kind", ["folder", "table"])
def test_a_users_images_are_read_as_they_are(read, pets, kind):
    overrides = {"folder": "data.root=.", "table": "data.table=x.csv"}
    assert read(f"data={kind}", overrides[kind]).data.grayscale == "auto"


# More than 8 bits

RAMP = np.linspace(0, 1, 256).reshape(16, 16)


def save_ramp(file, top, kind=np.uint16):
    """Save RAMP with values from 0 to `top`."""
    values = RAMP * top
    save(file, Image.fromarray((values if kind == np.float32 else values.round()).astype(kind)))


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_the_bits_that_a_sixteen_bit_image_uses_go_from_black_to_white(tmp_path, bits, suffix):
    save_ramp(tmp_path / "a" / f"x{suffix}", 2**bits - 1)
    opened = open_cache(source("folder", root=tmp_path))
    np.testing.assert_allclose(opened.images[0, ..., 0], RAMP * 255, atol=0.51)
    assert opened.white_level == 2**bits - 1


@pytest.mark.parametrize("top", [1, 0.7, 255, 4094, 65535])
def test_floats_are_white_at_one_or_as_whole_numbers_are(tmp_path, top):
    save_ramp(tmp_path / "a" / "x.tif", top, np.float32)
    white = next(level for level in (1, 255, 4095, 65535) if top <= level)
    pixels = open_cache(source("folder", root=tmp_path)).images[0, ..., 0]
    np.testing.assert_allclose(pixels, RAMP * top / white * 255, atol=0.51)


@pytest.mark.parametrize(
    ("kind", "values", "span"),
    [
        (np.float32, [-0.5, 1], "-0.5 to 1"),
        (np.float32, [np.nan, 1], "nan to nan"),
        (np.float32, [0, np.inf], "0 to inf"),
        (np.int32, [-1024, 3000], "-1024 to 3000"),
        (np.int32, [0, 65536], "0 to 65536"),
    ],
)
def test_values_that_have_no_brightness_are_an_error(tmp_path, kind, values, span):
    save(tmp_path / "a" / "x.tif", Image.fromarray(np.tile(np.array(values, kind), (8, 4))))
    assert errors(tmp_path) == {
        "a/x.tif": f"ValueError: values from {span}; save it with whole numbers from 0 to 65,535, or floats from 0 to 1"
    }


def test_all_images_of_a_set_share_the_white_level_of_the_brightest(tmp_path, caplog):
    caplog.set_level("INFO")
    for name, top in (("bright", 4000), ("dark", 500), ("darkest", 100)):
        save_ramp(tmp_path / "a" / f"{name}.png", top)
    save(tmp_path / "a" / "eight.png", Image.fromarray((RAMP * 100).astype(np.uint8)))
    opened = open_cache(source("folder", root=tmp_path))
    peaks = dict(zip(opened.index["path"], opened.images.max((1, 2, 3)).tolist(), strict=True))
    assert peaks == {"a/bright.png": 249, "a/dark.png": 31, "a/darkest.png": 6, "a/eight.png": 100}
    assert list(opened.index["white_level"]) == ["4095", "4095", "4095", ""]
    assert "more than 8 bits: 4095 is white in all of them; data.white_level=VALUE changes it" in caplog.text


@pytest.mark.parametrize(("marked", "is_warned_of"), [(1, True), (5, False)])
def test_a_few_images_with_a_bright_mark_are_warned_of(tmp_path, caplog, marked, is_warned_of):
    for number in range(20):
        save_ramp(tmp_path / "a" / f"{number}.png", 60000 if number < marked else 4000)
    open_cache(source("folder", root=tmp_path))
    message = f"{marked} of 20 images reach that value, and the others at most 4095, so that these become dark"
    assert (message in caplog.text) == is_warned_of


def test_a_tiff_in_which_zero_is_white_is_inverted(tmp_path):
    save_ramp(tmp_path / "a" / "x.tif", 4095)
    content = (tmp_path / "a" / "x.tif").read_bytes()
    black_is_zero, white_is_zero = (struct.pack("<HHII", 262, 3, 1, value) for value in (1, 0))
    assert content.count(black_is_zero) == 1
    (tmp_path / "a" / "x.tif").write_bytes(content.replace(black_is_zero, white_is_zero))
    pixels = open_cache(source("folder", root=tmp_path)).images[0, ..., 0]
    np.testing.assert_allclose(pixels, 255 - RAMP * 255, atol=0.51)


def test_the_white_level_can_be_chosen(tmp_path):
    for top in (100, 1500):
        save_ramp(tmp_path / "a" / f"{top}.png", top)
    opened = open_cache(source("folder", root=tmp_path, white_level=1000))
    assert opened.images.max((1, 2, 3)).tolist() == [26, 255]
    assert opened.white_level == 1000


def test_a_set_of_eight_bit_images_has_no_white_level(pets):
    assert open_cache(pets()).white_level is None
    np.testing.assert_array_equal(open_cache(pets(white_level=7)).images, open_cache(pets()).images)


def test_an_animation_gives_its_first_picture(tmp_path):
    first, second = Image.new("RGB", (8, 8), (255, 0, 0)), Image.new("RGB", (8, 8), (0, 255, 0))
    pixels = decoded(tmp_path, first, "x.webp", save_all=True, append_images=[second], lossless=True)
    assert (pixels == [255, 0, 0]).all()


# Decoded once


def test_second_opening_decodes_nothing(pets, monkeypatch):
    first = open_cache(pets(grayscale=False))
    monkeypatch.setattr(Folder, "open", lambda self, path: pytest.fail("decoded again"))
    second = open_cache(pets(grayscale=False))
    assert second.folder == first.folder
    assert second.index.equals(first.index)


def test_seed_counts_and_classes_share_one_cache(pets):
    folders = {
        open_cache(pets(**keys)).folder
        for keys in (
            {},
            {"counts": {"cat": 3, "dog": 3}},
            {"test_seed": 5},
            {"parts": {"valid": None}},
            {"bottleneck": 9},
        )
    }
    assert len(folders) == 1


@pytest.mark.parametrize(
    "keys", [{"grayscale": True}, {"image_size": 16}, {"max_pixels": 10**6}, {"white_level": 4095}]
)
def test_keys_that_change_the_pixels_make_another_cache(pets, keys):
    assert open_cache(pets(**keys)).folder != open_cache(pets()).folder


def test_a_changed_file_is_read_again(pets, two_classes):
    before = open_cache(pets())
    Image.new("RGB", (24, 24), (1, 2, 3)).save(two_classes / "cat" / "000.png")
    after = open_cache(pets())
    assert after.folder != before.folder
    assert (after.images[0] == [1, 2, 3]).all()
    np.testing.assert_array_equal(after.images[1:], before.images[1:])


@pytest.mark.parametrize("change", ["added", "removed", "renamed", "moved"])
def test_another_listing_is_another_cache(pets, two_classes, change):
    before = open_cache(pets())
    file = two_classes / "cat" / "000.png"
    if change == "added":
        shutil.copy(file, two_classes / "cat" / "new.png")
    elif change == "removed":
        file.unlink()
    else:
        file.rename(two_classes / ("cat" if change == "renamed" else "dog") / "new.png")
    after = open_cache(pets())
    assert after.folder != before.folder
    assert len(after.index) == len(after.images) == {"added": 33, "removed": 31}.get(change, 32)


def test_folders_that_agree_in_names_sizes_and_times_have_different_caches(tmp_path):
    for root, colour in (("one", 10), ("two", 20)):
        save(tmp_path / root / "a" / "x.bmp", Image.new("L", (8, 8), colour))
        os.utime(tmp_path / root / "a" / "x.bmp", (0, 0))
    values = [int(open_cache(source("folder", root=tmp_path / root)).images.max()) for root in ("one", "two")]
    assert values == [10, 20]


def test_threads_that_open_at_once_build_once(pets, monkeypatch):
    built = []
    build = cache_module._build
    monkeypatch.setattr(cache_module, "_build", lambda *arguments: (built.append(1), build(*arguments)))
    with ThreadPoolExecutor(6) as pool:
        opened = list(pool.map(lambda _: open_cache(pets()), range(6)))
    assert len(built) == 1
    assert len({cache.folder for cache in opened}) == 1
    for cache in opened:
        np.testing.assert_array_equal(cache.images, opened[0].images)


def print_cache(root: Path, cache_dir: Path) -> None:
    opened = open_cache(source("folder", root=root, cache_dir=cache_dir))
    print(opened.folder, opened.images.sum(dtype=int))


def test_processes_that_open_at_once_share_one_cache(pets, two_classes, tmp_path):
    places = two_classes, tmp_path / "cache"
    files = [tmp_path / f"{number}.txt" for number in range(2)]
    jobs = [start_process(print_cache, *places, folder=tmp_path, output=file) for file in files]
    for job in jobs:
        job.join(120)
    assert [job.exitcode for job in jobs] == [0, 0]
    opened = open_cache(pets())
    assert {file.read_text().strip() for file in files} == {f"{opened.folder} {opened.images.sum(dtype=int)}"}
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [opened.folder]


def test_waiting_for_another_job_is_logged(tmp_path, caplog):
    with FileLock(tmp_path / "x.lock"), caplog.at_level("INFO"):
        cache_module._lock(tmp_path / "x.lock")
    assert "waiting: another process is preparing these images" in caplog.text


@pytest.mark.parametrize("stop", [KeyboardInterrupt, MemoryError])
def test_an_interrupted_build_leaves_no_cache_and_is_repeated(pets, tmp_path, monkeypatch, stop):
    decode_item = cache_module._decode_item

    def interrupted(images, side, white_level, path):
        if path == "dog/010.png":
            raise stop
        return decode_item(images, side, white_level, path)

    with monkeypatch.context() as patch:
        patch.setattr(cache_module, "_decode_item", interrupted)
        with pytest.raises(stop):
            open_cache(pets())
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]
    assert len(open_cache(pets()).images) == 32


def test_the_remains_of_a_killed_build_are_not_taken_for_a_cache(pets, tmp_path):
    images = pets()
    name = f"v{cache_module.VERSION}-folder-{images.fingerprint(images.items())}"
    (tmp_path / "cache" / f"{name}-abcdef").mkdir(parents=True)
    (tmp_path / "cache" / f"{name}.lock").touch()
    opened = open_cache(images)
    assert len(opened.images) == 32
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == [opened.folder]


def test_a_cache_that_can_be_read_needs_no_writing(pets, monkeypatch):
    open_cache(pets())
    monkeypatch.setattr(cache_module, "_lock", lambda path: pytest.fail("locked"))
    monkeypatch.setattr("pathlib.Path.mkdir", lambda *_, **__: pytest.fail("written"))
    open_cache(pets())


def test_a_cache_dir_that_cant_be_written_is_named(pets, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"data\.cache_dir=.*file/cache: can't be written: .*Not a directory"):
        open_cache(pets(cache_dir=tmp_path / "file" / "cache"))


def test_a_full_disk_is_refused_before_anything_is_decoded(pets, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    monkeypatch.setattr(cache_module, "_decode_item", lambda *arguments: pytest.fail("decoded"))
    message = r"data\.cache_dir=.*cache: the decoded images need 6\.3 MB, 1\.0 MB are free; .* data\.image_size"
    with pytest.raises(ConfigError, match=message):
        open_cache(pets(image_size=256))
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def flip_a_bit(file):
    with file.open("rb+") as stream:
        stream.seek(-100, os.SEEK_END)
        byte = stream.read(1)[0]
        stream.seek(-100, os.SEEK_END)
        stream.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("file", ["images.npy", "index.csv", "checksums.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "flipped"])
def test_a_damaged_cache_is_built_again_with_a_log_line(pets, caplog, damage, file):
    opened = open_cache(pets())
    pixels, path = opened.images.copy(), opened.folder / file
    if damage == "flipped":
        flip_a_bit(path)
    elif damage == "gone":
        path.unlink()
    else:
        os.truncate(path, path.stat().st_size // 2 if damage == "cut" else 0)
    assert np.array_equal(open_cache(pets()).images, pixels)
    assert re.search(r"the cache .* is damaged \(.+\) and is built again", caplog.text)


def test_the_bytes_of_a_large_cache_are_checked_only_if_its_time_has_changed(pets, monkeypatch, caplog):
    images = open_cache(pets()).folder / "images.npy"
    monkeypatch.setattr(checksums, "MAX_ALWAYS_CHECKED", 0)
    compute_checksum = checksums.compute_checksum
    monkeypatch.setattr(checksums, "compute_checksum", lambda file: pytest.fail("read through"))
    open_cache(pets())
    monkeypatch.setattr(checksums, "compute_checksum", compute_checksum)
    os.utime(images)
    open_cache(pets())
    assert "damaged" not in caplog.text
    flip_a_bit(images)
    open_cache(pets())
    assert "images.npy has other bytes than were written" in caplog.text


def test_images_that_disappear_while_they_are_read_leave_no_cache(pets, two_classes, monkeypatch, tmp_path):
    decode_item = cache_module._decode_item

    def deleting(images, side, white_level, path):
        if path == "dog/010.png":
            (two_classes / "dog" / "011.png").unlink()
            (two_classes / path).unlink()
        return decode_item(images, side, white_level, path)

    monkeypatch.setattr(cache_module, "_decode_item", deleting)
    with pytest.raises(
        ConfigError, match=r"data: images disappeared .*the first dog/01[01]\.png .*; restore them, and start"
    ):
        open_cache(pets())
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


# Unreadable files


def png_claiming(width, height) -> bytes:
    """Return the header of a PNG of this size, and nothing after it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", len(head)) + b"IHDR" + head + struct.pack(">I", zlib.crc32(b"IHDR" + head))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", zlib.crc32(b"IDAT"))


@pytest.fixture
def spoilt(two_classes):
    """two_classes with eight unreadable images."""
    cats = two_classes / "cat"
    good = (cats / "001.png").read_bytes()
    (cats / "text.jpg").write_text("this is not an image")
    (cats / "empty.jpg").touch()
    (cats / "cut.png").write_bytes(good[: len(good) // 2])
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    (cats / "flipped.png").write_bytes(flipped)
    Image.new("RGB", (64, 64), (9, 8, 7)).save(cats / "cut.jpg")
    (cats / "cut.jpg").write_bytes((cats / "cut.jpg").read_bytes()[:-40])
    (cats / "bomb.png").write_bytes(png_claiming(9000, 9000))
    (cats / "huge.png").write_bytes(png_claiming(60000, 60000))
    (cats / "link.png").symlink_to("nowhere.png")
    return two_classes


BAD = {
    f"cat/{name}"
    for name in (["text.jpg", "empty.jpg", "cut.png", "flipped.png", "cut.jpg", "bomb.png", "huge.png", "link.png"])
}


def test_every_bad_file_is_listed_with_its_reason_and_no_good_one(spoilt):
    reasons = errors(spoilt)
    assert {path for path, error in reasons.items() if error} == BAD
    assert len(reasons) == 32 + len(BAD)
    assert "cannot identify image file" in reasons["cat/text.jpg"]
    assert "is empty (0 bytes)" in reasons["cat/empty.jpg"]
    assert "truncated" in reasons["cat/cut.jpg"]
    assert "9000 x 9000 pixels, more than 50000000" in reasons["cat/bomb.png"]
    assert "DecompressionBombError" in reasons["cat/huge.png"]
    assert "FileNotFoundError" in reasons["cat/link.png"]


def test_bad_files_stop_the_run_by_name_unless_skipped(spoilt):
    with pytest.raises(
        ConfigError, match=r"data: 8 of 40 images can't be read; mend .*data\.skip_corrupt=true"
    ) as caught:
        PreparedData.prepare(source("folder", root=spoilt), seed=0)
    assert all(f"\n  {path}: " in str(caught.value) for path in BAD)


def test_skipped_files_are_reported_and_in_no_part(spoilt):
    data = PreparedData.prepare(source("folder", root=spoilt, skip_corrupt=True), seed=0)
    assert not BAD & set(data.split.table["path"])
    assert len(data.split.table) == 32
    assert {row["path"] for row in data.split.report["corrupt"]} == BAD
    assert all(row["error"] for row in data.split.report["corrupt"])


def test_a_long_list_of_bad_files_is_cut(two_classes):
    for number in range(13):
        (two_classes / "cat" / f"bad{number:02d}.png").touch()
    with pytest.raises(ConfigError, match=r"(?s)13 of 45 images.*bad09\.png: .*\n  and 3 more$"):
        PreparedData.prepare(source("folder", root=two_classes), seed=0)


def test_bad_files_of_a_class_that_is_not_used_do_not_matter(spoilt):
    write_images(spoilt / "bird", 12)
    data = PreparedData.prepare(source("folder", root=spoilt, classes=["bird", "dog"]), seed=0)
    assert data.classes == ("bird", "dog")
    assert {row["path"] for row in data.split.report["corrupt"]} == BAD


def test_a_file_without_permission_to_read_is_listed(two_classes, monkeypatch):
    open_image = Folder.open

    def refuse(self, path):
        if path == "dog/003.png":
            raise PermissionError(13, "Permission denied", path)
        return open_image(self, path)

    monkeypatch.setattr(Folder, "open", refuse)
    reasons = errors(two_classes)
    assert {path: error for path, error in reasons.items() if error} == {
        "dog/003.png": "PermissionError: [Errno 13] Permission denied: 'dog/003.png'"
    }


@pytest.mark.parametrize("side", [100, 99])
def test_max_pixels_is_the_largest_size_that_is_accepted(tmp_path, side):
    save(tmp_path / "a" / "x.png", Image.new("L", (100, side)))
    index = open_cache(source("folder", root=tmp_path, max_pixels=9900)).index
    assert (index["error"][0] == "") == (side == 99)


def test_a_mended_file_is_used_by_the_next_run(spoilt):
    assert errors(spoilt)["cat/text.jpg"]
    Image.new("RGB", (24, 24)).save(spoilt / "cat" / "text.jpg")
    assert errors(spoilt)["cat/text.jpg"] == ""
