"""Images that the page carries within itself."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from fer_experiments.report.figures.style import render_svg


class Picture(NamedTuple):
    """An image of the page; uri is a data URI."""

    caption: str
    alt: str
    uri: str


def draw_picture(figure: Figure, caption: str, alt: str) -> Picture:
    """Return a figure as SVG."""
    return Picture(caption, alt, _data_uri(render_svg(figure), "image/svg+xml"))


def load_picture(path: Path, caption: str, alt: str) -> Picture | None:
    """Return an image file as JPEG, a fifth of its size as PNG; None if it can't be read, as after an interruption."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
    except OSError:
        return None
    return Picture(caption, alt, _data_uri(buffer.getvalue(), "image/jpeg"))


def _data_uri(content: bytes, mime_type: str) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"
