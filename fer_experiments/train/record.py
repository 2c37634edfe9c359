"""What runs leave behind beside their own results: the split, the facts of the data, the device."""

import json
import logging
import platform
from pathlib import Path

import lightning
import torch

from fer_experiments.data.duplicates import find_near_duplicates
from fer_experiments.data.module import ImageData
from fer_experiments.progress import busy
from fer_experiments.train.ranks import on_first
from fer_experiments.whole import whole

log = logging.getLogger(__name__)


@on_first
def write_data(folder: Path, data: ImageData, generated: dict[str, int]) -> None:
    """Write split.csv, data.json, and near_duplicates.csv with its picture."""
    folder.mkdir(parents=True, exist_ok=True)
    data.split.save(folder / "split.csv")
    with busy("looking for nearly identical images"):
        near = find_near_duplicates(data.cache.images, data.split)
    near.save(folder, data.cache.images)
    if near.pairs:
        log.info("%d pairs of nearly identical images lie in different parts: see near_duplicates.csv", near.pairs)
    facts = {
        "split_hash": data.split.hash,
        "classes": list(data.classes),
        "generated": generated,
        **data.split.report,
        "near_duplicates": near.summary(),
        "cache": str(data.cache.folder),
        "cache_bytes": data.cache.bytes,
    }
    with whole(folder / "data.json") as temporary:
        temporary.write_text(json.dumps(facts, indent=1, ensure_ascii=True))


def device_name(trainer: lightning.Trainer) -> str:
    device = trainer.strategy.root_device
    several = f"{trainer.world_size} × " if trainer.world_size > 1 else ""
    if device.type == "cuda":
        return several + torch.cuda.get_device_name(device)
    return f"{several}{device.type} ({platform.machine()}, {torch.get_num_threads()} threads)"
