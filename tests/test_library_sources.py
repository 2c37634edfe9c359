"""Data sets of other libraries: scikit-learn, NumPy archives, MedMNIST, torchvision.datasets and Hugging Face."""

import builtins
import io
import pickle
import struct
import time
from multiprocessing.pool import ThreadPool
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from fer_experiments.data.prepared import PreparedData
from fer_experiments.data.sources import npz, torchvision_dataset
from fer_experiments.errors import ConfigError
from fer_experiments.evaluation.result import Result
from tests.conftest import source

RNG = np.random.default_rng(0)
SIDE = 28
SIZES = {"train": 40, "valid": 10, "test": 12}


def pictures(count: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, 256, (count, *(shape or (SIDE, SIDE))), dtype=np.uint8)


def labels(count: int) -> np.ndarray:
    return np.arange(count) % 2


def check_images(data: PreparedData, expected: dict[str, np.ndarray]) -> None:
    """Check that each part has these images, whatever their order."""
    for part, images in expected.items():
        stored = data.cache.images[data.split.rows(part)].squeeze(-1)
        assert sorted(image.tobytes() for image in stored) == sorted(image.tobytes() for image in images), part


# scikit-learn


def test_digits_are_those_of_scikit_learn_in_bytes():
    digits = load_digits()
    data = PreparedData.prepare(source("digits"), 0)
    assert data.classes == tuple("0123456789")
    assert data.cache.images.shape == (1797, 8, 8, 1)
    assert data.cache.index["label"].tolist() == [str(label) for label in digits.target]
    assert np.abs(data.cache.images.squeeze(-1) / 255 - digits.images / 16).max() <= 0.5 / 255
    assert data.cache.images.min() == 0
    assert data.cache.images.max() == 255


def test_digits_are_counted_by_their_numbers(read):
    config = read("data=digits", "data.counts={3: 11, 8: 110}", "data.test_counts={3: 9, 8: 10}")
    split = PreparedData.prepare(config.data, 0).split
    assert split.counts("train") == {"3": 11, "8": 110}
    assert split.counts("test") == {"3": 9, "8": 10}


def test_a_gan_of_digits_is_trained_on_the_digit_that_is_named_by_its_number(run):
    folder = run("train=dcgan", "data=digits", "data.classes=[3, 8]", "gan.target_class=8", "experiment=quick")
    assert len(list((folder / "synthetic" / "8").glob("*.png"))) > 0


# NumPy archives

NPZ_NAMES = {
    "train": ("train_images", "train_labels"),
    "valid": ("val_images", "val_labels"),
    "test": ("test_images", "test_labels"),
}


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    return {part: pictures(count) for part, count in SIZES.items()}


@pytest.fixture
def medmnist_file(arrays, tmp_path):
    file = tmp_path / "pneumoniamnist.npz"
    content = {}
    for part, (images, names) in NPZ_NAMES.items():
        content |= {images: arrays[part], names: labels(SIZES[part])[:, None]}  # as MedMNIST's
    np.savez_compressed(file, **content)
    return file


def test_an_archive_in_the_layout_of_medmnist_has_its_parts(arrays, medmnist_file):
    data = PreparedData.prepare(source("npz", file=medmnist_file, rename={"0": "normal", "1": "ill"}), 0)
    assert data.classes == ("ill", "normal")
    assert data.split.counts("train") == {"ill": 20, "normal": 20}
    check_images(data, arrays)


@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"), ("images", "labels")])
def test_other_layouts_are_known_and_lacking_parts_are_carved_out(tmp_path, names):
    content = {
        name: pictures(60, SIDE, SIDE, 3) if number % 2 == 0 else np.array(["cat", "dog"] * 30)
        for number, name in enumerate(names)
    }
    np.savez(tmp_path / "a.npz", **content)
    data = PreparedData.prepare(source("npz", file=tmp_path / "a.npz"), 0)
    assert data.classes == ("cat", "dog")
    assert {part for part in SIZES if len(data.split.rows(part))} == set(SIZES)
    assert data.cache.images.shape[1:] == (SIDE, SIDE, 3)


