"""Decode image files, which may come from anybody, within limits, to 8-bit grayscale or RGB."""

import stat
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

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


def open_image(path: Path) -> Image.Image:
    """Return the image with only its header read. Raises OSError or ValueError if it is not an image or too large."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("is not a regular file")  # reading a pipe would wait for ever
    if status.st_size > MAX_FILE_BYTES:
        raise ValueError(f"{status.st_size / 1e6:,.0f} MB, more than {MAX_FILE_BYTES / 1e6:,.0f} MB; save it smaller")
    return Image.open(path, formats=FORMATS)


def decode(image: Image.Image, channels: int, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Return the image as 8-bit grayscale (channels=1) or RGB (channels=3).

    Raises ValueError, before any pixel is decoded, if it has more than max_pixels.
    """
    if image.width * image.height > max_pixels:
        limit = f"more than {max_pixels} (the limit of training images is data.max_pixels)"
        raise ValueError(f"{image.width} x {image.height} pixels, {limit}")
    return to_8_bit(image, channels)


def to_8_bit(image: Image.Image, channels: int) -> Image.Image:
    """Convert any PIL image to 8-bit grayscale or RGB; turn it by its EXIF orientation; show transparency as white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit and float grayscale, which PIL would clip
        values = np.asarray(image, dtype=np.float64)
        top = 255 if values.max(initial=0) <= 255 and not image.mode.startswith("I;16") else 65535
        image = Image.fromarray(np.clip(values * (255 / top), 0, 255).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")
