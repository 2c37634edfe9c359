"""What runs leave behind beside their own results: the split, the facts of the data, the device."""

import json
import platform
from pathlib import Path

import lightning
import torch

from fer_experiments.data.module import ImageData


def write_data(folder: Path, data: ImageData, generated: dict[str, int]) -> None:
    """Write split.csv and data.json."""
    folder.mkdir(parents=True, exist_ok=True)
    data.split.save(folder / "split.csv")
    facts = {
        "split_hash": data.split.hash,
        "classes": list(data.classes),
        "generated": generated,
        **data.split.report,
        "cache": str(data.cache.folder),
        "cache_bytes": data.cache.bytes,
    }
    (folder / "data.json").write_text(json.dumps(facts, indent=1, ensure_ascii=True))


def device_name(trainer: lightning.Trainer) -> str:
    device = trainer.strategy.root_device
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
