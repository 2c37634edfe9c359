"""Sources: which images they list, in which part and class, and their messages about data that can't be used."""

import os
import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.sources import FER2013, MMA, DataSource, DrawnFaces, Folder
from fer_experiments.data.sources.base import PARTS
from fer_experiments.data.warn_once import forget_warnings
from fer_experiments.errors import ConfigError
from tests.conftest import source, write_images

EMOTIONS = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def list_items(data: DataSource) -> set[tuple[str, str, str]]:
    """Return {(path, label, part)} of a source's images."""
    return set(data.items().itertuples(index=False, name=None))


def write_csv(path, rows, header="emotion,pixels,Usage"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def pixels(value=7, count=48 * 48) -> str:
    return " ".join([str(value)] * count)


def fer_csv(path, per_part=1):
    usages = ["Training", "PublicTest", "PrivateTest"]
    rows = [
        f"{emotion},{pixels(10 * emotion + u + 100 * n)},{usage}"
        for u, usage in enumerate(usages)
        for emotion in (0, 3)
        for n in range(per_part)
    ]
    return write_csv(path, rows)


# Folders


def test_folder_of_classes_is_all_train(two_classes):
    items = source("folder", root=str(two_classes)).items()
    assert items["label"].value_counts().to_dict() == {"cat": 12, "dog": 20}
    assert set(items["part"]) == {"train"}
    assert items["path"].is_unique
    assert items["path"].str.startswith(("cat/", "dog/")).all()


@pytest.mark.parametrize(
    ("train", "valid", "test"),
    [
        ("train", "valid", "test"),
        ("Train", "Validation", "Test"),
        ("training", "val", "testing"),
        ("TRAIN", "VAL", "TEST"),
    ],
)
def test_part_folders_keep_their_parts(tmp_path, train, valid, test):
    for part in (train, valid, test):
        write_images(tmp_path / part / "a", 1)
    assert list_items(source("folder", root=tmp_path)) == {
        (f"{train}/a/000.png", "a", "train"),
        (f"{valid}/a/000.png", "a", "valid"),
        (f"{test}/a/000.png", "a", "test"),
    }


def test_a_source_may_lack_parts(tmp_path):
    write_images(tmp_path / "train" / "a", 1)
    write_images(tmp_path / "test" / "a", 1)
    assert {row[2] for row in list_items(source("folder", root=tmp_path))} == {"train", "test"}


@pytest.mark.parametrize(
    "name", ["x.jpg", "x.JPG", "x.jpeg", "x.JPEG", "x.png", "x.PNG", "x.bmp", "x.webp", "x.WebP", "x.tif", "x.TIFF"]
)
def test_every_promised_extension_is_read_in_any_case(tmp_path, name):
    (tmp_path / "a").mkdir()
    Image.new("RGB", (9, 9)).save(
        tmp_path / "a" / name, format=Image.registered_extensions()[os.path.splitext(name)[1].lower()]
    )
    folder = source("folder", root=tmp_path)
    assert list_items(folder) == {(f"a/{name}", "a", "train")}
    with folder.open(f"a/{name}") as image:
        assert image.size == (9, 9)


def test_hidden_files_and_files_of_other_types_are_not_listed(tmp_path):
    write_images(tmp_path / "a", 1)
    for name in ("._000.png", ".hidden.png", "Thumbs.db", "notes.txt"):
        (tmp_path / "a" / name).write_text("not an image")
    (tmp_path / "a" / "folder.png").mkdir()
    (tmp_path / "readme.md").write_text("text")
    assert list_items(source("folder", root=tmp_path)) == {("a/000.png", "a", "train")}


@pytest.mark.parametrize("where", [".", "a"])
def test_ipynb_checkpoints_are_neither_a_class_nor_images(tmp_path, where):
    write_images(tmp_path / "a", 1)
    write_images(tmp_path / where / ".ipynb_checkpoints", 2)
    assert list_items(source("folder", root=tmp_path)) == {("a/000.png", "a", "train")}


def test_ipynb_checkpoints_beside_parts_are_ignored(tmp_path):
    write_images(tmp_path / "train" / "a", 1)
    write_images(tmp_path / ".ipynb_checkpoints", 1)
    assert len(list_items(source("folder", root=tmp_path))) == 1


def test_folders_inside_a_class_belong_to_it(tmp_path):
    write_images(tmp_path / "a" / "person 1" / "day 2", 1)
    write_images(tmp_path / "a" / "person 2", 1)
    assert list_items(source("folder", root=tmp_path)) == {
        ("a/person 1/day 2/000.png", "a", "train"),
        ("a/person 2/000.png", "a", "train"),
    }


@pytest.mark.parametrize(
    "name", ["NA", "nan", "1", "007", "null", "True", "wütend", "怒り", "a, b", 'with "quotes"', "#x"]
)
def test_class_names_and_file_names_survive_the_cache_and_the_split(tmp_path, name):
    for label in (name, "other"):
        for number in range(4):
            (tmp_path / label).mkdir(exist_ok=True)
            Image.new("L", (8, 8), number + 10 * (label == "other")).save(tmp_path / label / f"{name} {number}.png")
    data = PreparedData.prepare(source("folder", root=tmp_path), seed=0)
    assert set(data.classes) == {name, "other"}
    assert data.split.counts("train") == {name: 2, "other": 2}
    data.split.save(tmp_path / "split.csv")
    table = pd.read_csv(tmp_path / "split.csv", dtype=str, keep_default_na=False)
    assert {f"{name}/{name} {number}.png" for number in range(4)} < set(table["path"])


def test_files_with_undecodable_names_are_read(tmp_path):
    for label in ("a", "b"):
        write_images(tmp_path / label, 4, seed=ord(label))
    odd = os.path.join(os.fsencode(tmp_path), b"a", b"\xff.png")
    os.rename(tmp_path / "a" / "000.png", odd)
    split = PreparedData.prepare(source("folder", root=tmp_path), seed=0).split
    assert "a/\udcff.png" in set(split.table["path"])
    split.save(tmp_path / "split.csv")
    assert b"a/\xff.png,a," in (tmp_path / "split.csv").read_bytes()


def test_links_to_classes_and_to_images_are_followed(tmp_path):
    write_images(tmp_path / "elsewhere", 2)
    root = tmp_path / "root"
    (root / "b").mkdir(parents=True)
    (root / "a").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (root / "b" / "one.png").symlink_to(tmp_path / "elsewhere" / "000.png")
    folder = source("folder", root=root)
    assert {row[0] for row in list_items(folder)} == {"a/000.png", "a/001.png", "b/one.png"}
    with folder.open("b/one.png") as image:
        assert image.size == (24, 24)


def test_home_is_understood(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_images(tmp_path / "pets" / "a", 1)
    assert len(source("folder", root="~/pets").items()) == 1


def test_listing_is_the_same_every_time(two_classes):
    folder = source("folder", root=two_classes)
    assert folder.items().equals(source("folder", root=two_classes).items())
    assert folder.fingerprint(folder.items()) == folder.fingerprint(folder.items())


@pytest.mark.parametrize("keys", [{"classes": ["cat", "dog"]}, {"counts": {"cat": 2, "dog": 2}}])
def test_an_empty_class_that_is_not_used_is_no_error(two_classes, keys):
    (two_classes / "bird").mkdir()
    assert set(source("folder", root=two_classes, **keys).items()["label"]) == {"cat", "dog"}


@pytest.mark.parametrize("keys", [{}, {"classes": ["cat", "bird"]}, {"counts": {"cat": 2, "bird": 2}}])
def test_an_empty_class_that_is_used_is_an_error(two_classes, keys):
    (two_classes / "bird").mkdir()
    with pytest.raises(
        ConfigError, match=r"data\.root: the class bird in .*pets has no images; .*data\.classes=\[\.\.\.\]"
    ):
        source("folder", root=two_classes, **keys).items()


def test_missing_root_says_where_it_looked(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=rf"data\.root=nowhere: does not exist \(looked in {tmp_path}\)"):
        source("folder", root="nowhere").items()


def test_a_root_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "archive.zip").write_text("")
    with pytest.raises(ConfigError, match=r"data\.root=.*archive\.zip: is a file; give the folder"):
        source("folder", root=tmp_path / "archive.zip").items()


@pytest.mark.parametrize("name", ["loose.png", "notes.txt", None])
def test_no_images_names_the_layout_and_the_extensions(tmp_path, name):
    if name:
        Image.new("L", (8, 8)).save(tmp_path / name, format="PNG")
    with pytest.raises(ConfigError, match=r"no images in root/CLASS/ \(looked for \.bmp, \.dcm, \.jpeg, \.jpg, "):
        source("folder", root=tmp_path).items()


def test_parts_beside_classes_are_refused(tmp_path):
    for name in ("train", "test", "cat"):
        write_images(tmp_path / name / "a", 1)
    with pytest.raises(
        ConfigError, match=r"has the parts test, train and beside them cat; give .* also be called training, val,"
    ):
        source("folder", root=tmp_path).items()


def test_two_folders_for_one_part_are_refused(tmp_path):
    for name in ("train", "val", "valid"):
        write_images(tmp_path / name / "a", 1)
    with pytest.raises(ConfigError, match=r"two folders stand for the part valid: val, valid$"):
        source("folder", root=tmp_path).items()


@pytest.mark.parametrize("closed", ["", "train", "train/a", "train/a/inner"])
def test_a_folder_that_cant_be_listed_is_an_error_and_never_skipped(tmp_path, monkeypatch, closed):
    write_images(tmp_path / "train" / "a" / "inner", 1)
    scandir = os.scandir

    def refuse(path):
        if os.fspath(path) == os.path.join(tmp_path, closed).rstrip("/"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ConfigError, match=rf"data\.root: the folder .*{closed} can't be read: Permission denied"):
        source("folder", root=tmp_path).items()


# Layouts that are not what was meant


@pytest.fixture
def warnings(caplog):
    """warnings() -> the messages since the test began."""
    forget_warnings()
    return lambda: [record.message for record in caplog.records]


def test_files_that_are_not_read_are_counted_in_one_line(tmp_path, warnings):
    for part in ("train", "test"):
        write_images(tmp_path / part / "a", 1)
        for number in range(5):
            (tmp_path / part / "a" / f"{number}.HEIC").write_bytes(b"")
        (tmp_path / part / "a" / "Thumbs.db").write_bytes(b"")
    (tmp_path / "test" / "a" / "film.mp4").write_bytes(b"")
    (tmp_path / "test" / "a" / "IM0001").write_bytes(b"")
    for _ in range(2):
        assert len(source("folder", root=tmp_path).items()) == 2
    assert warnings() == [
        f"data.root={tmp_path}: 12 files were skipped: 10 .heic, 1 .mp4, 1 without a suffix; read are .bmp, .dcm, "
        ".jpeg, .jpg, .png, .tif, .tiff, .webp"
    ]


def test_a_folder_of_images_alone_has_no_warning(two_classes, warnings):
    source("folder", root=two_classes).items()
    assert warnings() == []


def test_a_class_of_files_that_are_not_read_names_their_types(two_classes):
    (two_classes / "owl").mkdir()
    (two_classes / "owl" / "x.npy").write_bytes(b"")
    with pytest.raises(
        ConfigError, match=r"class owl in .* has no images of a type that is read, but 1 \.npy; convert"
    ):
        source("folder", root=two_classes).items()


def test_images_beside_the_classes_are_named(two_classes, warnings):
    write_images(two_classes, 2)
    assert len(source("folder", root=two_classes).items()) == 32
    assert warnings() == [
        f"data.root: 2 images lie in {two_classes} beside the folders of classes, such as 000.png; they are of no "
        "class and not used; move each into the folder of its class"
    ]


def test_a_folder_of_one_class_suggests_the_level_above(two_classes):
    message = rf"has images but no class folders; did you mean data\.root={two_classes}, where cat, dog lie\?$"
    with pytest.raises(ConfigError, match=message):
        source("folder", root=two_classes / "cat").items()


def test_a_folder_of_images_without_classes_says_so(tmp_path):
    write_images(tmp_path / "loose", 2)
    with pytest.raises(ConfigError, match=r"it has images but no class folders; put them into one folder for each cla"):
        source("folder", root=tmp_path / "loose").items()


def test_a_folder_around_the_classes_suggests_the_level_below(two_classes):
    data = source("folder", root=two_classes.parent, cache_dir=two_classes.parent / ".cache")
    message = (
        rf"data: one class only \(pets\); .* two or more; did you mean data\.root={two_classes}, where cat, dog lie"
    )
    with pytest.raises(ConfigError, match=message):
        PreparedData.prepare(data, 0)


def test_folders_that_may_be_parts_of_unknown_names_are_warned_about(tmp_path, warnings):
    for part in ("fold1", "fold2"):
        for label in ("cat", "dog"):
            write_images(tmp_path / part / label, 1)
    assert set(source("folder", root=tmp_path).items()["label"]) == {"fold1", "fold2"}
    assert warnings() == [
        f"data.root={tmp_path}: fold1, fold2 are taken for the classes, but each holds cat, dog; if those are the "
        f"classes, rename fold1, fold2 to train, valid and test, or give one of them, as data.root={tmp_path}/fold1"
    ]


# FER2013


@pytest.mark.parametrize("place", ["fer2013.csv", "icml_face_data.csv"])
def test_fer2013_csv_keeps_its_official_parts(tmp_path, place):
    fer_csv(tmp_path / place)
    data = source("fer2013", root=tmp_path)
    assert [row[1:] for row in data.items().itertuples(index=False, name=None)] == [
        ("angry", "train"),
        ("happy", "train"),
        ("angry", "valid"),
        ("happy", "valid"),
        ("angry", "test"),
        ("happy", "test"),
    ]
    assert list_items(source("fer2013", root=tmp_path / place)) == list_items(data)


def test_fer2013_emotions_are_named_in_kaggles_order(tmp_path):
    write_csv(tmp_path / "fer2013.csv", [f"{number},{pixels()},Training" for number in range(7)])
    assert list(source("fer2013", root=tmp_path).items()["label"]) == EMOTIONS


def test_fer2013_pixels_become_rows_of_a_grayscale_image(tmp_path):
    values = np.arange(48 * 48) % 256
    write_csv(tmp_path / "fer2013.csv", [f"0,{' '.join(map(str, values))},Training"])
    image = source("fer2013", root=tmp_path).open("row/00000")
    assert image.mode == "L"
    np.testing.assert_array_equal(np.asarray(image), values.reshape(48, 48))


def test_fer2013_reads_the_icml_header_with_its_blanks_and_its_order(tmp_path):
    write_csv(tmp_path / "icml_face_data.csv", [f"3,PrivateTest,{pixels(5)}"], header="emotion, Usage, pixels")
    data = source("fer2013", root=tmp_path)
    assert list_items(data) == {("row/00000", "happy", "test")}
    assert np.asarray(data.open("row/00000")).max() == 5


@pytest.mark.filterwarnings("ignore:Length of header")
def test_fer2013_accepts_a_comma_at_the_end_of_every_row(tmp_path):
    write_csv(tmp_path / "fer2013.csv", [f"3,{pixels(5)},Training,", f"0,{pixels(6)},Training,"])
    assert list(source("fer2013", root=tmp_path).items()["label"]) == ["happy", "angry"]


@pytest.mark.parametrize("parts", [("train", "test"), ("Training", "PublicTest", "PrivateTest")])
def test_fer2013_reads_the_folder_form(tmp_path, parts):
    for part in parts:
        write_images(tmp_path / part / "angry", 1, size=(48, 48), mode="L")
    assert [row[2] for row in sorted(list_items(source("fer2013", root=tmp_path)))] == (
        ["test", "train"] if len(parts) == 2 else ["test", "valid", "train"]
    )


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (
            "emotion,pixels",
            r"lacks the column Usage; it has emotion, pixels; the Kaggle file has emotion, pixels, Usage",
        ),
        ("a,b,c", r"lacks the column Usage, emotion, pixels; it has a, b, c"),
        ("emotion,pixels,Usage", r"fer2013\.csv: has no rows"),
        ("", r"fer2013\.csv: can't be read as CSV: "),
    ],
)
def test_fer2013_csv_of_another_form_is_refused(tmp_path, header, message):
    write_csv(tmp_path / "fer2013.csv", [], header=header)
    with pytest.raises(ConfigError, match=message):
        source("fer2013", root=tmp_path).items()


