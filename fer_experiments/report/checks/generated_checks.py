"""Checks of the generated images and of their GANs."""

from fer_experiments.audit.finding import SEVERITY
from fer_experiments.report.checks.check import Check, StudyFiles
from fer_experiments.report.gan_files import HEALTH_FILE, find_gan_folders, read_alarms


def check_audits(study: StudyFiles, key: str, name: str) -> Check:
    """Return the worst finding of the audits under `key`, how many audits have one as bad, and which have none."""
    source = "audit.json beside each GAN's images"
    findings = [(audit.label, audit.checks[key]) for audit in study.audits if key in audit.checks]
    measured = [(label, finding) for label, finding in findings if finding.is_measured]
    if not measured:
        problems = {audit.problem or "not measured" for audit in study.audits}
        reasons = sorted({f"{label}: {finding.message}" for label, finding in findings} or problems)
        return Check(name, "unknown", " ".join(reasons) or "No generated images were audited.", source)
    label, worst = max(measured, key=lambda pair: SEVERITY.index(pair[1].status))
    as_bad = sum(finding.status == worst.status for _, finding in measured)
    count = f" ({as_bad} of {len(measured)} audits: {worst.status})" if len(measured) > 1 else ""
    missing = {label: finding.message for label, finding in findings if not finding.is_measured}
    status = max(worst.status, "warn", key=SEVERITY.index) if missing else worst.status
    message = " ".join([f"{label}: {worst.message}{count}", *(f"{name}: {text}" for name, text in missing.items())])
    return Check(name, status, message, source)


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
