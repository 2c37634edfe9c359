"""data=huggingface: a data set of images of the library `datasets`, from a folder or from huggingface.co."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fer_experiments.data.decode import FORMATS
from fer_experiments.data.sources.base import Part, file_state
from fer_experiments.data.sources.folder import PART_NAMES
from fer_experiments.data.sources.group_column import GroupColumnSource
from fer_experiments.data.sources.rows import RowSource, has_class, name_labels, parse_row_path
from fer_experiments.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd
    from datasets import Dataset

log = logging.getLogger(__name__)
LABEL_COLUMNS = ("label", "labels", "class", "target")


class HuggingFace(RowSource, GroupColumnSource):
    """A data set with a column of images and one of classes; its splits that are named like parts are the parts.

    Attributes:
        name: on huggingface.co, or the path of a folder that `save_to_disk` wrote or that `load_dataset` reads.
        config: which configuration of it; None: the only one.
        revision: which version of it; None: the newest.
        image_column: the column of images; None: the only one that the data set says has images.
        label_column: the column of classes; None: the only one that the data set says has classes, else one called
            label, labels, class or target.
        download: whether it may be fetched from huggingface.co; otherwise it is a folder or in the library's cache.
    """

    name: str
    config: str | None
    revision: str | None
    image_column: str | None
    label_column: str | None
    download: bool

    def read_groups(self, paths: Sequence[str]) -> list[object]:
        rows = [parse_row_path(path) for path in paths]
        datasets = {part: self._parts()[part] for part in {part for part, _ in rows}}
        columns = {part: list(dataset[self._find_group_column(dataset)]) for part, dataset in datasets.items()}
        return [columns[part][row] for part, row in rows]

    def list_labels(self) -> dict[Part, list[str]]:
        names: dict[Part, list[str]] = {}
        for part, dataset in self._parts().items():
            column = self._find_label_column(dataset)
            feature = dataset.features[column]
            values = list(dataset[column])
            if part != "train" and not any(map(has_class, values)):
                log.info("data.name=%s: the images of its part %s have no class and are left out", self.name, part)
                continue
            labels = name_labels(f"data.name={self.name}: {part}: {column}", values)
            if hasattr(feature, "int2str"):
                labels = [str(feature.int2str(value)) for value in values]
            self._check_images(dataset)
            names[part] = [label.replace("/", "-") for label in labels]
        return names

    def open_row(self, part: Part, row: int) -> Image.Image:
        dataset = self._parts()[part]
        image = dataset[row][self._find_image_column(dataset)]
        content = image.get("bytes") if isinstance(image, dict) else image
        if isinstance(content, bytes):
            return Image.open(BytesIO(content), formats=FORMATS)
        if not isinstance(image, Image.Image):
            raise ValueError(f"{type(image).__name__} instead of an image")
        return image

    def state(self, items: "pd.DataFrame") -> list[str]:
        states = {part: self._state_of_part(dataset) for part, dataset in self._parts().items()}
        return [states[part] for part in items["part"]]

    def _state_of_part(self, dataset: "Dataset") -> str:
        files = [Path(file["filename"]) for file in dataset.cache_files]
        return " ".join([self._find_image_column(dataset), *(f"{file} {file_state(file)}" for file in files)])

    def _parts(self) -> "dict[Part, Dataset]":
        return _load(self.name, self.config, self.revision, self.download)

    def _check_images(self, dataset: "Dataset") -> None:
        """Raise ConfigError if the column has neither images nor the bytes of image files."""
        column = self._find_image_column(dataset)
        feature = dataset.features[column]
        if _is_image(feature) or _has_bytes(feature):
            return
        kind = getattr(feature, "dtype", type(feature).__name__)
        raise ConfigError(
            f"data.image_column={column}: data.name={self.name} has {kind} there instead of images or the bytes of "
            "image files; cast it with datasets.Image(), or write paths to a CSV file for data=table"
        )

    def _find_image_column(self, dataset: "Dataset") -> str:
        images = [name for name, feature in dataset.features.items() if _is_image(feature)]
        images = images or [name for name, feature in dataset.features.items() if _has_bytes(feature)]
        return self._choose("image_column", self.image_column, dataset, images)

    def _find_label_column(self, dataset: "Dataset") -> str:
        labels = [name for name, feature in dataset.features.items() if type(feature).__name__ == "ClassLabel"]
        named = [name for name in LABEL_COLUMNS if name in dataset.features]
        return self._choose("label_column", self.label_column, dataset, labels if len(labels) == 1 else named[:1])

    def _find_group_column(self, dataset: "Dataset") -> str:
        return self._choose("group_column", self.group_column, dataset, [])

    def _choose(self, key: str, column: str | None, dataset: "Dataset", candidates: list[str]) -> str:
        """Return the column that the key names, else the only candidate. Raises ConfigError if there is no such one."""
        if column is None and len(candidates) == 1:
            return candidates[0]
        if column in dataset.features:
            return str(column)
        reason = "is needed" if column is None else "there is no such column"
        raise ConfigError(f"data.{key}={column}: {reason}; data.name={self.name} has {', '.join(dataset.features)}")


def _is_image(feature: Any) -> bool:
    return type(feature).__name__ == "Image"


def _has_bytes(feature: Any) -> bool:
    """Whether a column holds the bytes of files, or dictionaries that hold them as those of datasets.Image do."""
    content = feature.get("bytes") if isinstance(feature, dict) else feature
    return getattr(content, "dtype", None) in ("binary", "large_binary")


@lru_cache(maxsize=1)  # beside the source, which is sent to other processes
def _load(name: str, config: str | None, revision: str | None, download: bool) -> "dict[Part, Dataset]":
    """Return {part: data set}. Raises ConfigError if the library or the data set can't be used."""
    try:
        import datasets
    except ImportError:
        raise ConfigError("data=huggingface: needs datasets; run pip install 'fer-experiments[huggingface]'") from None
    folder = Path(name).expanduser()
    try:
        with nullcontext() if download else _offline(datasets):
            loaded = _load_any(datasets, folder, name, config, revision)
    except Exception as error:  # files, the network and the data set's own code raise anything
        remedy = "" if download or folder.is_dir() else "; data.download=true gets it from huggingface.co"
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"data.name={name}: can't be loaded: {message}{remedy}") from error
    splits = loaded if isinstance(loaded, dict) else {"train": loaded}
    known = [split for split in splits if split.lower() in PART_NAMES]
    parts: dict[Part, Dataset] = {PART_NAMES[split.lower()]: splits[split] for split in known}
    if len(parts) < len(known):
        raise ConfigError(f"data.name={name}: two of its splits {', '.join(known)} stand for one part")
    if not parts:
        raise ConfigError(f"data.name={name}: has the splits {', '.join(splits)}; known are {', '.join(PART_NAMES)}")
    return parts


def _load_any(datasets: Any, folder: Path, name: str, config: str | None, revision: str | None) -> Any:
    """Load what save_to_disk wrote, else what load_dataset reads, from a folder or by a name."""
    if any((folder / file).is_file() for file in ("dataset_dict.json", "dataset_info.json")):
        return datasets.load_from_disk(str(folder))
    return datasets.load_dataset(str(folder) if folder.is_dir() else name, config, revision=revision)


@contextmanager
def _offline(datasets: Any) -> Iterator[None]:
    """Let the library use files of this machine alone, also where a data set names files elsewhere."""
    import huggingface_hub

    places: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    for place in places:
        place.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value
