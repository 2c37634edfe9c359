"""Drawn faces: their pixels depend on the arguments alone."""

import os
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest

from fer_experiments.data.faces.draw import draw_face
from fer_experiments.data.faces.parameters import EXPRESSIONS


def test_the_seven_expressions_are_those_of_fer2013():
    assert EXPRESSIONS == ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_a_face_is_an_rgb_image_with_something_on_it(expression):
    face = draw_face(expression, seed=0, part="train", index=0, size=32)
    assert face.shape == (32, 32, 3)
    assert face.dtype == np.uint8
    assert face.std() > 5  # not blank


@pytest.mark.parametrize("size", [16, 17, 64, 100])
def test_a_face_has_the_requested_size(size):
    assert draw_face("sad", seed=3, part="test", index=1, size=size).shape == (size, size, 3)


def test_equal_arguments_give_equal_pixels():
    first, second = (draw_face("happy", seed=5, part="train", index=9) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_numpys_global_seed_is_neither_used_nor_changed():
    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = draw_face("happy", seed=5, part="train", index=9)
    np.testing.assert_array_equal(before, np.random.get_state()[1])  # noqa: NPY002
    np.random.seed(2)  # noqa: NPY002
    np.testing.assert_array_equal(first, draw_face("happy", seed=5, part="train", index=9))


def test_another_process_draws_the_same():
    program = (
        "import zlib; from fer_experiments.data.faces.draw import draw_face;"
        "print(zlib.crc32(draw_face('fear', seed=2, part='test', index=4).tobytes()))"
    )
    sums = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for salt in ("1", "2")
    }
    assert len(sums) == 1


def test_seed_part_index_and_expression_each_change_the_face():
    arguments = {"seed": 0, "part": "train", "index": 0, "size": 32}
    faces = [
        draw_face("happy", **arguments),
        draw_face("sad", **arguments),
        draw_face("happy", **arguments | {"seed": 1}),
        draw_face("happy", **arguments | {"part": "test"}),
        draw_face("happy", **arguments | {"index": 1}),
    ]
    assert all(not np.array_equal(a, b) for a, b in combinations(faces, 2))


def test_no_two_faces_of_a_class_are_equal():
    faces = {
        draw_face("neutral", seed=0, part=part, index=index, size=16).tobytes()
        for part in ("train", "test")
        for index in range(40)
    }
    assert len(faces) == 80


@pytest.mark.parametrize("name", ["bored", "", "Happy"])
def test_an_unknown_expression_is_refused_and_the_known_ones_are_named(name):
    with pytest.raises(ValueError, match=rf"unknown expression '{name}'; the faces can be: angry, disgust, fear"):
        draw_face(name, seed=0, part="train", index=0)
