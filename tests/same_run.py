"""Whether two folders hold the same run to the bit, but for what says when, where and how long."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

EVENTS = "events.out.tfevents"
OF_TIME = {"seconds", "started", "pid", "versions", "work", "overhead"}
IN_PASSING = (".log", ".lock", ".html")  # said or drawn from the rest; a page says how long it took


def curves(folder: Path) -> list[tuple[str, int, bytes]]:
    """(tag, step, value) of all that TensorBoard's files of a folder hold, in their order."""
    found = []
    for file in sorted(folder.glob(f"{EVENTS}.*"), key=lambda path: path.stat().st_mtime_ns):
        for event in LegacyEventFileLoader(str(file)).Load():
            # What begins with _hparams_/ says when a training began and ended.
            values = [value for value in event.summary.value if not value.tag.startswith("_hparams_/")]
            found += [(value.tag, event.step, value.SerializeToString()) for value in values]
    return found


def content(path: Path, run: Path) -> Any:
    """What has to be the same of a file."""
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
        return _timeless(json.loads(path.read_text().replace(str(run), "RUN")))
    if path.suffix in (".md", ".yaml"):
        return path.read_text().replace(str(run), "RUN")
    return path.read_bytes()


def _timeless(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _timeless(value) for key, value in node.items() if key not in OF_TIME}
    return [_timeless(item) for item in node] if isinstance(node, list) else node


def same(a: Any, b: Any) -> bool:
    """Of nested containers; tensors to the bit."""
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def files(run: Path) -> set[Path]:
    found = (path.relative_to(run) for path in run.rglob("*") if path.is_file())
    return {path for path in found if not path.name.startswith(EVENTS) and path.suffix not in IN_PASSING}


def assert_same(one: Path, other: Path) -> None:
    assert files(one) == files(other)
    for path in sorted(files(one)):
        assert same(content(one / path, one), content(other / path, other)), path
    for folder in {path.parent for path in one.rglob(f"{EVENTS}.*")}:
        assert curves(folder) == curves(other / folder.relative_to(one)), folder
