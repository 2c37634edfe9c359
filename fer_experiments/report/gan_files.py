"""Where a study's GANs and the audits of images from elsewhere lie, and the alarms of the GANs' trainings."""

import json
from pathlib import Path
from typing import Any

from fer_experiments.audit.record import AuditRecord
from fer_experiments.report.study_record import StudyRecord

HEALTH_FILE = "health.json"


def find_gan_folders(record: StudyRecord, folder: Path) -> list[Path]:
    """Return the folders that GANs of the study in `folder` were trained in, or in folders below.

    They are seed_N/gan, and gan beside or in the folder of a training.
    """
    places = [record.folder_of(result, folder) for result in record.results]
    of_seeds = [folder / f"seed_{seed}" / "gan" for seed in record.seeds]
    of_trainings = [gan for place in places for gan in (place.parent / "gan", place / "gan")]
    return [gan for gan in dict.fromkeys([*of_seeds, *of_trainings]) if gan.is_dir()]


def find_audits_of_arm(folder: Path) -> list[Path]:
    """Return the audit.json of the images that an arm took from a folder, of each class, in the folder of the arm."""
    files = [*folder.glob(AuditRecord.file_name), *folder.glob(f"*/{AuditRecord.file_name}")]
    return sorted(file for file in files if file.parent.name != "gan")


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