def test_many_threads_read_an_array_once(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", images=pictures(64), labels=labels(64))
    archive = source("npz", file=tmp_path / "a.npz")
    paths = archive.items()["path"]
    reads = []

    def open_slowly(file):
        reads.append(file)
        time.sleep(0.05)
        return np.load(file)

    monkeypatch.setattr("fer_experiments.data.sources.npz._open_archive", open_slowly)
    with ThreadPool(8) as pool:
        pool.map(archive.open, paths)
    assert len(reads) == 1


def test_a_changed_archive_is_read_again(tmp_path):
    for value in (1, 2):
        np.savez(tmp_path / "a.npz", images=np.full((40, 9, 9), value, np.uint8), labels=np.arange(40) % 2)
        source_of_value = source("npz", file=tmp_path / "a.npz", image_size=9)
        items = source_of_value.items()
        with source_of_value.open(items["path"][0]) as image:
            assert image.getpixel((0, 0)) == value


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"pixels": pictures(4)}, "has the arrays pixels; it needs images and labels"),
        ({"images": pictures(4), "labels": np.zeros((4, 3))}, r"labels have the shape \(4, 3\) for 4 images"),
        ({"images": pictures(4), "labels": np.zeros(3)}, r"labels have the shape \(3,\) for 4 images"),
        ({"images": pictures(4, 9, 9, 9), "labels": np.zeros(4)}, r"images have the shape \(4, 9, 9, 9\)"),
        ({"images": np.zeros((4, 9, 9)), "labels": np.zeros(4)}, "the type float64"),
        ({"images": pictures(4), "labels": np.array([None] * 4)}, r"can't be read as an \.npz file of numbers"),
    ],
)
def test_arrays_that_are_no_images_with_labels_are_refused(tmp_path, content, message):
    np.savez(tmp_path / "a.npz", **content)
    with pytest.raises(ConfigError, match=message):
        source("npz", file=tmp_path / "a.npz").items()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", pickle.dumps([1])])
def test_a_file_that_is_no_archive_is_refused(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"can't be read as an \.npz file"):
        source("npz", file=tmp_path / "a.npz").items()


def test_medmnist_names_the_classes(arrays, medmnist_file, monkeypatch, tmp_path):
    pytest.importorskip("medmnist")
    data = PreparedData.prepare(source("medmnist", name="pneumoniamnist", file=medmnist_file), 0)
    assert data.classes == ("normal", "pneumonia")
    check_images(data, arrays)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".medmnist").mkdir()
    medmnist_file.rename(tmp_path / ".medmnist" / "pneumoniamnist_64.npz")
    assert len(source("medmnist", name="pneumoniamnist", size=64).items()) == sum(SIZES.values())


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": "pneumoniamnist"}, r"there is no file .*pneumoniamnist\.npz; .*data\.download=true"),
        ({"name": "chestmnist", "file": "FILE"}, "is no data set of MedMNIST with flat images and one label each"),
        ({"name": "organmnist3d", "file": "FILE"}, "these are pathmnist, "),
    ],
)
def test_what_is_no_file_or_no_set_of_medmnist_is_refused(medmnist_file, monkeypatch, tmp_path, keys, message):
    pytest.importorskip("medmnist")
    monkeypatch.setenv("HOME", str(tmp_path))
    keys = {key: medmnist_file if value == "FILE" else value for key, value in keys.items()}
    with pytest.raises(ConfigError, match=message):
        source("medmnist", **keys).items()


def test_a_download_that_fails_says_what_to_do_instead(monkeypatch, tmp_path):
    medmnist = pytest.importorskip("medmnist")

    def fail(*_, **__):
        raise RuntimeError("no network")

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(medmnist, "PneumoniaMNIST", fail)
    with pytest.raises(
        ConfigError, match=r"download of pneumoniamnist failed \(RuntimeError: no network\).*data\.file"
    ):
        source("medmnist", name="pneumoniamnist", download=True).items()


# torchvision.datasets