def test_a_binary_file_is_refused_as_csv(tmp_path):
    Image.new("L", (64, 64)).save(tmp_path / "x.png")
    with pytest.raises(ConfigError, match=r"data\.root=.*x\.png: (can't be read as CSV|lacks the column)"):
        source("fer2013", root=tmp_path / "x.png").items()


@pytest.mark.parametrize(
    "row", ["7,PIXELS,Training", "x,PIXELS,Training", "1.5,PIXELS,Training", "0,PIXELS,Test", ",PIXELS,", "0,PIXELS"]
)
def test_fer2013_row_with_an_unknown_emotion_or_usage_is_named(tmp_path, row):
    write_csv(tmp_path / "fer2013.csv", [f"0,{pixels()},Training", row.replace("PIXELS", pixels())])
    with pytest.raises(
        ConfigError, match=r"row 3 has emotion .* and Usage .*; allowed are 0 to 6 and Training, Public"
    ):
        source("fer2013", root=tmp_path).items()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (pixels(count=2303), "row/00001: ValueError: 2303 pixels instead of 48 x 48 = 2304"),
        (pixels(count=0), "row/00001: ValueError: 0 pixels instead of"),
        (pixels(256), "row/00001: ValueError: pixels outside 0 to 255"),
        (pixels(-1), "row/00001: ValueError: pixels outside 0 to 255"),
        (pixels("x"), "row/00001: ValueError: pixels are not whole numbers"),
        (pixels("1.5"), "row/00001: ValueError: pixels are not whole numbers"),
        (pixels(10**30), "row/00001: ValueError: pixels are not whole numbers"),
    ],
)
def test_fer2013_row_with_bad_pixels_is_list_items(tmp_path, text, message):
    write_csv(tmp_path / "fer2013.csv", [f"0,{pixels()},Training", f"3,{text},Training"])
    with pytest.raises(ConfigError, match=rf"1 of 2 images can't be read; .*data\.skip_corrupt=true\n  {message}"):
        PreparedData.prepare(source("fer2013", root=tmp_path), seed=0)


