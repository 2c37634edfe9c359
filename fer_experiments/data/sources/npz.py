"""data=npz, data=medmnist: images and labels in a NumPy archive."""

import zlib
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Literal
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from fer_experiments.data.sources.base import Part, file_state
from fer_experiments.data.sources.rows import RowSource, name_labels
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import UserPath

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS: tuple[dict[Part, tuple[str, str]], ...] = (  # {part: names of the arrays of images and labels}
    {
        "train": ("train_images", "train_labels"),
        "valid": ("val_images", "val_labels"),
        "test": ("test_images", "test_labels"),
    },
    {"train": ("x_train", "y_train"), "valid": ("x_val", "y_val"), "test": ("x_test", "y_test")},
    {"train": ("images", "labels")},
)
CHANNELS = (1, 3, 4)
UNREADABLE = (OSError, ValueError, BadZipFile, zlib.error)  # ValueError for pickled objects


class Npz(RowSource):
    """A file of arrays: images (N, H, W) or (N, H, W, C) uint8, labels (N,) or (N, 1) of numbers or names.

    The arrays of each part are named train_images, train_labels, val_... and test_..., as MedMNIST does, or x_train,
    y_train, x_test and so on, as Keras does, or images and labels. Classes are called as their labels; data.rename
    gives them names.

    file: the archive, as numpy.savez writes it.
    """

    file: UserPath

    def list_labels(self) -> dict[Part, list[str]]:
        parts = _load_labels(self._file, file_state(self._file))
        names = self._name_classes({label for _, labels in parts.values() for label in labels})
        return {part: [names[label] for label in labels] for part, (_, labels) in parts.items()}

    def open_row(self, part: Part, row: int) -> Image.Image:
        state = file_state(self._file)
        images, _ = _load_labels(self._file, state)[part]
        pixels = _load_images(self._file, state, images)[row]
        return Image.fromarray(pixels.squeeze(-1) if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)

    def state(self, items: "pd.DataFrame") -> list[str]:
        return [f"{self._file.resolve()} {file_state(self._file)}"] * len(items)

    @property
    def _file(self) -> Path:
        return self.file

    def _name_classes(self, labels: set[str]) -> dict[str, str]:
        """Return {label: name of the class}."""
        return {label: label for label in labels}


@lru_cache(maxsize=1)
def _load_labels(file: Path, state: str) -> dict[Part, tuple[str, list[str]]]:
    """Return {part: the name of its array of images, and its labels}; no image is read.

    state: of the file, so that a changed one is loaded again. Raises ConfigError if the file has not the arrays that
    are needed.
    """
    key = f"data.file={file}"
    try:
        with _open_archive(file) as archive:
            names = list(archive)
            layout = next((layout for layout in LAYOUTS if set(layout["train"]) <= set(names)), None)
            if layout is None:
                raise ConfigError(
                    f"{key}: has the arrays {', '.join(names)}; it needs images and labels, or train_images, "
                    "train_labels, val_images, val_labels, test_images, test_labels"
                )
            known = {part: pair for part, pair in layout.items() if set(pair) <= set(names)}
            labels = {part: archive[pair[1]] for part, pair in known.items()}
            for part, (images, _) in known.items():
                _check_arrays(f"{key}: {part}", *_read_header(archive, images), labels[part])
    except ConfigError:
        raise
    except UNREADABLE as error:
        raise ConfigError(f"{key}: can't be read as an .npz file of numbers: {error}") from None
    return {part: (known[part][0], name_labels(f"{key}: {part}", labels[part].reshape(-1).tolist())) for part in known}


def _load_images(file: Path, state: str, name: str) -> np.ndarray:
    """Return the array of this name. Raises ValueError if it can't be read. state: as for `_load_labels`."""
    with _reading:  # images are opened by many threads, each of which would read the array
        return _read_array(file, state, name)


