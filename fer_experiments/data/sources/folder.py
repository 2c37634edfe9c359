"""data=folder: folders of images."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn

from PIL import Image

from fer_experiments.data.decode import open_image
from fer_experiments.data.dicom import check_pydicom
from fer_experiments.data.sources.base import PARTS, DataSource, Part, file_state
from fer_experiments.data.warn_once import warn_once
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import UserPath

if TYPE_CHECKING:
    import pandas as pd

EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".dcm"}
SYSTEM_FILES = {"thumbs.db", "desktop.ini"}  # which Windows puts into folders of images
MAX_NAMED = 5  # folders in a message
PART_NAMES: dict[str, Part] = {
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
    part_names: ClassVar[dict[str, Part]] = PART_NAMES

    def items(self) -> "pd.DataFrame":
        import pandas as pd

        import fer_experiments.pandas_strings  # noqa: F401 - before any table of names

        root = self._directory()
        parts = self._part_folders(root)
        if not parts:
            _warn_about_unnamed_parts(root)
        rows: list[tuple[str, str, str]] = []
        skipped: Counter[str] = Counter()
        for name, part in sorted(parts.items()) or [(".", "train")]:
            part_rows, part_skipped = self._part_items(root, root / name, part)
            rows += part_rows
            skipped += part_skipped
        warn_about_skipped(f"data.root={root}", skipped)
        if not rows:
            allowed = ", ".join(sorted(EXTENSIONS))
            hint = self.suggest_root() or _suggest_level_above(root)
            raise ConfigError(f"data.root={root}: no images in root/CLASS/ (looked for {allowed}){hint}")
        check_pydicom([path for path, _, _ in rows], f"data.root={root}")
        return pd.DataFrame(rows, columns=["path", "label", "part"])

    def open(self, path: str) -> Image.Image:
        return open_image(Path(self._directory(), path))

    def suggest_root(self) -> str:
        root = self._directory()
        folders = _list_folders(root)
        inner = _list_folders(root / folders[0]) if len(folders) == 1 else []
        if len(inner) < 2:
            return ""
        return f"; did you mean data.root={root / folders[0]}, where {_name_first(inner)} lie?"

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

    def _part_folders(self, root: Path) -> dict[str, Part]:
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
                "give a folder of classes, or a folder of train, valid and test, which may also be called "
                f"{', '.join(name for name in self.part_names if name not in PARTS)}"
            )
        twice = [part for part in set(parts.values()) if list(parts.values()).count(part) > 1]
        if twice:
            names = sorted(name for name, part in parts.items() if part == twice[0])
            raise ConfigError(f"data.root={root}: two folders stand for the part {twice[0]}: {', '.join(names)}")
        return parts

    def _part_items(self, root: Path, folder: Path, part: str) -> "tuple[list[tuple[str, str, str]], Counter[str]]":
        """Return (path relative to root, label, part) of each image of a folder of classes, and {type: other files}.

        Raises ConfigError if a class that is needed has no images.
        """
        rows = []
        needed = self.classes or self.counts
        skipped: Counter[str] = Counter()
        for label in _list_folders(folder):
            try:
                files = list_files(folder / label)
            except OSError as error:
                _refuse_unreadable(error)
            images = [file for file in files if is_image(file)]
            types = count_other_types(files)
            if not images and (needed is None or self.class_of(label) in needed):
                raise ConfigError(
                    f"data.root: the class {label} in {folder} has no images"
                    + (f" of a type that is read, but {_describe_types(types)}; convert them" if types else "")
                    + "; remove the folder, or name the classes to use with data.classes=[...]"
                )
            skipped += types
            rows += [(file.relative_to(root).as_posix(), label, part) for file in images]
        warn_about_loose_images("data.root", folder)
        return rows, skipped


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
    return [file for file in list_files(folder) if is_image(file)]


def list_files(folder: Path) -> list[Path]:
    """Return all files in `folder` as `list_images` does, but for SYSTEM_FILES.

    A link to a folder inside `folder` could lead round in a circle, and is named in a warning instead of followed.
    """

    def refuse(error: OSError) -> NoReturn:
        raise error

    paths = []
    for directory, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        links = [name for name in folders if Path(directory, name).is_symlink()]
        if links:
            warn_once(
                f"{directory}: {_name_first(links)} is a link to a folder, whose images are not read; copy it there"
            )
        paths += [
            Path(directory, name)
            for name in sorted(files)
            if not name.startswith(".") and name.lower() not in SYSTEM_FILES
        ]
    return paths


def is_image(file: Path) -> bool:
    """Whether a file is called like an image."""
    return file.suffix.lower() in EXTENSIONS


def count_other_types(files: Sequence[Path]) -> "Counter[str]":
    """Return {type: how many of the files are of it}, without those that are called like images."""
    return Counter(file.suffix.lower() or "without a suffix" for file in files if not is_image(file))


def _list_loose_images(folder: Path) -> list[str]:
    """Return the names of the images in `folder` itself."""
    return [name for name in sorted(os.listdir(folder)) if not name.startswith(".") and is_image(Path(name))]


def warn_about_skipped(where: str, types: "Counter[str]") -> None:
    """Warn about files of types that are not read. where: the key and the folder, for the message."""
    if types:
        count = f"{types.total()} files were skipped" if types.total() > 1 else "1 file was skipped"
        read = ", ".join(sorted(EXTENSIONS))
        warn_once(f"{where}: {count}: {_describe_types(types)}; read are {read}")


def warn_about_loose_images(key: str, folder: Path) -> None:
    """Warn about images beside the folders of classes. key: of the configuration, for the message."""
    loose = _list_loose_images(folder)
    if loose and _list_folders(folder):
        warn_once(
            f"{key}: {len(loose)} images lie in {folder} beside the folders of classes, such as {loose[0]}; they "
            "are of no class and not used; move each into the folder of its class"
        )


def _describe_types(types: "Counter[str]") -> str:
    """Return "10 .heic, 2 .mp4"."""
    return ", ".join(
        f"{count} {suffix}" for suffix, count in sorted(types.items(), key=lambda item: (-item[1], item[0]))
    )


def _warn_about_unnamed_parts(root: Path) -> None:
    """Warn if all folders of `root` hold folders of the same names and no images, as parts of unknown names do."""
    folders = _list_folders(root)
    inner = [tuple(_list_folders(root / name)) for name in folders]
    if len(folders) < 2 or len(set(inner)) > 1 or len(inner[0]) < 2:
        return
    if any(_list_loose_images(root / name) for name in folders):
        return
    warn_once(
        f"data.root={root}: {_name_first(folders)} are taken for the classes, but each holds {_name_first(inner[0])}; "
        f"if those are the classes, rename {_name_first(folders)} to train, valid and test, or give one of them, as "
        f"data.root={root / folders[0]}"
    )


def _suggest_level_above(root: Path) -> str:
    """Return what the user may have meant with a folder of images instead of one of classes, as part of an error."""
    if not _list_loose_images(root):
        return ""
    parent = root.resolve().parent
    classes = [name for name in _list_folders(parent) if _list_loose_images(parent / name)]
    if len(classes) < 2:
        return "; it has images but no class folders; put them into one folder for each class"
    return f"; it has images but no class folders; did you mean data.root={parent}, where {_name_first(classes)} lie?"


def _name_first(names: Sequence[str]) -> str:
    more = [f"and {len(names) - MAX_NAMED} more"] if len(names) > MAX_NAMED else []
    return ", ".join([*names[:MAX_NAMED], *more])
