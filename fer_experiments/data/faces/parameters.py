"""The random parameters of a drawn face: the person, the expression, and how the picture is taken."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EXPRESSIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")

# Facial actions: 0 is a relaxed face, and about +-1 is the strongest action. `inner` < 0 pulls the inner ends of the
# brows down (a frown), > 0 lifts them (worry); `curve` > 0 lifts the corners of the mouth.
ACTIONS = ("raise", "inner", "eyes", "squint", "curve", "open", "width", "press", "wrinkle", "teeth")
# Each expression has a quiet and a loud pole, in the order of EXPRESSIONS; every face lies somewhere between them.
QUIET = np.array(
    [
        (-0.7, -1.0, -0.1, 0.5, -0.5, 0.0, -0.2, 0.9, 0.2, 0.0),  # angry
        (-0.4, -0.4, -0.4, 0.7, -0.6, 0.0, -0.2, 0.4, 0.9, 0.0),  # disgust
        (0.6, 0.9, 0.7, 0.0, -0.3, 0.15, 0.3, 0.2, 0.0, 0.3),  # fear
        (0.1, 0.0, -0.1, 0.4, 0.9, 0.0, 0.4, 0.1, 0.0, 0.0),  # happy
        (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0),  # neutral
        (0.0, 0.9, -0.4, 0.1, -0.8, 0.0, -0.2, 0.4, 0.0, 0.0),  # sad
        (0.8, 0.2, 0.7, 0.0, 0.0, 0.4, -0.4, 0.0, 0.0, 0.0),  # surprise
    ]
)
LOUD = np.array(
    [
        (-0.6, -1.0, 0.1, 0.4, -0.3, 0.6, 0.2, 0.0, 0.6, 0.9),  # angry
        (-0.4, -0.5, -0.5, 0.9, -0.7, 0.4, 0.1, 0.0, 1.0, 0.5),  # disgust
        (0.7, 0.9, 1.0, 0.0, -0.5, 0.7, 0.4, 0.0, 0.1, 0.5),  # fear
        (0.2, 0.0, -0.3, 0.9, 1.0, 0.55, 0.7, 0.0, 0.2, 1.0),  # happy
        (0.1, 0.0, 0.0, 0.0, 0.0, 0.15, 0.0, 0.0, 0.0, 0.1),  # neutral
        (-0.1, 1.0, -0.7, 0.5, -1.0, 0.4, 0.2, 0.0, 0.3, 0.2),  # sad
        (1.0, 0.3, 1.0, 0.0, 0.0, 1.0, -0.6, 0.0, 0.0, 0.0),  # surprise
    ]
)

SKINS = np.array(
    [(250, 222, 204), (238, 197, 165), (218, 168, 128), (172, 119, 82), (138, 92, 66), (108, 72, 54)], float
)
HAIRS = np.array([(32, 27, 27), (62, 40, 28), (104, 68, 40), (196, 156, 88), (152, 72, 38), (165, 163, 160)], float)
IRISES = np.array([(70, 44, 28), (52, 34, 26), (70, 110, 140), (84, 120, 78)], float)
PLAIN_SHARE = 0.58  # of faces: they show their expression in full
MIXED_SHARE = 0.6  # of faces: they have a second, weaker expression
# The standard deviations, for each action, of the resting face and of random movements beside the expression.
REST_SPREAD = np.array([0.22, 0.22, 0.15, 0.12, 0.2, 0.0, 0.15, 0.15, 0.08, 0.0])
JITTER = np.array([0.14, 0.14, 0.14, 0.12, 0.12, 0.1, 0.12, 0.15, 0.08, 0.25])
HAIR_STYLES = ("bald", "receding", "short", "parted", "fringe", "curly", "long", "long fringe")
GLASSES = ("none", "thin", "thick", "dark")


@dataclass(frozen=True)
class Identity:
    """A person: what is the same in every picture of them. The unit is half the height of the head."""

    skin: np.ndarray  # (3,) RGB 0..255, as `hair` and `iris`
    hair: np.ndarray
    iris: np.ndarray
    hair_style: str
    glasses: str
    head_width: float
    jaw: float  # how much the head narrows towards the chin
    brow_weight: float
    brow_gap: float
    eye_gap: float
    eye_size: float
    nose_length: float
    nose_width: float
    mouth_y: float
    mouth_width: float
    lips: float
    beard: float  # 0 none .. 1 dense
    moustache: float
    rest: np.ndarray  # (10,) the actions of this face at rest


@dataclass(frozen=True)
class Capture:
    """How a picture is taken: pose of the head, light, optics, and a hand in front of the face."""

    yaw: float
    pitch: float
    roll: float
    zoom: float
    shift: np.ndarray  # (2,) in half frames
    gaze: np.ndarray  # (2,) in eye widths
    light: np.ndarray  # (3,) unit vector towards the lamp
    contrast: float  # 0 flat light .. 1 hard light
    exposure: float
    tint: np.ndarray  # (3,) colour of the light
    background: np.ndarray  # (3,) RGB 0..255
    blur: float  # Gaussian radius in pixels of a 64-pixel picture
    noise: float  # standard deviation in grey levels
    hand: np.ndarray | None  # (3,) x, y and angle of a hand in front of the face


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draw a random person: proportions, colours, hair, beard, glasses and a resting face."""
    tone = (len(SKINS) - 1.001) * rng.beta(1.0, 1.4)
    skin = SKINS[int(tone)] + (tone % 1) * (SKINS[int(tone) + 1] - SKINS[int(tone)])
    hairs = HAIRS if tone < 2 else HAIRS[[0, 0, 1, 5]]
    beard = rng.uniform(0.25, 1.0) if rng.random() < 0.16 else 0.0
    return Identity(
        skin=np.clip(skin * rng.normal(1, 0.03) + rng.normal(0, 4, 3), 30, 255),
        hair=np.clip(hairs[rng.integers(len(hairs))] * rng.normal(1, 0.12), 10, 240),
        iris=IRISES[rng.integers(len(IRISES))] if tone < 2 else IRISES[rng.integers(2)],
        hair_style=HAIR_STYLES[rng.integers(len(HAIR_STYLES))],
        glasses=GLASSES[rng.choice(4, p=(0.8, 0.09, 0.09, 0.02))],
        head_width=rng.normal(0.76, 0.035),
        jaw=rng.uniform(0.1, 0.42),
        brow_weight=rng.uniform(0.026, 0.062),
        brow_gap=rng.normal(0.255, 0.022),
        eye_gap=rng.normal(0.335, 0.018),
        eye_size=rng.normal(0.185, 0.015),
        nose_length=rng.normal(0.36, 0.04),
        nose_width=rng.normal(0.12, 0.018),
        mouth_y=rng.normal(0.55, 0.02),
        mouth_width=rng.normal(0.36, 0.028),
        lips=rng.uniform(0.025, 0.07),
        beard=beard,
        moustache=beard if rng.random() < 0.6 else float(rng.random() < 0.04),
        rest=rng.normal(0, 1, len(ACTIONS)) * REST_SPREAD,
    )


