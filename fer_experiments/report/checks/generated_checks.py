"""Checks of the generated images and of their GANs."""

from collections.abc import Sequence

from fer_experiments.audit.finding import SEVERITY, Finding
from fer_experiments.enumeration import enumerate_names
from fer_experiments.report.checks.check import Check, StudyFiles
from fer_experiments.report.gan_files import HEALTH_FILE, find_gan_folders, read_alarms


def check_audits(study: StudyFiles, key: str, name: str) -> Check:
    """Return the worst finding of the audits under `key`, how many audits have one as bad, and which have none."""
    source = "audit.json beside each GAN's images"
    findings = [(audit.label, audit.checks[key]) for audit in study.audits if key in audit.checks]
    measured = [(label, finding) for label, finding in findings if finding.is_measured]
    if not measured:
        problems = {audit.problem or "not measured" for audit in study.audits}
        reasons = _describe_by_reason(findings) or sorted(problems)
        return Check(name, "unknown", " ".join(reasons) or "No generated images were audited.", source)
    label, worst = max(measured, key=lambda pair: SEVERITY.index(pair[1].status))
    as_bad = sum(finding.status == worst.status for _, finding in measured)
    count = f" ({as_bad} of {len(measured)} audits: {worst.status})" if len(measured) > 1 else ""
    missing = _describe_by_reason([pair for pair in findings if not pair[1].is_measured])
    status = max(worst.status, "warn", key=SEVERITY.index) if missing else worst.status
    return Check(name, status, " ".join([f"{label}: {worst.message}{count}", *missing]), source)


def _describe_by_reason(findings: Sequence[tuple[str, Finding]]) -> list[str]:
    """Return "a, b: Not measured: too few." for each message of (class, finding), the classes in alphabetical order."""
    labels: dict[str, list[str]] = {}
    for label, finding in sorted(set(findings), key=lambda pair: (pair[0], pair[1].message)):
        labels.setdefault(finding.message, []).append(label)
    return [f"{enumerate_names(names)}: {message}" for message, names in labels.items()]


def check_gan_training(study: StudyFiles) -> Check:
    name, source = "GAN training is healthy", "health.json beside each GAN"
    folders = find_gan_folders(study.record, study.folder)
    files = sorted({file for gan in folders for file in gan.glob(f"**/{HEALTH_FILE}")})
    if not files:
        return Check(name, "unknown", "No GAN was trained here, or none left its health.json.", source)
    alarms = [alarms for file in files if (alarms := read_alarms(file.parent))]
    if not alarms:
        return Check(name, "pass", f"No alarms in {len(files)} trainings.", source)
    return Check(name, "warn", f"Alarms in {len(alarms)} of {len(files)} trainings. {'; '.join(alarms[0])}", source)