def test_fer2013_is_ready_to_train_with_the_official_parts_apart(tmp_path):
    fer_csv(tmp_path / "fer2013.csv", per_part=2)
    data = PreparedData.prepare(source("fer2013", root=tmp_path), seed=0)
    assert data.cache.images.shape == (12, 48, 48, 1)
    for part in ("train", "valid", "test"):
        assert data.split.counts(part) == {"angry": 2, "happy": 2}


# MMA


@pytest.mark.parametrize("root", ["MMAFEDB", "."])
def test_mma_accepts_its_folder_or_the_folder_that_contains_it(tmp_path, root):
    for part in ("train", "valid", "test"):
        write_images(tmp_path / "MMAFEDB" / part / "angry", 1)
    data = source("mma", root=tmp_path / root)
    assert list_items(data) == {(f"{part}/angry/000.png", "angry", part) for part in ("train", "valid", "test")}
    assert data.stored_channels == 1  # grayscale by default


def test_mma_downloads_if_the_key_is_set(tmp_path, monkeypatch):
    write_images(tmp_path / "MMAFEDB" / "train" / "angry", 1)
    downloads = []
    fake = SimpleNamespace(dataset_download=lambda name: downloads.append(name) or str(tmp_path))
    monkeypatch.setitem(sys.modules, "kagglehub", fake)
    data = source("mma", download=True)
    assert list_items(data) == {("train/angry/000.png", "angry", "train")}
    with data.open("train/angry/000.png") as image:
        assert image.size == (24, 24)
    assert downloads == ["mahmoudima/mma-facial-expression"]