def sample_expression(rng: np.random.Generator, expression: str) -> np.ndarray:
    """Draw random facial actions (10,): intensity * the expression + a weaker second expression + jitter."""
    first = EXPRESSIONS.index(expression)
    second = (first + int(rng.integers(1, len(EXPRESSIONS)))) % len(EXPRESSIONS)
    both = [first, second]
    poles = QUIET[both] + rng.random(2)[:, None] * (LOUD[both] - QUIET[both])
    # A classifier learns from the many plain faces, and the half-hearted ones limit its accuracy. With one bell-shaped
    # distribution of the intensity, the paper's CNN stayed at chance.
    is_plain = rng.random() < PLAIN_SHARE
    intensity = rng.uniform(0.75, 1.2) if is_plain else rng.uniform(0.0, 0.5)
    is_mixed = rng.random() < MIXED_SHARE
    # On a neutral face, a strong second expression would be the one that is visible.
    share = is_mixed * rng.uniform(0.1, 0.75) * intensity * (0.4 if expression == "neutral" else 1.0)
    return intensity * poles[0] + share * poles[1] + rng.normal(0, 1, len(ACTIONS)) * JITTER


def sample_capture(rng: np.random.Generator) -> Capture:
    """Draw a random pose, light and camera: nearly frontal and filling the frame, like the crops of FER2013."""
    light = np.array([rng.uniform(-1, 1), rng.uniform(-1, 0.35), rng.uniform(0.35, 1.0)])
    hand = np.array([rng.uniform(-0.7, 0.7), rng.uniform(0.75, 1.1), rng.normal(0, 0.4)])
    return Capture(
        yaw=rng.normal(0, 0.08),
        pitch=rng.normal(0, 0.04),
        roll=rng.normal(0, 0.035),
        zoom=rng.normal(1.06, 0.022),
        shift=rng.normal(0, 0.016, 2),
        gaze=rng.normal(0, (0.22, 0.1)),
        light=light / np.linalg.norm(light),
        contrast=rng.beta(1.6, 2.8),
        exposure=rng.uniform(0.88, 1.12),
        tint=1 + rng.normal(0, 0.03, 3),
        background=rng.uniform(70, 190) + rng.normal(0, 12, 3),
        blur=max(0.0, rng.normal(0.4, 0.4)),
        noise=min(18.0, rng.gamma(1.6, 3.0)),
        hand=hand if rng.random() < 0.08 else None,
    )
