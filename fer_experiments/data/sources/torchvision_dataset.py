"""data=torchvision: any classification data set of torchvision.datasets."""

import difflib
import inspect
import json
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from fer_experiments.data.sources.base import Part, file_state
from fer_experiments.data.sources.folder import PART_NAMES
from fer_experiments.data.sources.rows import RowSource, parse_row_path
from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import UserPath

if TYPE_CHECKING:
    import pandas as pd
    from torchvision.datasets import VisionDataset

LABEL_ATTRIBUTES = ("targets", "labels", "_labels")  # of data sets that know all labels
SAMPLE_ATTRIBUTES = ("samples", "_samples")  # of pairs (file, label)


class TorchvisionDataset(RowSource):
    """A class of torchvision.datasets, whose images have one label each.

    Classes with the argument `train` give the parts train and test, those with `split` the splits that are named like
    parts; all images of other classes are of train.

    Attributes:
        name: of the class, such as CIFAR10.
        root: the folder in which it keeps its files.
        arguments: more of its arguments, such as {split: letters} for EMNIST.
        download: whether it gets files that are missing.
    """

    name: str
    root: UserPath
    arguments: dict[str, Any]
    download: bool

    def list_labels(self) -> dict[Part, list[str]]:
        titles: dict[Part, list[str]] = {}
        for part, dataset in self._datasets().items():
            labels, names = _list_labels(dataset), _list_names(dataset)
            unlike = next((label for label in labels if not isinstance(label, int | str)), None)
            if unlike is not None:
                raise ConfigError(
                    f"data.name={self.name}: gives {type(unlike).__name__} with an image instead of one class; choose "
                    "a data set for classification"
                )
            if any(isinstance(label, int) and label < 0 for label in labels):
                raise ConfigError(
                    f"data.name={self.name}: some images of {part} have no class; choose others with data.arguments"
                )
            titles[part] = [
                names[label] if isinstance(label, int) and label < len(names) else str(label) for label in labels
            ]
        return titles

    def open_row(self, part: Part, row: int) -> Image.Image:
        image = self._datasets()[part][row][0]
        if not isinstance(image, Image.Image):
            raise ValueError(f"{self.name} gives {type(image).__name__} instead of a PIL image")
        return image

    def state(self, items: "pd.DataFrame") -> list[str]:
        # The files of most sets are published and do not change; which of them a set reads is not known here.
        name = f"{self.name} {json.dumps(self.arguments, sort_keys=True)} {self.root.resolve()}"
        datasets = self._datasets()
        return [f"{name}{_file_of_row(datasets[part], row)}" for part, row in map(parse_row_path, items["path"])]

    def _datasets(self) -> "dict[Part, VisionDataset]":
        return _open_parts(self.name, self.root, json.dumps(self.arguments), self.download)


def _file_of_row(dataset: "VisionDataset", row: int) -> str:
    """Return the file of a row and its state if the set is a folder of the user's, else ""."""
    from torchvision.datasets import DatasetFolder

    if not isinstance(dataset, DatasetFolder):
        return ""
    file = Path(dataset.samples[row][0])
    return f" {file} {file_state(file)}"


@lru_cache(maxsize=1)  # beside the source, which is sent to other processes
def _open_parts(name: str, root: Path, arguments: str, download: bool) -> "dict[Part, VisionDataset]":
    """Return {part: data set}. arguments: as JSON. Raises ConfigError if the class or its files can't be used."""
    dataset_class = _find_class(name)
    fixed = json.loads(arguments)
    known = _list_arguments(dataset_class)
    if unknown := sorted(set(fixed) - known):
        raise ConfigError(f"data.arguments: {name} has no {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    if download and "download" in known:
        fixed |= {"download": True}
    if "train" in known and "train" not in fixed:
        return {
            "train": _open(dataset_class, root, fixed | {"train": True}),
            "test": _open(dataset_class, root, fixed | {"train": False}),
        }
    if "split" in known and "split" not in fixed:
        datasets: dict[Part, VisionDataset] = {}
        for split, part in PART_NAMES.items():
            if part not in datasets and (dataset := _open_split(dataset_class, root, fixed, split)) is not None:
                datasets[part] = dataset
        if "train" not in datasets:
            present = f", but {', '.join(datasets)}" if datasets else ""
            raise ConfigError(f"data.name={name}: has no split train{present}; give data.arguments={{split: NAME}}")
        return datasets
    return {"train": _open(dataset_class, root, fixed)}


def _find_class(name: str) -> "type[VisionDataset]":
    from torchvision import datasets

    dataset_class = getattr(datasets, name, None)
    if (
        inspect.isclass(dataset_class)
        and issubclass(dataset_class, datasets.VisionDataset)
        and dataset_class is not datasets.VisionDataset
    ):
        return dataset_class
    close = difflib.get_close_matches(name, datasets.__all__, n=1, cutoff=0.5)
    suggestion = f"; did you mean {close[0]}?" if close else ""
    raise ConfigError(f"data.name={name}: is no class of torchvision.datasets{suggestion}")


def _list_arguments(dataset_class: type) -> set[str]:
    """Return the arguments of a class and of those that it builds on, which get what it does not name itself."""
    initializers = [vars(each)["__init__"] for each in dataset_class.__mro__ if "__init__" in vars(each)]
    return {name for each in initializers for name in inspect.signature(each).parameters} - {"self", "args", "kwargs"}


def _open_split(
    dataset_class: "type[VisionDataset]", root: Path, arguments: dict[str, Any], split: str
) -> "VisionDataset | None":
    """Return a split; None if the data set has none of this name."""
    try:
        return dataset_class(root=str(root), split=split, **arguments)
    except ValueError:  # torchvision's own check of the name
        return None
    except Exception:
        return _open(dataset_class, root, arguments | {"split": split})  # says what is wrong


def _open(dataset_class: "type[VisionDataset]", root: Path, arguments: dict[str, Any]) -> "VisionDataset":
    try:
        return dataset_class(root=str(root), **arguments)
    except Exception as error:  # missing files, wrong arguments and the network raise anything
        remedy = "" if arguments.get("download") else "; data.download=true gets missing files"
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(f"data.root={root}: {dataset_class.__name__} can't be opened: {message}{remedy}") from error


def _list_labels(dataset: "VisionDataset") -> list[Any]:
    """Return the label of each image, as a number or a name."""
    for attribute in LABEL_ATTRIBUTES:
        if (labels := getattr(dataset, attribute, None)) is not None:
            return list(labels.tolist() if hasattr(labels, "tolist") else labels)
    for attribute in SAMPLE_ATTRIBUTES:
        if (samples := getattr(dataset, attribute, None)) is not None:
            return [sample[1] for sample in samples]
    return [dataset[row][1] for row in range(len(dataset))]  # decodes every image


def _list_names(dataset: "VisionDataset") -> list[str]:
    """Return the names of the classes by their numbers.

    Of several names for a class, as ImageNet's, the first counts, or all of them where two classes have the same first.
    """
    several = [name if isinstance(name, tuple) else (str(name),) for name in getattr(dataset, "classes", None) or ()]
    counts = Counter(names[0] for names in several)
    joined = [names[0] if counts[names[0]] == 1 else ", ".join(names) for names in several]
    return [name.replace("/", "-") for name in joined]
