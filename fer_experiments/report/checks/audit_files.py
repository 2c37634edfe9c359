"""The audits of the generated images of a study."""

from pathlib import Path

from fer_experiments.audit.record import AuditRecord
from fer_experiments.evaluation.arm_name import ArmName
from fer_experiments.report.gan_files import find_audits_of_arm, find_gan_folders
from fer_experiments.report.study_record import StudyRecord


def load_audits(record: StudyRecord, folder: Path) -> list[AuditRecord]:
    """Load audit.json of every GAN without a leak and of every folder of images that an arm was given."""
    audits = []
    for file in find_audits(record, folder):
        try:
            audits.append(AuditRecord.load(file.parent))
        except ValueError:
            audits.append(AuditRecord(label="", generated=0, synthetic="", problem=f"{file} can't be read"))
    return audits


def find_audits(record: StudyRecord, folder: Path) -> list[Path]:
    """Return the audit.json files in the folders of clean arms and in or below those of their GANs.

    An arm that was refused for what its audit says has no result, but an audit.
    """
    name = AuditRecord.file_name
    clean = [arm for arm in map(ArmName.parse, record.arms) if not arm.leak]
    places = {record.folder_of(result, folder) for result in record.results if not ArmName.parse(result.arm).leak}
    places |= {folder / f"seed_{seed}" / arm.folder for seed in record.seeds for arm in clean}
    of_gans = {file for gan in find_gan_folders(record, folder) for file in gan.glob(f"**/{name}")}
    return sorted(of_gans.union(*(find_audits_of_arm(place) for place in places)))
