"""data=folder: folders of images."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

from PIL import Image

from fer_experiments.data.decode import open_image
from fer_experiments.data.dicom import check_pydicom
from fer_experiments.data.sources.base import DataSource, file_state
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import UserPath

if TYPE_CHECKING:
    import pandas as pd

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".dcm"}
PART_NAMES = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "test": "test",
    "testing": "test",
}


class Folder(DataSource):
    """Images in root/CLASS or root/{train,valid,test}/CLASS, at any depth."""

    root: UserPath
    part_names: ClassVar[dict[str, str]] = PART_NAMES

    def items(self) -> "pd.DataFrame":
        import pandas as pd

        import fer_experiments.pandas_strings  # noqa: F401 - before any table of names

        root = self._directory()
        parts = self._part_folders(root)
        if parts:
            rows = [row for name, part in sorted(parts.items()) for row in self._part_items(root, root / name, part)]
        else:
            rows = self._part_items(root, root, "train")
        if not rows:
            allowed = ", ".join(sorted(EXTENSIONS))
            raise ConfigError(f"data.root={root}: no images in root/CLASS/ (looked for {allowed})")
        check_pydicom([path for path, _, _ in rows], f"data.root={root}")
        return pd.DataFrame(rows, columns=["path", "label", "part"])

    def open(self, path: str) -> Image.Image:
        return open_image(Path(self._directory(), path))

    def state(self, items: "pd.DataFrame") -> list[str]:
        root = self._directory().resolve()  # different files may have equal relative paths, sizes and times
        return [f"{root} {file_state(root / path)}" for path in items["path"]]

    def _directory(self) -> Path:
        """Return the root. Raises ConfigError if it is not a folder."""
        if not self.root.exists():
            raise ConfigError(f"data.root={self.root}: does not exist (looked in {Path.cwd()})")
        if not self.root.is_dir():
            raise ConfigError(f"data.root={self.root}: is a file; give the folder that holds a folder for each class")
        return self.root

    def _part_folders(self, root: Path) -> dict[str, str]:
        """Return {name of a folder in `root`: part}; empty if `root` holds classes instead of parts.

        Raises ConfigError if it holds both, or two folders for one part.
        """
        folders = _list_folders(root)
        # A part contains folders of classes; a folder of images called train may be the class of railway trains.
        parts = {
            name: self.part_names[name.lower()]
            for name in folders
            if name.lower() in self.part_names and _list_folders(root / name)
        }
        if parts and len(parts) < len(folders):
            rest = ", ".join(sorted(set(folders) - set(parts)))
            raise ConfigError(
                f"data.root={root}: has the parts {', '.join(sorted(parts))} and beside them {rest}; "
                "give a folder of classes, or a folder of train, valid and test"
            )
        twice = [part for part in set(parts.values()) if list(parts.values()).count(part) > 1]
        if twice:
            raise ConfigError(f"data.root={root}: two folders stand for the part {twice[0]}: {sorted(parts)}")
        return parts

    def _part_items(self, root: Path, folder: Path, part: str) -> list[tuple[str, str, str]]:
        """Return (path relative to root, label, part) of each image of a folder of classes.

        Raises ConfigError if a class that is needed has no images.
        """
        rows = []
        needed = self.classes or self.counts
        for label in _list_folders(folder):
            try:
                files = list_images(folder / label)
            except OSError as error:
                _refuse_unreadable(error)
            if not files and (needed is None or self.class_of(label) in needed):
                raise ConfigError(
                    f"data.root: the class {label} in {folder} has no images; remove the folder, or name "
                    "the classes to use with data.classes=[...]"
                )
            rows += [(file.relative_to(root).as_posix(), label, part) for file in files]
        return rows


def _list_folders(folder: Path) -> list[str]:
    """Return the names of the folders in `folder`, but for hidden ones such as .ipynb_checkpoints, sorted."""
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        _refuse_unreadable(error)
    return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _refuse_unreadable(error: OSError) -> NoReturn:
    raise ConfigError(f"data.root: the folder {error.filename} can't be read: {error.strerror}") from None


def list_images(folder: Path) -> list[Path]:
    """Return the image files in `folder` at any depth, without hidden ones and hidden folders, sorted.

    Raises OSError if a folder can't be read.
    """

    def refuse(error: OSError) -> NoReturn:
        raise error

    paths = []
    for directory, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths += [
            Path(directory, name)
            for name in sorted(files)
            if not name.startswith(".") and Path(name).suffix.lower() in EXTENSIONS
        ]
    return paths
