"""The data sources that conf/data/ names: drawn faces, image folders, FER2013 and MMA."""

import hashlib
import inspect
import os
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn

import numpy as np
import pandas as pd
from PIL import Image
from pydantic import Field, model_validator

from fer_experiments.data import face_parameters, faces
from fer_experiments.data.decode import open_image
from fer_experiments.data.face_parameters import EXPRESSIONS
from fer_experiments.data.faces import draw_face
from fer_experiments.data.source import Source, file_state
from fer_experiments.errors import ConfigError
from fer_experiments.spec import UserPath

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}
PART_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
}


class Faces(Source):
    """Drawn faces, seven expressions; parts train and test. A face depends on faces_seed, class, part and number."""

    faces_seed: Annotated[int, Field(ge=0)]
    train_per_class: Annotated[int, Field(ge=1, le=100_000)]
    test_per_class: Annotated[int, Field(ge=1, le=100_000)]
    image_size: Annotated[int, Field(ge=16, le=256)]

    def items(self) -> pd.DataFrame:
        # Only the classes that are asked for are drawn.
        wanted = self.classes or sorted(self.counts or EXPRESSIONS)
        unknown = sorted(set(wanted) - set(EXPRESSIONS))
        if unknown:
            key = "classes" if self.classes else "counts"
            raise ConfigError(f"data.{key}: no class {', '.join(unknown)}; the data has {', '.join(EXPRESSIONS)}")
        rows = [
            (f"{part}/{label}/{number:05d}", label, part)
            for part, count in (("train", self.train_per_class), ("test", self.test_per_class))
            for label in EXPRESSIONS
            if label in wanted
            for number in range(count)
        ]
        return pd.DataFrame(rows, columns=["path", "label", "part"])

    def open(self, path: str) -> Image.Image:
        part, label, number = path.split("/")
        return Image.fromarray(
            draw_face(label, seed=self.faces_seed, part=part, index=int(number), size=self.image_size)
        )

    def state(self, items: pd.DataFrame) -> list[str]:
        return [f"{self.faces_seed} {self._drawing}"] * len(items)

    @cached_property
    def _drawing(self) -> str:
        """Digest of the code that draws: the faces are drawn anew when it changes."""
        code = inspect.getsource(faces) + inspect.getsource(face_parameters)
        return hashlib.sha256(code.encode()).hexdigest()


class Folder(Source):
    """`root/CLASS/*.jpg` or `root/{train,valid,test}/CLASS/*.jpg`; classes may have folders inside."""

    root: UserPath
    part_names: ClassVar[dict[str, str]] = PART_NAMES

    def items(self) -> pd.DataFrame:
        root = self._directory()
        found = _folders(root)
        # A part holds folders of classes; a folder of images that is called train may be the class of railway trains.
        parts = {
            name: self.part_names[name.lower()]
            for name in found
            if name.lower() in self.part_names and _folders(root / name)
        }
        if not parts:
            rows = self._part_items(root, root, "train")
        elif len(parts) < len(found):
            others = ", ".join(sorted(set(found) - set(parts)))
            raise ConfigError(
                f"data.root={root}: has the parts {', '.join(sorted(parts))} and beside them {others}; "
                "give a folder of classes, or a folder of train, valid and test"
            )
        else:
            twice = [p for p in set(parts.values()) if list(parts.values()).count(p) > 1]
            if twice:
                raise ConfigError(f"data.root={root}: two folders stand for the part {twice[0]}: {sorted(parts)}")
            rows = [row for name, part in sorted(parts.items()) for row in self._part_items(root, root / name, part)]
        if not rows:
            allowed = ", ".join(sorted(EXTENSIONS))
            raise ConfigError(f"data.root={root}: no images found under root/CLASS/ (looked for {allowed})")
        return pd.DataFrame(rows, columns=["path", "label", "part"])

    def open(self, path: str) -> Image.Image:
        return open_image(Path(self._directory(), path))

    def state(self, items: pd.DataFrame) -> list[str]:
        root = self._directory().resolve()  # named, because unlike files may agree in path, size and time
        return [f"{root} {file_state(root / path)}" for path in items["path"]]

    def _directory(self) -> Path:
        if not self.root.exists():
            raise ConfigError(f"data.root={self.root}: does not exist (looked in {Path.cwd()})")
        if not self.root.is_dir():
            raise ConfigError(f"data.root={self.root}: is a file; give the folder that holds a folder for each class")
        return self.root

    def _part_items(self, root: Path, folder: Path, part: str) -> list[tuple[str, str, str]]:
        rows = []
        wanted = self.classes or self.counts
        for label in _folders(folder):
            try:
                files = images_in(folder / label)
            except OSError as error:
                _cant_list(error)
            if not files and (wanted is None or label in wanted):
                raise ConfigError(
                    f"data.root: the class {label} in {folder} has no images; remove the folder or name "
                    "the classes that you want with data.classes=[...]"
                )
            rows += [(file.relative_to(root).as_posix(), label, part) for file in files]
        return rows


