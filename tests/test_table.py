"""data=table: which images a CSV file lists, and the messages about one that can't be used."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_experiments.data.cache import open_cache
from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.sources import Folder
from fer_experiments.data.warn_once import forget_warnings
from fer_experiments.errors import ConfigError
from tests.conftest import source, write_images


def write_table(root, rows, header="path,label", name="list.csv", encoding="utf-8") -> Path:
    (root / name).write_text("\n".join([header, *rows]) + "\n", encoding=encoding)
    return root / name


def list_rows(data) -> list[tuple[str, str, str]]:
    return list(data.items()[["path", "label", "part"]].itertuples(index=False, name=None))


@pytest.fixture
def pets(two_classes):
    """A table of the images of two_classes, in its folder."""
    files = sorted(two_classes.glob("*/*.png"))
    return write_table(two_classes, [f"{file.relative_to(two_classes)},{file.parent.name}" for file in files])


def test_a_table_gives_the_pixels_and_classes_of_the_same_folder(pets, two_classes):
    table, folder = open_cache(source("table", table=pets)), open_cache(source("folder", root=two_classes))
    np.testing.assert_array_equal(table.images, folder.images)
    assert table.index.equals(folder.index)
    assert table.folder != folder.folder


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_columns_have_any_name_and_values_any_script(tmp_path, encoding):
    write_images(tmp_path / "x", 2)
    rows = ["7,wütend,x/000.png", "8,NA,x/001.png"]
    table = write_table(tmp_path, rows, "number,Gefühl,file name", encoding=encoding)
    keys = {"path_column": "file name", "label_column": "Gefühl"}
    assert list_rows(source("table", table=table, **keys)) == [
        ("x/000.png", "wütend", "train"),
        ("x/001.png", "NA", "train"),
    ]


def test_paths_are_relative_to_the_table_or_to_the_root_or_absolute(tmp_path):
    write_images(tmp_path / "images", 2)
    (tmp_path / "lists").mkdir()
    beside = write_table(tmp_path, ["images/000.png,a"])
    below = write_table(tmp_path / "lists", ["000.png,a", f"{tmp_path}/images/001.png,b"])
    assert source("table", table=beside).open("images/000.png").size == (24, 24)
    data = source("table", table=below, root=tmp_path / "images")
    assert [data.open(path).size for path, _, _ in list_rows(data)] == [(24, 24)] * 2


def test_a_column_of_parts_names_them(tmp_path):
    write_images(tmp_path / "x", 3)
    names = ["Training", "val ", "TEST"]
    rows = [f"x/00{number}.png,a,{name}" for number, name in enumerate(names)]
    table = write_table(tmp_path, rows, "path,label,part")
    assert [part for _, _, part in list_rows(source("table", table=table, part_column="part"))] == [
        "train",
        "valid",
        "test",
    ]
    assert {part for _, _, part in list_rows(source("table", table=table))} == {"train"}


@pytest.mark.parametrize(
    ("rows", "header", "keys", "message"),
    [
        ([], "path,label", {}, r"data\.table=.*list\.csv: has no rows"),
        (
            ["x/000.png;a"],
            "path;label",
            {},
            r"data\.path_column=path: .*list\.csv has no such column; it has path;label; save",
        ),
        (["x/000.png,a"], "path,class", {}, r"data\.label_column=label: .* has no such column; it has path, class"),
        (
            ["x/000.png,a"],
            "path,label",
            {"part_column": "fold"},
            r"data\.part_column=fold: .* no such column; it has path, label",
        ),
        (
            ["x/000.png,a,train", "x/001.png,a,3", "x/002.png,a,"],
            "path,label,fold",
            {"part_column": "fold"},
            r"data\.part_column=fold: row 3 of .*list\.csv has '3' and 1 more rows; allowed are train, training, ",
        ),
        (
            ["x/000.png,"],
            "path,label",
            {},
            r"data\.label_column=label: row 2 of .* has ''; give a class name without /",
        ),
        (["x/000.png,a/b"], "path,label", {}, r"data\.label_column=label: row 2 of .* has 'a/b'; give a class name"),
        (["x/000.png,a", "x/001.png, a"], "path,label", {}, r"row 3 of .* has ' a'; give .* without blanks around it"),
        ([",a"], "path,label", {}, r"data\.path_column=path: row 2 of .* has ''; give a path"),
        (
            ["x/000.png,a", "x/001.png,a", "x/000.png,b"],
            "path,label",
            {},
            r"data\.table=.*: lists images more than once \(1 of them\), such as x/000\.png; give each image one row",
        ),
        (
            ["x/000.png,a", *(f"gone/{number}.png,b" for number in range(5))],
            "path,label",
            {},
            r"5 of 6 images are missing, such as gone/0\.png, gone/1\.png, gone/2\.png \(looked in .*\); give the "
            r"folder to which the paths are relative as data\.root=FOLDER, or leave them out with data\.skip_corrupt=",
        ),
        (["y.png,a"], "path,label", {"skip_corrupt": True}, r"1 of 1 images are missing, such as y\.png .*FOLDER$"),
    ],
)
def test_a_table_that_cant_be_used_says_why(tmp_path, rows, header, keys, message):
    write_images(tmp_path / "x", 3)
    with pytest.raises(ConfigError, match=message):
        source("table", table=write_table(tmp_path, rows, header), **keys).items()


@pytest.mark.parametrize(
    ("parts", "is_named"), [(("train", "test"), True), (("train", "train"), False), (("a", "b"), False)]
)
def test_an_unused_column_of_parts_is_named(tmp_path, caplog, parts, is_named):
    forget_warnings()
    write_images(tmp_path, 2)
    rows = [
        f"{file.name},{label},{part}"
        for file, label, part in zip(sorted(tmp_path.glob("*.png")), "ab", parts, strict=True)
    ]
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]))
    source("table", table=tmp_path / "list.csv").items()
    assert ("set data.part_column=split" in caplog.text) == is_named


def test_a_missing_table_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        ConfigError, match=rf"data\.table=list\.csv: is not a file \(looked in {tmp_path}\); give a CSV"
    ):
        source("table", table="list.csv").items()


def test_a_file_of_another_kind_is_refused(tmp_path):
    Image.new("L", (64, 64)).save(tmp_path / "x.png")
    with pytest.raises(ConfigError, match=r"data\.table=.*x\.png: can't be read as CSV|has no such column"):
        source("table", table=tmp_path / "x.png").items()


def test_missing_and_unreadable_images_are_left_out_if_that_is_asked_for(pets, two_classes):
    (two_classes / "dog" / "000.png").write_text("text")
    (two_classes / "dog" / "001.png").unlink()
    with pytest.raises(ConfigError, match=r"1 of 32 images are missing, such as dog/001\.png"):
        PreparedData.prepare(source("table", table=pets), 0)
    split = PreparedData.prepare(source("table", table=pets, skip_corrupt=True), 0).split
    assert len(split.table) == 30
    assert [each["path"] for each in split.report["corrupt"]] == ["dog/000.png", "dog/001.png"]


def test_an_image_that_changes_makes_another_cache(pets, two_classes):
    before = open_cache(source("table", table=pets)).folder
    Image.new("L", (24, 24), 9).save(two_classes / "dog" / "000.png")
    assert open_cache(source("table", table=pets)).folder != before


def test_a_study_of_a_table_is_that_of_the_folder(run, pets, two_classes):
    folders = [run("train=cnn", f"data={kind}", f"data.{key}={path}", folder=two_classes.parent / kind)
               for kind, key, path in (("table", "table", pets), ("folder", "root", two_classes))]  # fmt: skip
    splits = [(folder / "split.csv").read_text() for folder in folders]
    assert splits[0] == splits[1]


def test_the_table_is_another_source_than_a_folder(read, pets, two_classes):
    assert not isinstance(read("data=table", f"data.table={pets}").data, Folder)
