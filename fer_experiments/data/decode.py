"""From an image file to 8-bit grey or RGB, within limits: what is opened may be anybody's."""

import stat
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

FORMATS = ("PNG", "JPEG", "BMP", "WEBP", "GIF", "TIFF")  # by content; no decoder that starts other programs
MOST_BYTES = 2**28  # of a file
MOST_PIXELS = 2**26  # where no data.max_pixels speaks


def open_image(path: Path) -> Image.Image:
    """The image with its header read. Raises OSError or ValueError for what is no file of an image, or too large."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("is no regular file")  # a pipe would wait for ever
    if found.st_size > MOST_BYTES:
        raise ValueError(f"{found.st_size / 1e6:,.0f} MB, more than {MOST_BYTES / 1e6:,.0f} MB; save it smaller")
    return Image.open(path, formats=FORMATS)


def decode(image: Image.Image, channels: int, max_pixels: int = MOST_PIXELS) -> Image.Image:
    """As to_mode. Raises ValueError, before any pixel is decoded, for an image of more pixels."""
    if image.width * image.height > max_pixels:
        limit = f"more than {max_pixels} (of training images that is data.max_pixels)"
        raise ValueError(f"{image.width} x {image.height} pixels, {limit}")
    return to_mode(image, channels)


def to_mode(image: Image.Image, channels: int) -> Image.Image:
    """Any PIL image as 8-bit grey or RGB, turned as its EXIF says, transparency on white."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16-bit and float grey, which PIL would clip
        values = np.asarray(image, dtype=np.float64)
        top = 255 if values.max(initial=0) <= 255 and not image.mode.startswith("I;16") else 65535
        image = Image.fromarray(np.clip(values * (255 / top), 0, 255).round().astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")