class MMA(Folder):
    """The MMAFEDB layout, downloaded with kagglehub if the user asks."""

    root: UserPath | None  # type: ignore[assignment]
    download: bool

    @model_validator(mode="after")
    def _root_or_download(self) -> "MMA":
        if self.root is None and not self.download:
            raise ValueError("root=null: give data.root=PATH/MMAFEDB, or data.download=true to get it from Kaggle")
        return self

    @cached_property
    def _downloaded(self) -> Path:
        try:
            import kagglehub
        except ImportError:
            raise ConfigError("data.download=true: needs kagglehub; run pip install 'fer-experiments[mma]'") from None
        try:
            return Path(kagglehub.dataset_download("mahmoudima/mma-facial-expression"))
        except Exception as error:  # the network, Kaggle and its login raise what they like
            raise ConfigError(
                f"data.download=true: Kaggle gave nothing ({type(error).__name__}: {error}); try again, or download "
                "the data set yourself and give data.root=PATH/MMAFEDB"
            ) from error

    def _directory(self) -> Path:
        root = super()._directory() if self.root is not None else self._downloaded
        inner = root / "MMAFEDB"  # the archive's own top folder
        return inner if inner.is_dir() else root


class FER2013(Folder):
    """FER2013 (Goodfellow et al. 2013): the Kaggle CSV, a folder that holds it, or folders of images.

    The CSV's official parts stay apart: Training is train, PublicTest is valid, PrivateTest is test.
    """

    part_names: ClassVar[dict[str, str]] = PART_NAMES | {"publictest": "valid", "privatetest": "test"}
    usages: ClassVar[dict[str, str]] = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
    emotions: ClassVar[tuple[str, ...]] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
    csv_names: ClassVar[tuple[str, ...]] = ("fer2013.csv", "icml_face_data.csv")

    def items(self) -> pd.DataFrame:
        if self._csv is None:
            return super().items()
        table = self._table
        emotion = pd.to_numeric(table["emotion"], errors="coerce")
        usage = table["Usage"].astype(str).str.strip()
        bad = ~emotion.isin(range(7)) | ~usage.isin(self.usages)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ConfigError(
                f"data.root={self._csv}: row {row + 2} has emotion {table['emotion'][row]!r} and Usage "
                f"{table['Usage'][row]!r}; allowed are 0 to 6 and {', '.join(self.usages)}"
            )
        return pd.DataFrame(
            {
                "path": [f"row/{number:05d}" for number in range(len(table))],
                "label": [self.emotions[int(number)] for number in emotion],
                "part": usage.map(self.usages),
            }
        )

    def open(self, path: str) -> Image.Image:
        if self._csv is None:
            return super().open(path)
        text = str(self._table["pixels"][int(path.removeprefix("row/"))])
        try:
            pixels = np.array(text.split(), dtype=np.int64)
        except (ValueError, OverflowError):
            raise ValueError("pixels are not whole numbers") from None
        if pixels.size != 48 * 48:
            raise ValueError(f"{pixels.size} pixels instead of 48 x 48 = 2304")
        if pixels.min() < 0 or pixels.max() > 255:
            raise ValueError("pixels outside 0 to 255")
        return Image.fromarray(pixels.astype(np.uint8).reshape(48, 48))

    def state(self, items: pd.DataFrame) -> list[str]:
        if self._csv is None:
            return super().state(items)
        return [f"{self._csv.resolve()} {file_state(self._csv)}"] * len(items)

    @cached_property
    def _csv(self) -> Path | None:
        if self.root.is_file():
            return self.root
        return next((self.root / name for name in self.csv_names if (self.root / name).is_file()), None)

    @cached_property
    def _table(self) -> pd.DataFrame:
        assert self._csv is not None
        try:
            # index_col=False: a comma at the end of every row does not make emotion the index.
            table = pd.read_csv(self._csv, dtype=str, keep_default_na=False, index_col=False)
            table = table.rename(columns=str.strip)
        except (OSError, ValueError) as error:  # pandas' parser errors are ValueErrors
            raise ConfigError(f"data.root={self._csv}: can't be read as CSV: {error}") from None
        missing = {"emotion", "pixels", "Usage"} - set(table.columns)
        if missing:
            raise ConfigError(
                f"data.root={self._csv}: lacks the column {', '.join(sorted(missing))}; it has "
                f"{', '.join(map(str, table.columns[:6]))}; the Kaggle file has emotion, pixels, Usage"
            )
        if table.empty:
            raise ConfigError(f"data.root={self._csv}: has no rows")
        return table


def _folders(folder: Path) -> list[str]:
    """Names of the visible folders in `folder`; .ipynb_checkpoints and their like are no classes."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        _cant_list(error)
    return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _cant_list(error: OSError) -> NoReturn:
    raise ConfigError(f"data.root: the folder {error.filename} can't be read: {error.strerror}") from None


def images_in(folder: Path) -> list[Path]:
    """Image files under `folder` at any depth, hidden ones and hidden folders left out, sorted. Raises OSError."""

    def refuse(error: OSError) -> NoReturn:
        raise error

    found = []
    for directory, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [
            Path(directory, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
        ]
    return found
