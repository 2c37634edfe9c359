"""Decode image files, which may come from anybody, within limits, to 8-bit grayscale or RGB.

Grayscale images of more than 8 bits (16-bit PNG and TIFF, float TIFF) are multiplied by 255 / white level. The white
level is data.white_level, else the smallest of WHITE_LEVELS that no value exceeds: 4,095 for 12 bits in 16. The cache
takes one level for all such images of a data set, that of its brightest image, so that they keep their brightness
relative to each other. TIFF's MaxSampleValue is ignored, because many programs write an image's own maximum there.
Colour images of 16 bits are read by their upper 8 bits, and of several pages the first.
"""

import stat
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION

from fer_experiments.data.dicom import is_dicom, read_dicom

FORMATS = (
    "PNG",
    "JPEG",
    "BMP",
    "WEBP",
    "GIF",
    "TIFF",
)  # recognised by content; without the decoders that start other programs
MAX_FILE_BYTES = 2**28
DEFAULT_MAX_PIXELS = 2**26  # for images to which data.max_pixels does not apply
WHITE_IS_ZERO = 0  # of TIFF's PhotometricInterpretation
# 1 for floats in [0, 1] alone, then the largest value of 8, 10, 12, 14 and 16 bits.
WHITE_LEVELS = (1, 255, 1023, 4095, 16383, 65535)


def open_image(path: Path) -> Image.Image:
    """Return the image with only its header read; a DICOM file is decoded at once.

    Raises OSError or ValueError if it is not an image or too large.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")  # reading a pipe would wait for ever
    if status.st_size == 0:
        raise ValueError("is empty (0 bytes)")
    if status.st_size > MAX_FILE_BYTES:
        raise ValueError(f"{status.st_size / 1e6:,.0f} MB, more than {MAX_FILE_BYTES / 1e6:,.0f} MB; save it smaller")
    if is_dicom(path):
        return read_dicom(path, DEFAULT_MAX_PIXELS)
    return Image.open(path, formats=FORMATS)


def decode(
    image: Image.Image, channels: int, max_pixels: int = DEFAULT_MAX_PIXELS, white_level: float | None = None
) -> Image.Image:
    """Return the image as 8-bit grayscale (channels=1) or RGB (channels=3).

    white_level: the value that becomes white in a grayscale image of more than 8 bits; None: by `find_white_level`.
    Raises ValueError, before any pixel is decoded, if it has more than max_pixels.
    """
    if image.width * image.height > max_pixels:
        limit = f"more than {max_pixels} (the limit of training images is data.max_pixels)"
        raise ValueError(f"{image.width} x {image.height} pixels, {limit}")
    return to_8_bit(image, channels, white_level)


def find_white_level(image: Image.Image) -> int | None:
    """Return the smallest of WHITE_LEVELS that no value of the image exceeds; None if the image has 8 bits.

    Whole numbers are of 8 bits at least. Raises ValueError for values that are negative, over 65,535 or not finite.
    """
    if not _has_more_than_8_bits(image):
        return None
    values = np.asarray(image)
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= WHITE_LEVELS[-1]):  # NaN is neither
        raise ValueError(
            f"values from {low:g} to {high:g}; save it with whole numbers from 0 to 65,535, or floats from 0 to 1"
        )
    levels = WHITE_LEVELS if image.mode == "F" else WHITE_LEVELS[1:]
    return next(level for level in levels if high <= level)


def to_8_bit(image: Image.Image, channels: int, white_level: float | None = None) -> Image.Image:
    """Convert any PIL image to 8-bit grayscale or RGB; turn it by its EXIF orientation; show transparency as white.

    white_level: as for `decode`; higher values become white as well.
    """
    is_inverted = getattr(image, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == WHITE_IS_ZERO
    image = ImageOps.exif_transpose(image)
    level = find_white_level(image)
    if level is not None:  # PIL would clip the values
        values = np.asarray(image, dtype=np.float64)
        image = Image.fromarray(np.clip(values * (255 / (white_level or level)), 0, 255).round().astype(np.uint8))
        image = ImageOps.invert(image) if is_inverted else image  # which PIL does for 8 bits alone
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def _has_more_than_8_bits(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"