def test_mma_does_not_download_if_there_is_a_root(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    write_images(tmp_path / "train" / "angry", 1)
    assert len(source("mma", root=tmp_path, download=True).items()) == 1


def test_mma_without_kagglehub_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(
        ConfigError, match=r"data\.download=true: needs kagglehub; run pip install 'fer-experiments\[mma\]'"
    ):
        source("mma", download=True).items()


def test_a_failed_mma_download_gives_the_reason_and_the_remedy(monkeypatch):
    def fail(name):
        raise ConnectionError("no route to host")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=fail))
    with pytest.raises(
        ConfigError,
        match=r"download=true: the download from Kaggle failed \(ConnectionError: no route to host\); .*data\.root=",
    ):
        source("mma", download=True).items()


def test_mma_needs_a_root_or_a_download():
    with pytest.raises(ConfigError, match=r"data: root=null: give data\.root=PATH/MMAFEDB, or data\.download=true"):
        source("mma")


# Drawn faces


def test_faces_list_the_configured_number_for_each_class_and_part():
    items = source("faces", counts=None, train_per_class=3, test_per_class=2).items()
    counts = items.groupby(["part", "label"]).size()
    assert len(counts) == 14
    assert set(counts["train"]) == {3}
    assert set(counts["test"]) == {2}
    assert items["path"].is_unique


