"""Decoding opens image files alone, and refuses those that are too large."""

import os

import pytest
from PIL import Image

from fer_experiments.data.decode import MAX_FILE_BYTES, decode, open_image


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(ValueError, match="is not a regular file"):
        open_image(tmp_path / "x.png")


def test_a_file_of_too_many_bytes_is_not_read(tmp_path):
    with (tmp_path / "x.png").open("wb") as file:
        file.truncate(MAX_FILE_BYTES + 1)  # takes no space on the disk
    with pytest.raises(ValueError, match="268 MB, more than 268 MB; save it smaller"):
        open_image(tmp_path / "x.png")


@pytest.mark.parametrize("format", ["EPS", "PPM", "ICO", "PDF"])
def test_other_formats_are_refused_whatever_the_file_is_called(tmp_path, format):
    Image.new("RGB", (16, 16)).save(tmp_path / "x.png", format)
    with pytest.raises(OSError, match="cannot identify image file"):
        open_image(tmp_path / "x.png")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF"])
def test_a_format_is_recognised_by_its_content(tmp_path, format):
    Image.new("L", (16, 12), 90).save(tmp_path / "x.png", format)
    with open_image(tmp_path / "x.png") as image:
        assert decode(image, 1).getpixel((3, 3)) == 90


def test_more_pixels_than_allowed_are_refused_before_they_are_decoded(tmp_path):
    Image.new("L", (16, 12)).save(tmp_path / "x.png")
    (tmp_path / "x.png").write_bytes((tmp_path / "x.png").read_bytes()[:-20])  # decoding it would fail
    with open_image(tmp_path / "x.png") as image, pytest.raises(ValueError, match="16 x 12 pixels, more than 191"):
        decode(image, 1, 191)
