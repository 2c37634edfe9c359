"""Images that a page carries within itself, and sheets of images."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from fer_experiments.report import figures

COLUMNS, CELL, CAPTION = 10, 112, 18  # of a contact sheet, pixels


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


def contact_sheet(pictures: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Pictures of any size with a line below each, ten in a row."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(pictures)) * CELL, rows * (CELL + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, (picture, line) in enumerate(pictures):
        left, top = place % COLUMNS * CELL, place // COLUMNS * (CELL + CAPTION)
        small = picture.convert("RGB")
        scale = (CELL - 4) / max(small.size)
        small = small.resize((max(1, round(small.width * scale)), max(1, round(small.height * scale))))
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))
        draw.text((left + 3, top + CELL), line[:22], "black", font)
    return sheet
