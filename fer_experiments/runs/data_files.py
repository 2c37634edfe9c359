"""The files that describe the data of a run: split.csv, data.json, near_duplicates.csv, test_clusters.csv."""

import json
import logging
from pathlib import Path
from typing import Any

from fer_experiments.atomic_write import atomic_write
from fer_experiments.data.duplicates import find_near_duplicates, find_test_clusters
from fer_experiments.data.prepared import PreparedData
from fer_experiments.distributed import on_rank_zero
from fer_experiments.errors import ConfigError
from fer_experiments.progress import show_activity
from fer_experiments.runs.training_files import TEST_CLUSTERS_FILE

log = logging.getLogger(__name__)
DATA_FILE = "data.json"


@on_rank_zero
def write_data_files(folder: Path, data: PreparedData, generated: dict[str, int]) -> None:
    """Write split.csv, data.json, near_duplicates.csv, test_clusters.csv and, if need be, near_duplicates.png.

    generated: {class: images that the run generates}. What an earlier start of the run has written is left as it is.
    """
    if _is_written(folder, data, generated):
        return
    folder.mkdir(parents=True, exist_ok=True)
    data.split.save(folder / "split.csv")
    with show_activity("looking for nearly identical images"):
        near_duplicates = find_near_duplicates(data.cache.images, data.split)
        clusters = find_test_clusters(data.cache.images, data.split)
    near_duplicates.save(folder, data.cache.images)
    with atomic_write(folder / TEST_CLUSTERS_FILE) as temporary:
        clusters.to_csv(temporary, index=False)
    if near_duplicates.pairs:
        pairs = "1 pair" if near_duplicates.pairs == 1 else f"{near_duplicates.pairs:,} pairs"
        log.info("nearly identical images in different parts: %s (near_duplicates.csv)", pairs)
    content = {
        "split_hash": data.split.hash,
        "classes": list(data.classes),
        "generated": generated,
        **data.split.report,
        "near_duplicates": near_duplicates.summary(),
        "white_level": data.cache.white_level,
        "cache": str(data.cache.folder),
        "cache_bytes": data.cache.bytes,
    }
    with atomic_write(folder / DATA_FILE) as temporary:  # the last one, after which all are written
        temporary.write_text(json.dumps(content, indent=1, ensure_ascii=True))


def check_same_images(folder: Path, data: PreparedData) -> None:
    """Raise ConfigError if a seed's folder has trainings of another split, as after images were added."""
    has_trainings = any(folder.glob("*/checkpoints/*.ckpt"))
    written = _read_facts(folder).get("split_hash")
    if has_trainings and written not in (None, data.split.hash):
        raise ConfigError(
            f"{folder}: has trainings of other images: their split was {written}, and it is {data.split.hash} now; "
            "start over with rerun=true, or name another folder with hydra.run.dir"
        )


def _is_written(folder: Path, data: PreparedData, generated: dict[str, int]) -> bool:
    """Whether the files are there, of the same split and numbers."""
    if not (folder / TEST_CLUSTERS_FILE).is_file():  # runs of version 0.1.0 have none
        return False
    facts = _read_facts(folder)
    written = [facts.get(key) for key in ("split_hash", "cache", "generated")]
    return written == [data.split.hash, str(data.cache.folder), generated]


def _read_facts(folder: Path) -> dict[str, Any]:
    """Return the content of data.json; nothing if there is none, or it can't be read."""
    try:
        content = json.loads((folder / DATA_FILE).read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