@pytest.mark.parametrize("keys", [{"classes": ["sad", "fear"], "counts": None}, {"counts": {"sad": 2, "fear": 2}}])
def test_faces_draw_only_the_classes_that_are_needed(keys):
    assert set(source("faces", **keys).items()["label"]) == {"fear", "sad"}


def test_a_face_does_not_depend_on_which_others_are_drawn():
    few = source("faces", counts={"sad": 1, "happy": 1}, train_per_class=1, test_per_class=1)
    many = source("faces", counts=None, train_per_class=3, test_per_class=2)
    assert list_items(few) < list_items(many)
    for path in few.items()["path"]:
        assert few.open(path).tobytes() == many.open(path).tobytes()


@pytest.mark.parametrize(("key", "value"), [("classes", ["sad", "bored"]), ("counts", {"sad": 2, "bored": 2})])
def test_an_unknown_expression_is_refused_by_key(key, value):
    with pytest.raises(ConfigError, match=rf"data\.{key}: no class bored; the data has angry, disgust, fear"):
        source("faces", **{"counts": None, key: value}).items()


def test_another_faces_seed_is_another_cache():
    first, second = source("faces"), source("faces", faces_seed=1)
    assert first.fingerprint(first.items()) != second.fingerprint(second.items())


def test_the_command_line_reaches_every_source(read, tmp_path):
    root = f"data.root={tmp_path}"
    assert type(read().data) is DrawnFaces
    assert type(read("data=folder", root).data) is Folder
    assert type(read("data=fer2013", root).data) is FER2013
    assert type(read("data=mma", root, "data.channels=1").data) is MMA


