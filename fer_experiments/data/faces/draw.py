"""Cartoon faces with seven expressions: they are DRAWN BY THIS FILE, they are not photographs.

`draw_face` first draws at random a person (`Identity`), then a vector of facial actions, then how the picture is taken
(`Capture`). Only then it draws the picture, with PIL primitives on a canvas three times as large as the result. Each of
the three has its own random stream, so a change of one leaves the other two as they were. The classes are hard to tell
apart for the same reasons as on real faces: half-hearted and mixed expressions, resting faces that look cross or
cheerful, pose, light, blur, noise, glasses, beards, fringes and hands. The label always names the strongest expression
of the mixture.
"""

from __future__ import annotations

import zlib

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fer_experiments.data.faces.parameters import (
    ACTIONS,
    EXPRESSIONS,
    Capture,
    Identity,
    sample_capture,
    sample_expression,
    sample_identity,
)

OVERSAMPLE = 3
TURN = np.linspace(0.0, 2 * np.pi, 29)[:-1]
CIRCLE = np.stack([np.cos(TURN), np.sin(TURN)], axis=1)
SPAN = np.linspace(-1.0, 1.0, 13)  # from one corner of an eye or a mouth to the other
BOW = np.sqrt(1.0 - SPAN**2)
EYE_Y = -0.12


class Easel:
    """A canvas for points in head coordinates (x right, y down, the chin at y = 1)."""

    def __init__(self, capture: Capture, size: int) -> None:
        self.side = size * OVERSAMPLE
        self.image = Image.new("RGB", (self.side, self.side), _rgb(capture.background))
        self.draw = ImageDraw.Draw(self.image)
        self.scale = capture.zoom * self.side / 2
        sin, cos = np.sin(capture.roll), np.cos(capture.roll)
        turn = np.array([[cos, sin], [-sin, cos]]) * self.scale
        self.matrix = np.array([[np.cos(capture.yaw)], [np.cos(capture.pitch)]]) * turn
        self.towards = np.array([np.sin(capture.yaw), np.sin(capture.pitch)]) @ turn
        self.origin = (1 + capture.shift - (0, 0.03)) * self.side / 2

    def place(self, points: np.ndarray, flat: bool = False) -> list[float]:
        """points (n, 2) in head coordinates -> [x, y, x, y, ...] in pixels; the head's turn moves them, unless flat."""
        placed = points @ self.matrix + self.origin
        if not flat:
            bulge = np.maximum(0.0, 0.5 - 0.8 * points[:, 0] ** 2 - 0.4 * points[:, 1] ** 2)
            placed += np.sqrt(bulge)[:, None] * self.towards
        return placed.ravel().tolist()

    def fill(self, points: np.ndarray, colour: np.ndarray, flat: bool = False) -> None:
        """Fill a polygon."""
        self.draw.polygon(self.place(points, flat), fill=_rgb(colour))

    def fill_rim(self, rim: np.ndarray, inner: np.ndarray, colour: np.ndarray) -> None:
        """Fill the area between the outline of the head, which is flat, and a curve on its front, which is not."""
        self.draw.polygon(self.place(rim, flat=True) + self.place(inner), fill=_rgb(colour))

    def fill_between(self, x: np.ndarray, top: np.ndarray, bottom: np.ndarray, colour: np.ndarray) -> None:
        """Fill the area between two curves over the same abscissae."""
        self.fill(np.stack([np.concatenate([x, x[::-1]]), np.concatenate([top, bottom[::-1]])], axis=1), colour)

    def line(self, points: np.ndarray, width: float, colour: np.ndarray) -> None:
        """Draw a line; width in head coordinates."""
        self.draw.line(self.place(points), fill=_rgb(colour), width=max(1, round(width * self.scale)))


def _rgb(colour: np.ndarray) -> tuple[int, int, int]:
    red, green, blue = np.clip(colour, 0, 255).astype(int).tolist()
    return red, green, blue


