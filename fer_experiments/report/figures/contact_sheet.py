"""A sheet of many small images, each with a line of text."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

COLUMNS = 10
CELL, CAPTION = 112, 18  # pixels
MAX_CHARACTERS = 22  # of a line


def draw_contact_sheet(pictures: Sequence[tuple[Image.Image, str]]) -> Image.Image:
    """Return a sheet of pictures of any size, each with its line below it, ten in a row."""
    rows = -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(pictures)) * CELL, rows * (CELL + CAPTION)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for place, (picture, line) in enumerate(pictures):
        left, top = place % COLUMNS * CELL, place // COLUMNS * (CELL + CAPTION)
        small = picture.convert("RGB")
        scale = (CELL - 4) / max(small.size)
        small = small.resize((max(1, round(small.width * scale)), max(1, round(small.height * scale))))
        sheet.paste(small, (left + (CELL - small.width) // 2, top + (CELL - small.height) // 2))
        draw.text((left + 3, top + CELL), line[:MAX_CHARACTERS], "black", font)
    return sheet