@lru_cache(maxsize=2)  # beside the source, which is sent to other processes; a batch of images may be of two parts
def _read_array(file: Path, state: str, name: str) -> np.ndarray:
    try:
        with _open_archive(file) as archive:
            return np.asarray(archive[name])
    except UNREADABLE as error:
        raise ValueError(f"{name} can't be read: {error}") from None


_reading = Lock()


def _open_archive(file: Path) -> np.lib.npyio.NpzFile:
    return np.lib.npyio.NpzFile(file.open("rb"), own_fid=True)


def _read_header(archive: np.lib.npyio.NpzFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Return shape and type of an array without reading it."""
    assert archive.zip is not None
    with archive.zip.open(f"{name}.npy") as array:
        version = np.lib.format.read_magic(array)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(array)
        return shape, dtype


def _check_arrays(where: str, shape: tuple[int, ...], dtype: np.dtype, labels: np.ndarray) -> None:
    """Raise ConfigError unless there is an image of a usable shape for each label. shape, dtype: of the images."""
    is_picture = len(shape) == 3 or (len(shape) == 4 and shape[-1] in CHANNELS)
    if not is_picture or dtype != np.uint8:
        raise ConfigError(
            f"{where}: images have the shape {shape} and the type {dtype}; needed are (N, H, W) or (N, H, W, C) uint8, "
            "C being 1, 3 or 4"
        )
    if labels.size != shape[0] or len(labels) != shape[0]:
        raise ConfigError(
            f"{where}: labels have the shape {labels.shape} for {shape[0]} images; each image needs one label"
        )


class MedMNIST(Npz):
    """A data set of MedMNIST (Yang et al. 2023) in its .npz file, with the classes' names from the package medmnist.

    Attributes:
        name: of the data set in lower case, such as pneumoniamnist.
        size: the side of its images in pixels.
        file: the archive; None: where the package keeps it, in ~/.medmnist.
        download: whether the package gets a file that is missing.
    """

    name: str
    size: Literal[28, 64, 128, 224]
    file: UserPath | None  # type: ignore[assignment]
    download: bool

    @property
    def _file(self) -> Path:
        suffix = "" if self.size == 28 else f"_{self.size}"
        file = self.file or Path.home() / ".medmnist" / f"{self.name}{suffix}.npz"
        if not file.is_file():
            if not self.download or self.file is not None:
                raise ConfigError(
                    f"data.name={self.name}: there is no file {file}; get it from medmnist.com and give "
                    "data.file=FILE, or data.download=true"
                )
            self._get(file.parent)
        return file

    def _name_classes(self, labels: set[str]) -> dict[str, str]:
        names = self._info()["label"]
        if unknown := sorted(labels - set(names)):
            raise ConfigError(f"data.file={self._file}: has the class {unknown[0]}, which {self.name} has not")
        return {label: str(names[label]).replace("/", "-") for label in labels}

    def _info(self) -> dict:
        """Return what the package says of the data set. Raises ConfigError if it has no such data set of images."""
        try:
            from medmnist import INFO
        except ImportError:
            raise ConfigError(
                "data=medmnist: needs medmnist; run pip install 'fer-experiments[medmnist]', or give the file as "
                "data=npz data.file=FILE, where classes are numbers"
            ) from None
        usable = [name for name, info in INFO.items() if "3d" not in name and "multi-label" not in info["task"]]
        if self.name not in usable:
            raise ConfigError(
                f"data.name={self.name}: is no data set of MedMNIST with flat images and one label each; these are "
                f"{', '.join(usable)}"
            )
        return dict(INFO[self.name])

    def _get(self, folder: Path) -> None:
        import medmnist

        folder.mkdir(parents=True, exist_ok=True)
        try:
            getattr(medmnist, self._info()["python_class"])("train", download=True, root=str(folder), size=self.size)
        except Exception as error:  # the network raises anything
            raise ConfigError(
                f"data.download=true: the download of {self.name} failed ({type(error).__name__}: {error}); try again, "
                "or get the file from medmnist.com and give data.file=FILE"
            ) from error