# data.rename


def test_other_keys_know_a_class_by_its_new_name(two_classes):
    data = PreparedData.prepare(
        source("folder", root=two_classes, rename={"dog": "wolf"}, counts={"cat": 5, "wolf": 6}), 0
    )
    assert data.classes == ("cat", "wolf")
    assert data.split.counts("train") == {"cat": 5, "wolf": 6}


def test_images_of_two_names_join_in_one_class(two_classes):
    write_images(two_classes / "kitten", 8, seed=3)
    data = PreparedData.prepare(source("folder", root=two_classes, rename={"kitten": "cat"}), 0)
    assert data.classes == ("cat", "dog")
    assert sum(data.split.counts(part)["cat"] for part in PARTS) == 12 + 8
    assert set(data.split.table["path"].str.split("/").str[0]) == {"cat", "kitten", "dog"}


def test_renaming_makes_another_split_of_the_same_cache(two_classes):
    plain, renamed = (
        PreparedData.prepare(source("folder", root=two_classes, rename=names), 0) for names in (None, {"dog": "wolf"})
    )
    assert renamed.cache.folder == plain.cache.folder
    assert renamed.split.hash != plain.split.hash


@pytest.mark.parametrize("rename", [{"bird": "cat"}, {"wolf": "dog"}])
def test_a_name_that_no_image_has_is_refused(two_classes, rename):
    with pytest.raises(ConfigError, match=r"data\.rename: no class (bird|wolf); the data has cat, dog; give \{name in"):
        PreparedData.prepare(source("folder", root=two_classes, rename=rename), 0)


