"""Where a study's GANs and the audits of images from elsewhere lie, and the alarms of the GANs' trainings."""

import json
from pathlib import Path
from typing import Any

from fer_experiments.audit.record import AuditRecord
from fer_experiments.report.study_record import StudyRecord

HEALTH_FILE = "health.json"
GAN_FOLDER = "gan"  # of a run's own generator; that of balance.gan=diffusion is in gan-diffusion


def find_gan_folders(record: StudyRecord, folder: Path) -> list[Path]:
    """Return the folders that GANs of the study in `folder` were trained in, or in folders below.

    They are gan, and gan-NAME for each other generator, in seed_N, and beside or in the folder of a training.
    """
    places = [record.folder_of(result, folder) for result in record.results]
    of_seeds = [folder / f"seed_{seed}" for seed in record.seeds]
    of_trainings = [near for place in places for near in (place.parent, place)]
    return [gan for near in dict.fromkeys([*of_seeds, *of_trainings]) for gan in _list_gans(near)]


def describe_gan_folder(folder: Path) -> str:
    """Return what the generator in a folder of `find_gan_folders` is called, or "" for the run's own."""
    return folder.name.partition("-")[2]


def _list_gans(folder: Path) -> list[Path]:
    places = [folder / GAN_FOLDER, *sorted(folder.glob(f"{GAN_FOLDER}-*"))]
    return [place for place in places if place.is_dir() and not place.name.endswith("_leak")]


def find_audits_of_arm(folder: Path) -> list[Path]:
    """Return the audit.json of the images that an arm took from a folder, of each class, in the folder of the arm."""
    files = [*folder.glob(AuditRecord.file_name), *folder.glob(f"*/{AuditRecord.file_name}")]
    return sorted(file for file in files if file.parent.name.partition("-")[0] != GAN_FOLDER)


def read_alarms(folder: Path) -> list[str]:
    """Return the alarms of health.json, such as "too few steps: 60 batches, and …"; [] if it can't be read."""
    alarms = _read_json(folder / HEALTH_FILE).get("alarms", [])
    known = alarms if isinstance(alarms, list) else []
    return [f"{alarm.get('name')}: {alarm.get('message')}" for alarm in known if isinstance(alarm, dict)]


def _read_json(path: Path) -> dict[str, Any]:
    """Return the object of a JSON file; {} if there is none."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
