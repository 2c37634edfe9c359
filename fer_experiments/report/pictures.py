"""Images that a page carries within itself."""

import base64
import io
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image

from fer_experiments.report import figures


class Picture(NamedTuple):
    """An image of the page; uri is a data URI."""

    caption: str
    alt: str
    uri: str


def drawn(caption: str, alt: str, figure: Figure) -> Picture:
    return Picture(caption, alt, data_uri(figures.svg(figure), "image/svg+xml"))


def jpeg(path: Path, caption: str, alt: str) -> Picture | None:
    """An image file as JPEG, a fifth of its PNG, or None where it can't be read (a run was cut short)."""
    buffer = io.BytesIO()
    try:
        with Image.open(path) as image:
            image.convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
    except OSError:
        return None
    return Picture(caption, alt, data_uri(buffer.getvalue(), "image/jpeg"))


def data_uri(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