def _mix(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    return first + share * (second - first)


def _outline(person: Identity, drop: float, grow: float = 1.0) -> np.ndarray:
    """Return the outline of the head, (28, 2), from the right ear downwards; `drop` lowers the chin."""
    x, y = CIRCLE.T
    low = np.maximum(y, 0)
    width = person.head_width * (1 - person.jaw * low**2.2) * np.sign(x) * np.abs(x) ** 0.85
    return np.stack([width, y + drop * low**2], axis=1) * grow


def draw_back(easel: Easel, person: Identity, drop: float) -> None:
    """Draw what lies behind the face (long hair, neck, ears), then the head itself."""
    dark = person.skin * 0.78
    if person.hair_style.startswith("long"):
        ends = [(1.3 * person.head_width, 1.6), (-1.3 * person.head_width, 1.6)]
        easel.fill(np.concatenate([CIRCLE[14:] * (1.2 * person.head_width, 1.08), ends]), person.hair * 0.8, flat=True)
    easel.fill(np.array([(-0.42, 0.4), (0.42, 0.4), (0.45, 1.6), (-0.45, 1.6)]), dark, flat=True)
    for side in (-1, 1):
        ear = CIRCLE * (0.1, 0.19) + (side * (person.head_width + 0.03), 0.02)
        easel.fill(ear, person.skin * 0.9, flat=True)
        easel.fill(ear * (1, 0.6) + (-0.02 * side, 0.01), dark, flat=True)
    easel.fill(_outline(person, drop), person.skin, flat=True)


def draw_skin(easel: Easel, person: Identity, act: dict[str, float], drop: float) -> None:
    """Draw the beard, the eye sockets, the cheeks and the folds that an expression makes."""
    dark, light = person.skin * 0.8, _mix(person.skin, person.skin * (1.04, 0.86, 0.84), 0.7)
    smile, wrinkle = max(0.0, act["curve"]), max(0.0, act["wrinkle"])
    for side in (-1, 1):
        eye = np.array([side * person.eye_gap, EYE_Y])
        easel.fill(CIRCLE * (0.21, 0.16) + eye - (0, 0.03), _mix(person.skin, dark, 0.45))
        cheek_y = 0.24 - 0.06 * act["squint"]
        easel.fill(CIRCLE * (0.15, 0.11) + (side * 0.42, cheek_y), _mix(person.skin, light, 0.3 + 0.4 * smile))
        depth = min(1.0, 0.15 + 0.6 * smile + 0.6 * wrinkle)
        fold = [
            (side * 0.17, 0.2 - 0.05 * wrinkle),
            (side * 0.29, 0.36),
            (side * (0.35 + 0.05 * smile), 0.52),
        ]
        easel.line(np.array(fold), 0.03, _mix(person.skin, dark, depth))
        if act["inner"] < -0.25:  # the upright furrows of a frown
            furrow = np.array([(side * 0.06, EYE_Y - 0.3), (side * 0.07, EYE_Y - 0.12)])
            easel.line(furrow, 0.03, _mix(person.skin, dark, min(1.0, -act["inner"])))
    for level in range(2):
        if act["raise"] > 0.35:
            crease = np.stack([SPAN * 0.38, -0.56 - 0.1 * level - 0.04 * BOW], axis=1)
            easel.line(crease, 0.022, _mix(person.skin, dark, min(1.0, act["raise"])))
        if wrinkle > 0.25:
            crease = np.stack([SPAN * 0.09, -0.03 + 0.07 * level - 0.03 * BOW], axis=1)
            easel.line(crease, 0.025, _mix(person.skin, dark, min(1.0, wrinkle)))
    if person.beard:
        rim = _outline(person, drop, 0.99)[1:14]
        inner = CIRCLE[1:14] * (0.8 * person.head_width, 0.36) + (0, 0.06)
        easel.fill_rim(rim, inner[::-1], _mix(person.skin, person.hair, 0.2 + 0.65 * person.beard))


def draw_eyes(easel: Easel, person: Identity, act: dict[str, float], lean: float, gaze: np.ndarray) -> None:
    """Draw the eyes and the brows.

    Args:
        easel: the canvas.
        person: whose eyes they are.
        act: {action: its strength}, the expression.
        lean: how much the right brow is raised above the left one, times act["raise"].
        gaze: (2,), by how many eye widths the pupils are moved from the middle of the eyes.
    """
    for side in (-1, 1):
        x, size = SPAN * person.eye_size, person.eye_size
        upper = size * np.clip(0.52 + 0.4 * act["eyes"] - 0.12 * act["squint"], 0.04, 1.1)
        lower = size * np.clip(0.38 + 0.12 * act["eyes"] - 0.3 * act["squint"], 0.03, 0.6)
        shape, tilt = 1 - SPAN**2, side * SPAN * size * 0.12 * act["inner"]
        top, bottom = EYE_Y + tilt - upper * shape, EYE_Y + tilt + lower * shape
        centre = side * person.eye_gap
        easel.fill_between(x + centre, top, bottom, np.array([240.0, 238.0, 234.0]))
        for radius, colour in ((0.52, person.iris), (0.25, np.full(3, 18.0))):
            disc = CIRCLE * radius * size + gaze * size
            allowed = np.interp(disc[:, 0], x, top), np.interp(disc[:, 0], x, bottom)
            disc[:, 1] = np.clip(disc[:, 1] + EYE_Y - 0.02 * size, *allowed)
            easel.fill(disc + np.array([centre, 0.0]), colour)
        easel.fill_between(x + centre, top - 0.035 * BOW, top + 0.008, person.skin * 0.28)
        easel.fill_between(x + centre, bottom, bottom + 0.014 + 0.02 * max(0.0, act["squint"]), person.skin * 0.68)
        inward = -side * SPAN  # 1 at the inner end of the brow
        lift = (0.14 + 0.05 * side * lean) * act["raise"]
        brow_y = EYE_Y - person.brow_gap - lift - 0.115 * act["inner"] * (inward + 0.2) - 0.035 * BOW
        thick = person.brow_weight * (0.55 + 0.3 * inward + 0.4 * BOW)
        brow_x = centre + SPAN * 0.215 + side * 0.035 * min(0.0, act["inner"])
        easel.fill_between(brow_x, brow_y - thick, brow_y + thick, _mix(person.hair * 0.8, person.skin, 0.1))


def draw_nose(easel: Easel, person: Identity, act: dict[str, float], light_x: float) -> None:
    """Draw the nose: a shaded side away from the light, the tip and the nostrils."""
    tip, wide = EYE_Y + person.nose_length - 0.045 * max(0.0, act["wrinkle"]), person.nose_width
    away = -1 if light_x > 0 else 1
    side = np.array([(away * 0.05, EYE_Y - 0.02), (away * 0.05, tip - 0.1), (away * wide, tip), (0.0, tip + 0.03)])
    easel.fill(side, person.skin * 0.87)
    easel.fill(CIRCLE * (0.065, 0.05) + (-away * 0.01, tip - 0.04), np.minimum(person.skin * 1.06, 255))
    flare = wide * (1 + 0.2 * max(0.0, act["wrinkle"]))
    for nostril in (-1, 1):
        easel.fill(CIRCLE * (0.035, 0.02) + (nostril * flare * 0.6, tip + 0.02), person.skin * 0.45)
        wing = np.array([(nostril * flare, tip - 0.05), (nostril * flare * 1.1, tip), (nostril * flare, tip + 0.03)])
        easel.line(wing, 0.02, person.skin * 0.7)


def draw_mouth(easel: Easel, person: Identity, act: dict[str, float], lean: float) -> None:
    """Draw lips, the inside of the mouth, teeth, tongue and the moustache."""
    gape, x = max(0.0, act["open"]), SPAN * person.mouth_width * (1 + 0.3 * act["width"])
    middle = person.mouth_y - 0.24 * act["curve"] * (SPAN**2 - 0.4) + 0.03 * lean * SPAN
    upper = middle - (0.03 * gape + 0.03 * max(0.0, act["wrinkle"])) * BOW
    lower = middle + 0.3 * gape * BOW
    lip = person.lips * float(np.clip(1 - 0.6 * act["press"], 0.3, 1.3))
    colour = _mix(person.skin * (0.86, 0.66, 0.64), np.array([175.0, 75.0, 80.0]), 0.25)
    easel.fill_between(x, upper - lip * BOW * (1.1 - 0.5 * np.exp(-((SPAN / 0.2) ** 2))), middle, colour * 0.94)
    easel.fill_between(x, middle, lower + 1.35 * lip * BOW, colour)
    easel.fill_between(x, upper, lower, np.array([62.0, 22.0, 24.0]))
    if gape > 0.25:
        easel.fill_between(x * 0.7, lower - 0.12 * gape * BOW, lower, np.array([176.0, 84.0, 86.0]))
    bite = max(0.0, act["teeth"]) * 0.16 * BOW
    easel.fill_between(x * 0.94, upper, np.minimum(upper + bite, lower), np.array([242.0, 238.0, 228.0]))
    seam = 0.012 + 0.008 * max(0.0, act["press"])
    easel.fill_between(x * 1.04, upper - seam * 0.5, upper + seam * 0.5, person.skin * 0.36)
    if not person.beard:
        chin = person.mouth_y + 0.16 + 0.28 * gape
        easel.line(np.array([(-0.07, chin), (0.07, chin)]), 0.03, person.skin * 0.88)
    if person.moustache:
        hair = _mix(person.skin, person.hair, 0.2 + 0.65 * person.moustache)
        easel.fill_between(x * 1.1, upper - 0.1 * BOW - 0.02, upper - 0.02 + 0.04 * SPAN**2, hair)


def draw_front(easel: Easel, person: Identity, hand: np.ndarray | None) -> None:
    """Draw what lies in front of the face: the hair on top, glasses, a hand."""
    if person.hair_style != "bald":
        arc = CIRCLE[15:] * (person.head_width * 1.09, 1.1)
        if person.hair_style == "curly":
            arc = arc * (1.05 + 0.05 * np.sin(9 * TURN[15:]))[:, None]
        line = {"receding": -0.78, "fringe": -0.42, "long fringe": -0.44}.get(person.hair_style, -0.62)
        x = np.linspace(1.02, -1.02, 15) * person.head_width
        hairline = line + 0.55 * np.abs(x) ** 2.5
        if person.hair_style.endswith("fringe"):
            hairline = line + 0.04 * np.sin(17 * x) + 0.5 * np.abs(x) ** 6
        elif person.hair_style in ("parted", "long"):
            hairline = line - 0.2 * np.exp(-(((x - 0.25) / 0.2) ** 2)) + 0.4 * np.abs(x) ** 2.5
        easel.fill_rim(arc, np.stack([x, hairline], axis=1), person.hair)
        easel.line(arc[2:7] * 0.88, 0.05, np.minimum(person.hair * 1.3 + 12, 255))
    if person.glasses != "none":
        frame = person.hair * 0.4 if person.glasses != "thin" else np.array([130.0, 120.0, 110.0])
        for side in (-1, 1):
            rim = CIRCLE * (0.24, 0.19) + (side * (person.eye_gap + 0.01), EYE_Y + 0.03)
            if person.glasses == "dark":
                easel.fill(rim, np.array([38.0, 36.0, 40.0]))
            easel.line(np.concatenate([rim, rim[:2]]), 0.022 if person.glasses == "thin" else 0.05, frame)
            easel.line(np.array([(side * 0.56, EYE_Y), (side * person.head_width, EYE_Y - 0.04)]), 0.03, frame)
        easel.line(np.array([(-0.1, EYE_Y), (0.1, EYE_Y)]), 0.03, frame)
    if hand is not None:
        sin, cos = np.sin(hand[2]), np.cos(hand[2])
        for finger in range(4):
            shape = CIRCLE * (0.085, 0.34) + (0.17 * (finger - 1.5), 0.06 * abs(finger - 1.3))
            turned = shape @ np.array([[cos, sin], [-sin, cos]]) + hand[:2]
            easel.fill(turned, person.skin * 0.7)
            easel.fill(turned * (0.97, 1) + (0.03 * hand[0], 0.025), person.skin * 0.95)


def expose(image: Image.Image, shot: Capture, rng: np.random.Generator) -> np.ndarray:
    """Blur the drawing, shade it as light shades a ball, and add noise; return (size, size, 3) uint8."""
    size = image.width
    if shot.blur > 0.15:
        image = image.filter(ImageFilter.GaussianBlur(shot.blur * size / 64))
    grid = np.linspace(-0.85, 0.85, size, dtype=np.float32)
    x, y = grid[None, :] - np.float32(shot.shift[0]), grid[:, None] - np.float32(shot.shift[1])
    z = np.sqrt(np.maximum(0.08, 1 - x * x - 0.8 * y * y))
    lx, ly, lz = (float(part) for part in shot.light)
    lit = np.maximum(0.0, x * lx + y * ly + z * lz)
    shade = shot.exposure * (1 - 0.75 * shot.contrast + 0.95 * shot.contrast * lit)
    pixels = np.asarray(image, dtype=np.float32) * shade[..., None] * shot.tint.astype(np.float32)
    grain = rng.standard_normal((size, size), dtype=np.float32)[..., None]
    pixels += shot.noise * grain
    return np.clip(pixels, 0, 255).astype(np.uint8)


def draw_face(expression: str, *, seed: int, part: str, index: int, size: int = 64) -> np.ndarray:
    """Draw a face as (size, size, 3) uint8 RGB.

    Args:
        expression: one of EXPRESSIONS.
        seed: of all random numbers.
        part: "train", "test" or any other name; every part has its own faces.
        index: number of the face within its part and expression.
        size: side of the picture in pixels.

    Returns:
        The picture; equal arguments give equal pixels in every process, as Python's salted `hash` is not used.

    Raises:
        ValueError: if there is no such expression.
    """
    if expression not in EXPRESSIONS:
        raise ValueError(f"unknown expression {expression!r}; the faces can be: {', '.join(EXPRESSIONS)}")
    names = [zlib.crc32(name.encode()) for name in (expression, part)]
    streams = [np.random.default_rng([seed, *names, index, stream]) for stream in range(3)]
    person, shot = sample_identity(streams[0]), sample_capture(streams[2])
    actions = sample_expression(streams[1], expression) + person.rest
    act, lean = dict(zip(ACTIONS, actions.tolist(), strict=True)), float(streams[1].normal(0, 0.5))
    drop = 0.1 * max(0.0, act["open"])
    easel = Easel(shot, size)
    draw_back(easel, person, drop)
    draw_skin(easel, person, act, drop)
    draw_eyes(easel, person, act, lean, shot.gaze)
    draw_nose(easel, person, act, float(shot.light[0]))
    draw_mouth(easel, person, act, lean)
    draw_front(easel, person, shot.hand)
    return expose(easel.image.reduce(OVERSAMPLE), shot, streams[2])
