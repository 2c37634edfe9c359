"""Small drawn patterns that a reference classifier learns within seconds: the classes are flat and steep waves."""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32
LEAN = {"flat": 0.0, "steep": np.pi / 2}


def draw(label: str, rng: np.random.Generator) -> np.ndarray:
    """Draw (32, 32) uint8: two waves in roughly one direction under a blob of light, with a little noise."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    angle = LEAN[label] + rng.normal(0, 0.25)
    along = x * np.sin(angle) + y * np.cos(angle)
    waves = sum(
        rng.uniform(0.5, 1) * np.sin(2 * np.pi * (rng.uniform(1.0, 4.0) * along + rng.uniform())) for _ in range(2)
    )
    light = np.exp(-((x - rng.uniform()) ** 2 + (y - rng.uniform()) ** 2) / 0.3)
    pixels = 90 + 45 * waves * light + 40 * light + rng.normal(0, 3, (SIDE, SIDE))
    return np.clip(pixels, 0, 255).round().astype(np.uint8)


def draw_many(label: str, count: int, seed: int) -> list[np.ndarray]:
    """Draw `count` patterns of a class."""
    rng = np.random.default_rng([seed, *label.encode()])
    return [draw(label, rng) for _ in range(count)]


def write_class(folder: Path, images: list[np.ndarray]) -> None:
    """Write images as PNG files into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, pixels in enumerate(images):
        Image.fromarray(pixels).save(folder / f"{number:04d}.png")


def noisy(pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a copy with a little noise."""
    return np.clip(pixels + rng.normal(0, 3, pixels.shape), 0, 255).round().astype(np.uint8)
