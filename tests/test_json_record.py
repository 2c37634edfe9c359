"""Records on disk are complete or refused with the file's name."""

from typing import ClassVar

import pytest

from fer_experiments.json_record import JSONRecord


class Point(JSONRecord):
    file_name: ClassVar[str] = "point.json"
    description: ClassVar[str] = "a point"

    x: int
    label: str = ""


def test_a_record_is_read_as_it_was_saved(tmp_path):
    point = Point(x=3, label="ü \udcff")  # a name of bytes that are not valid Unicode
    point.save(tmp_path / "new" / "folder")
    assert Point.load(tmp_path / "new" / "folder") == point


@pytest.mark.parametrize("content", ["{", "[]", '{"x": "three"}', '{"x": 3, "y": 4}', "{}"])
def test_anything_else_is_refused_with_the_file_s_name(tmp_path, content):
    (tmp_path / "point.json").write_text(content)
    with pytest.raises(ValueError, match=r"point\.json: is not a point: "):
        Point.load(tmp_path)


def test_a_missing_file_is_refused_with_its_name(tmp_path):
    with pytest.raises(ValueError, match=r"point\.json: is not a point: .*No such file"):
        Point.load(tmp_path)
