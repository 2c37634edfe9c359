"""Compare the folders of two runs to the bit, except for times, durations, processes and versions."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

EVENTS = "events.out.tfevents"
KEYS_NOT_COMPARED = {"seconds", "started", "pid", "versions", "work", "overhead", "files"}  # event files have a time
SUFFIXES_NOT_COMPARED = (".log", ".lock", ".html")  # derived from the other files, or with durations


def curves(folder: Path) -> list[tuple[str, int, bytes]]:
    """Return (tag, step, value) of every value in the TensorBoard files of a folder, in their order."""
    points = []
    for file in sorted(folder.glob(f"{EVENTS}.*"), key=lambda path: path.stat().st_mtime_ns):
        for event in LegacyEventFileLoader(str(file)).Load():
            # Tags that begin with _hparams_/ hold the times at which a training began and ended.
            values = [value for value in event.summary.value if not value.tag.startswith("_hparams_/")]
            points += [(value.tag, event.step, value.SerializeToString()) for value in values]
    return points


def content(path: Path, run: Path) -> Any:
    """Return the part of a file that must be the same in both runs. run: the folder of its run."""
    if path.suffix == ".ckpt":
        saved = torch.load(path, weights_only=True)
        return {name: saved.get(name) for name in ("state_dict", "optimizer_states", "lr_schedulers", "epoch")}
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {name: torch.from_numpy(arrays[name]) if arrays[name].dtype.kind in "fi" else arrays[name].tolist()
                    for name in arrays}  # fmt: skip
    if path.suffix == ".csv":
        table = pd.read_csv(path, dtype=str, keep_default_na=False)
        return table.drop(columns="seconds", errors="ignore").to_csv().replace(str(run), "RUN")
    if path.suffix == ".json":
        return _without_times(json.loads(path.read_text().replace(str(run), "RUN")))
    if path.suffix in (".md", ".yaml"):
        return path.read_text().replace(str(run), "RUN")
    return path.read_bytes()


def _without_times(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_times(value) for key, value in node.items() if key not in KEYS_NOT_COMPARED}
    return [_without_times(item) for item in node] if isinstance(node, list) else node


def is_same(a: Any, b: Any) -> bool:
    """Return whether two nested containers are equal, with tensors to the bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(is_same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(is_same, a, b))
    return bool(a == b)


def compared_files(run: Path) -> set[Path]:
    """Return the paths, relative to the folder, of the files to compare."""
    paths = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return {path for path in paths if not path.name.startswith(EVENTS) and path.suffix not in SUFFIXES_NOT_COMPARED}


def assert_same(first: Path, second: Path) -> None:
    """Assert that two folders hold the same run."""
    assert compared_files(first) == compared_files(second)
    for path in sorted(compared_files(first)):
        assert is_same(content(first / path, first), content(second / path, second)), path
    for folder in {path.parent for path in first.rglob(f"{EVENTS}.*")}:
        assert curves(folder) == curves(second / folder.relative_to(first)), folder