@pytest.mark.parametrize("rename", [{}, {"dog": "a/b"}, {"dog": ""}, {"dog": 1.5}])
def test_a_name_that_no_folder_can_have_is_refused(two_classes, rename):
    with pytest.raises(ConfigError, match=r"data\.rename"):
        source("folder", root=two_classes, rename=rename)


def test_numbered_folders_are_renamed_from_the_command_line(read, tmp_path):
    for number in ("1", "2"):
        write_images(tmp_path / "raf" / number, 8, seed=int(number))
    config = read("data=folder", f"data.root={tmp_path}/raf", "data.rename={1: surprise, 2: fear}")
    assert PreparedData.prepare(config.data, 0).classes == ("fear", "surprise")


def test_every_key_knows_a_numbered_folder_by_its_number(read, tmp_path):
    for number in ("1", "2", "3"):
        write_images(tmp_path / "raf" / number, 16, seed=int(number))
    keys = ("data.rename={3: 2}", "data.classes=[1, 2]", "data.imbalance=2", "data.minority=1")
    config = read("data=folder", f"data.root={tmp_path}/raf", *keys, "balance.sampling_strategy={1: 12}")
    counts = PreparedData.prepare(config.data, 0).split.counts("train")
    assert counts == {"1": 10, "2": 21}
    assert config.balance.sampling_strategy == {"1": 12}


def test_drawn_faces_are_drawn_for_their_new_names():
    keys = {"counts": {"glad": 2, "sad": 2}, "train_per_class": 4, "test_per_class": 2, "image_size": 16}
    data = PreparedData.prepare(source("faces", rename={"happy": "glad", "fear": "afraid"}, **keys), 0)
    assert data.classes == ("glad", "sad")
    assert set(data.split.table["path"].str.split("/").str[1]) == {"happy", "sad"}


def test_an_empty_folder_is_needed_by_its_new_name(two_classes):
    (two_classes / "tomcat").mkdir()
    keys = {"root": two_classes, "rename": {"tomcat": "cat"}}
    assert "tomcat" not in set(source("folder", classes=["dog"], **keys).items()["label"])
    with pytest.raises(ConfigError, match=r"the class tomcat in .* has no images"):
        source("folder", classes=["cat", "dog"], **keys).items()


def test_a_folder_of_images_called_train_is_a_class(tmp_path):
    for name in ("train", "bus", "test"):
        write_images(tmp_path / name, 2)
    rows = source("folder", root=tmp_path).items()
    assert set(rows["label"]) == {"train", "bus", "test"}
    assert set(rows["part"]) == {"train"}