def write_idx(file, array: np.ndarray) -> None:
    """Write an array as MNIST's files are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    file.write_bytes(header + array.astype(np.uint8).tobytes())


@pytest.fixture
def mnist(tmp_path) -> dict[str, np.ndarray]:
    """{part: images} in the files of FashionMNIST in tmp_path / "sets"."""
    images = {"train": pictures(60), "test": pictures(20)}
    for part, prefix in (("train", "train"), ("test", "t10k")):
        raw = tmp_path / "sets" / "FashionMNIST" / "raw"
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images[part])
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", np.arange(len(images[part])) % 10)
    return images


def test_a_torchvision_set_that_says_train_or_not_has_both_parts(mnist, tmp_path):
    keys = {"name": "FashionMNIST", "root": tmp_path / "sets"}
    data = PreparedData.prepare(
        source("torchvision", **keys, classes=["Trouser", "T-shirt-top"], valid_fraction=0.4), 0
    )
    assert data.classes == ("T-shirt-top", "Trouser")
    assert data.split.counts("test") == {"T-shirt-top": 2, "Trouser": 2}
    check_images(data, {"test": mnist["test"][[0, 1, 10, 11]]})


IMAGENETTE = (  # the names of its folders; the first two are of the tench and the English springer
    *("n01440764", "n02102040", "n02979186", "n03000684", "n03028079"),
    *("n03394916", "n03417042", "n03425413", "n03445777", "n03888257"),
)


@pytest.fixture
def cifar10(monkeypatch, tmp_path):
    """tmp_path with the files of CIFAR-10, of 120 training images and 10 test images a class."""
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)  # of the published files
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    names = [f"class {number}" for number in range(10)]
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": names}))
    for file, count in {**{f"data_batch_{number}": 240 for number in range(1, 6)}, "test_batch": 100}.items():
        content = {"data": pictures(count, 3 * 32 * 32), "labels": [row % 10 for row in range(count)]}
        (folder / file).write_bytes(pickle.dumps(content))
    return tmp_path


@pytest.mark.usefixtures("blank_figures")
def test_the_experiment_of_long_tailed_cifar_10_reads_its_files_and_compares_arms(run, cifar10):
    folder = run(
        "experiment=cifar10_lt",
        "data=torchvision",
        "data.name=CIFAR10",
        f"data.root={cifar10}",
        "train.arms=[none,balanced_softmax]",
        "classifier.batch_size=8",
    )
    for arm in ("none", "balanced_softmax"):
        result = Result.load(folder / "seed_0" / f"{arm}+crop_flip")
        assert list(result.real.values()) == [119, 71, 43, 26, 15, 9, 6, 3, 2, 1]  # of 120, 1 for validation
        assert result.metrics["test"]["images"] > 0


def test_splits_of_a_torchvision_set_are_the_parts(tmp_path):
    for split in ("train", "val"):
        for number, label in enumerate(IMAGENETTE):
            folder = tmp_path / "imagenette2" / split / label
            folder.mkdir(parents=True)
            for image in range(3 if number == 0 else 4):
                Image.fromarray(pictures(1)[0]).save(folder / f"{image}.JPEG")
    items = source("torchvision", name="Imagenette", root=tmp_path).items()
    counts = items.groupby(["part", "label"]).size()
    assert {part for part, _ in counts.index} == {"train", "valid"}
    assert counts["train", "tench"] == 3
    assert counts["valid", "English springer"] == 4


def test_a_torchvision_set_without_parts_is_of_train(tmp_path):
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.fromarray(pictures(1)[0]).save(tmp_path / label / f"{number}.png")
    folder = source("torchvision", name="ImageFolder", root=tmp_path)
    items = folder.items()
    assert items.groupby(["part", "label"]).size().to_dict() == {("train", "cat"): 5, ("train", "dog"): 5}
    before = folder.state(items)
    Image.fromarray(pictures(1, SIDE, SIDE, 3)[0]).save(tmp_path / "cat" / "2.png")
    assert [place for place, state in enumerate(folder.state(items)) if state != before[place]] == [2]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"name": "CIFAR"}, r"data\.name=CIFAR: is no class of torchvision\.datasets; did you mean CIFAR10"),
        ({"name": "CIFAR10"}, r"CIFAR10 can't be opened: Dataset not found.*; data\.download=true gets missing files"),
        ({"name": "CIFAR10", "arguments": {"split": "x"}}, r"data\.arguments: CIFAR10 has no split; it has .*train"),
        ({"name": "SVHN"}, r"SVHN can't be opened: Dataset not found"),
        ({"name": "VisionDataset"}, r"is no class of torchvision\.datasets"),
    ],
)
def test_a_torchvision_set_that_can_t_be_opened_says_why(tmp_path, keys, message):
    with pytest.raises(ConfigError, match=message):
        source("torchvision", root=tmp_path, **keys).items()


def test_a_torchvision_set_without_classes_is_refused(monkeypatch, tmp_path):
    (tmp_path / "cat").mkdir()
    Image.fromarray(pictures(1)[0]).save(tmp_path / "cat" / "0.png")
    monkeypatch.setattr("fer_experiments.data.sources.torchvision_dataset._list_labels", lambda _: [{"box": 1}])
    with pytest.raises(ConfigError, match=r"data\.name=ImageFolder: gives dict with an image instead of one class"):
        source("torchvision", name="ImageFolder", root=tmp_path).items()


# Hugging Face


@pytest.fixture
def beans(tmp_path):
    """(the library, {split: images}) of a data set that save_to_disk wrote to tmp_path / "beans"."""
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"picture": datasets.Image(), "disease": datasets.ClassLabel(names=["rust", "a/b"])})
    images = {"train": pictures(40), "validation": pictures(10), "test": pictures(12)}
    splits = {
        split: datasets.Dataset.from_dict(
            {"picture": [Image.fromarray(image) for image in arrays], "disease": labels(len(arrays))}, features
        )
        for split, arrays in images.items()
    }
    datasets.DatasetDict(splits).save_to_disk(str(tmp_path / "beans"))
    return datasets, images


def test_a_saved_data_set_has_its_splits_and_names(beans, tmp_path):
    _, images = beans
    data = PreparedData.prepare(source("huggingface", name=str(tmp_path / "beans")), 0)
    assert data.classes == ("a-b", "rust")
    check_images(data, {"train": images["train"], "valid": images["validation"], "test": images["test"]})


def test_another_column_of_images_is_read_anew(beans, tmp_path):
    datasets, images = beans
    sets = datasets.load_from_disk(str(tmp_path / "beans"))
    masks = [{"bytes": encode(image // 8), "path": None} for image in images["train"]]
    sets["train"].add_column("mask", masks, feature=datasets.Image()).save_to_disk(str(tmp_path / "both"))
    for column, is_dark in (("picture", False), ("mask", True)):
        columns = {"name": str(tmp_path / "both"), "image_column": column}
        assert (PreparedData.prepare(source("huggingface", **columns), 0).cache.images.max() < 32) == is_dark


def test_a_saved_data_set_names_groups_by_a_column(beans, tmp_path):
    datasets, _ = beans
    sets = datasets.load_from_disk(str(tmp_path / "beans"))
    plants = {split: rows.add_column("plant", [row // 4 for row in range(len(rows))]) for split, rows in sets.items()}
    datasets.DatasetDict(plants).save_to_disk(str(tmp_path / "plants"))
    data = PreparedData.prepare(
        source("huggingface", name=str(tmp_path / "plants"), group_column="plant", parts={"valid": None, "test": None}),
        0,
    )
    table = data.split.table
    assert set(table["group"]) == {str(number) for number in range(10)}
    assert (table.groupby("group")["split"].nunique() == 1).all()
    with pytest.raises(
        ConfigError, match=r"^data.group_column=pot: there is no such column; .* has picture, disease, pl"
    ):
        PreparedData.prepare(source("huggingface", name=str(tmp_path / "plants"), group_column="pot"), 0)


def test_what_load_dataset_reads_from_a_folder_is_read(beans, tmp_path, monkeypatch):
    datasets, _ = beans
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    for label in ("cat", "dog"):
        (tmp_path / "pets" / "train" / label).mkdir(parents=True)
        for number in range(20):
            Image.fromarray(pictures(1)[0]).save(tmp_path / "pets" / "train" / label / f"{number}.png")
    data = PreparedData.prepare(source("huggingface", name=str(tmp_path / "pets")), 0)
    assert data.classes == ("cat", "dog")
    assert sum(data.split.counts(part)["cat"] for part in SIZES) == 20


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"label_column": "kind"}, r"data\.label_column=kind: there is no such column; .* has picture, disease"),
        ({"name": "no/such-data-set"}, r"data\.name=no/such-data-set: can't be loaded: .*data\.download=true"),
    ],
)
def test_a_data_set_that_can_t_be_read_says_why(beans, tmp_path, keys, message):
    with pytest.raises(ConfigError, match=message):
        source("huggingface", **{"name": str(tmp_path / "beans"), **keys}).items()


def test_columns_are_found_by_their_type_or_name(beans, tmp_path):
    datasets, _ = beans
    content = {"image": [Image.fromarray(pictures(1)[0])] * 4, "label": ["x", "y"] * 2, "group": [1, 2, 3, 4]}
    plain = datasets.Dataset.from_dict(content, datasets.Features(
        {"image": datasets.Image(), "label": datasets.Value("string"), "group": datasets.Value("int64")}
    ))  # fmt: skip
    plain.save_to_disk(str(tmp_path / "plain"))
    plain.remove_columns("label").save_to_disk(str(tmp_path / "none"))
    assert source("huggingface", name=str(tmp_path / "plain")).items()["label"].tolist() == ["x", "y"] * 2
    with pytest.raises(ConfigError, match=r"data\.label_column=None: is needed; .* has image, group"):
        source("huggingface", name=str(tmp_path / "none")).items()
    named = source("huggingface", name=str(tmp_path / "none"), label_column="group")
    assert named.items()["label"].tolist() == ["1", "2", "3", "4"]


# All of them


@pytest.mark.parametrize(
    ("data", "package", "keys"),
    [("medmnist", "medmnist", {"name": "pneumoniamnist"}), ("huggingface", "datasets", {"name": "beans"})],
)
def test_a_library_that_is_missing_is_named(monkeypatch, medmnist_file, data, package, keys):
    real_import = builtins.__import__

    def fail(name, *arguments, **keywords):
        if name.partition(".")[0] == package:
            raise ImportError(name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", fail)
    keys = keys if data == "huggingface" else keys | {"file": medmnist_file}
    with pytest.raises(ConfigError, match=rf"needs {package}; run pip install 'fer-experiments\[{data}\]'"):
        source(data, **keys).items()


def test_a_classifier_is_trained_on_each(run, medmnist_file, mnist, beans, tmp_path):
    sets = {
        "digits": ["data.classes=[3, 8]"],
        "npz": [f"data.file={medmnist_file}"],
        "torchvision": ["data.name=FashionMNIST", f"data.root={tmp_path / 'sets'}", "data.classes=[Trouser,Dress]"],
        "huggingface": [f"data.name={tmp_path / 'beans'}"],
    }
    for name, keys in sets.items():
        folder = run("train=cnn", f"data={name}", "experiment=quick", *keys, folder=tmp_path / name)
        assert sum(Result.load(folder).real.values()) > 0, name


# Data that a reader must not believe


@pytest.mark.parametrize("label", ["../../evil", "/abs", ".hidden"])
def test_a_class_that_is_no_name_of_a_folder_is_refused_unless_renamed(tmp_path, label):
    np.savez(tmp_path / "a.npz", images=pictures(60), labels=np.array([label, "dog"] * 30))
    with pytest.raises(ConfigError, match=r"can't be the name of a class; .*data\.rename"):
        PreparedData.prepare(source("npz", file=tmp_path / "a.npz"), 0)
    data = PreparedData.prepare(source("npz", file=tmp_path / "a.npz", rename={label: "cat"}), 0)
    assert data.classes == ("cat", "dog")


def test_bytes_are_names(tmp_path):
    np.savez(tmp_path / "a.npz", images=pictures(4), labels=np.array([b"cat", b"dog"] * 2))
    assert source("npz", file=tmp_path / "a.npz").items()["label"].tolist() == ["cat", "dog"] * 2


def test_listing_an_archive_reads_no_image(tmp_path, monkeypatch):
    np.savez(tmp_path / "a.npz", images=pictures(60), labels=labels(60))
    monkeypatch.setattr(npz, "_load_images", None)
    assert len(source("npz", file=tmp_path / "a.npz").items()) == 60


def test_another_set_s_file_is_refused(tmp_path):
    pytest.importorskip("medmnist")
    np.savez(tmp_path / "a.npz", images=pictures(6), labels=np.arange(6))
    with pytest.raises(ConfigError, match="has the class 2, which pneumoniamnist has not"):
        source("medmnist", name="pneumoniamnist", file=tmp_path / "a.npz").items()


def test_torchvision_s_hidden_and_double_names(monkeypatch, tmp_path):
    names = [("crane", "bird"), ("crane", "machine"), ("dog", "hound")]
    assert torchvision_dataset._list_names(SimpleNamespace(classes=names)) == ["crane, bird", "crane, machine", "dog"]
    hidden = SimpleNamespace(classes=["a"], targets=[0, -1])
    monkeypatch.setattr(torchvision_dataset, "_open_parts", lambda *_: {"train": hidden})
    with pytest.raises(ConfigError, match="some images of train have no class"):
        source("torchvision", name="STL10", root=tmp_path).items()


def test_a_torchvision_set_without_a_split_called_train_says_what_to_give(monkeypatch, tmp_path):
    monkeypatch.setattr(
        torchvision_dataset, "_open_split", lambda *arguments: object() if arguments[3] == "test" else None
    )
    with pytest.raises(ConfigError, match=r"has no split train, but test; give data\.arguments=\{split: NAME\}"):
        source("torchvision", name="OxfordIIITPet", root=tmp_path).items()


def encode(pixels) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.mark.parametrize("as_dictionary", [True, False])
def test_a_column_of_the_bytes_of_files_has_images(tmp_path, as_dictionary):
    datasets = pytest.importorskip("datasets")
    arrays = pictures(4)
    values = [{"bytes": encode(array), "path": None} if as_dictionary else encode(array) for array in arrays]
    columns = {"picture": values, "label": [0.0, 1.0, 0.0, 1.0]}
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "bytes"))
    data = source("huggingface", name=str(tmp_path / "bytes"))
    assert data.items()["label"].tolist() == ["0", "1", "0", "1"]
    assert np.array_equal(np.asarray(data.open("train/000002")), arrays[2])


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"image": ["a.png", "b.png"], "label": [0, 1]}, r"image_column=image: .* has string there .*data=table"),
        ({"image": [[1, 2], [3, 4]], "label": [0, 1]}, r"image_column=image: .* has List there"),
        ({"image": [b"a", b"b"], "label": ["x", ""]}, r"train: label: 1 images have no class, .*row 1 \(''\)"),
        ({"image": [b"a", b"b"], "label": [None, 1]}, r"train: label: 1 images have no class, .*row 0 \(None\)"),
        ({"image": [b"a", b"b"], "label": [[0], [1]]}, r"train: label: has a list as a label, \[0\]"),
        ({"image": [b"a", b"b"], "kind": [0, 1]}, r"label_column=None: is needed; .* has image, kind"),
    ],
)
def test_columns_that_are_no_images_with_classes_are_refused(tmp_path, columns, message):
    datasets = pytest.importorskip("datasets")
    datasets.Dataset.from_dict(columns).save_to_disk(str(tmp_path / "set"))
    with pytest.raises(ConfigError, match=message):
        source("huggingface", name=str(tmp_path / "set"), image_column="image").items()


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, np.nan, 1.0]), r"train: 1 images have no class, the first of them in row 1 \(nan\)"),
        (np.array([-1, 0, 1]), r"train: 1 images have no class, the first of them in row 0 \(-1\)"),
        (np.array(["x", "y", ""]), r"train: 1 images have no class, the first of them in row 2 \(''\)"),
        (np.array([b"x", b"y", b""]), r"train: 1 images have no class"),
    ],
)
def test_unlabelled_rows_of_an_archive_are_refused(tmp_path, labels, message):
    np.savez(tmp_path / "set.npz", images=np.zeros((3, 8, 8), np.uint8), labels=labels)
    with pytest.raises(ConfigError, match=rf"data\.file=\S*: {message}"):
        source("npz", file=tmp_path / "set.npz").items()


def test_a_part_whose_classes_are_hidden_is_left_out(tmp_path):
    datasets = pytest.importorskip("datasets")
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["x", "y"])})
    picture = Image.fromarray(pictures(1)[0])

    def build(values: list[int]) -> object:
        return datasets.Dataset.from_dict({"image": [picture] * len(values), "label": values}, features)

    datasets.DatasetDict(train=build([0, 1]), test=build([-1, -1])).save_to_disk(str(tmp_path / "hidden"))
    items = source("huggingface", name=str(tmp_path / "hidden")).items()
    assert items["part"].tolist() == ["train", "train"]
    datasets.DatasetDict(train=build([0, -1])).save_to_disk(str(tmp_path / "some"))
    with pytest.raises(ConfigError, match=r"train: label: 1 images have no class, the first of them in row \d+ \(-1\)"):
        source("huggingface", name=str(tmp_path / "some")).items()
    datasets.DatasetDict(train=build([0]), val=build([0]), validation=build([1])).save_to_disk(str(tmp_path / "two"))
    with pytest.raises(ConfigError, match="two of its splits train, val, validation stand for one part"):
        source("huggingface", name=str(tmp_path / "two")).items()


def test_nothing_is_fetched_unless_it_is_asked_for(monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    offline = []

    def load(*_, **__):
        offline.append(datasets.config.HF_HUB_OFFLINE)
        raise ConnectionError("no network")

    monkeypatch.setattr(datasets, "load_dataset", load)
    before = datasets.config.HF_HUB_OFFLINE
    for name in ("beans", str(tmp_path)):
        for download in (False, True):
            with pytest.raises(ConfigError, match="can't be loaded: no network"):
                source("huggingface", name=name, download=download).items()
    assert offline == [True, before, True, before]
    assert before == datasets.config.HF_HUB_OFFLINE
