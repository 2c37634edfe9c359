"""What the measures of a class's generated images mean: pass, warn or fail, and why. All limits stand here."""

from collections.abc import Callable
from typing import TypeVar

from fer_experiments.audit.finding import SEVERITY, Finding, Status
from fer_experiments.audit.measures import ClassMeasures, DiversityRatios, LabelAgreement, NotMeasured
from fer_experiments.audit.shortcut_probe import NORMAL_95, ShortcutProbe
from fer_experiments.evaluation.generated.memorisation import EXPECTED_SHARE, UNLIKELY, HeldOutCopies, Memorisation
from fer_experiments.evaluation.generated.prdc import PRDC

T = TypeVar("T")

AUROC_WARN, AUROC_FAIL = 0.6, 0.9
MEMORISED_WARN, MEMORISED_FAIL = 2.0, 10.0  # times the share of held-out images that lie as near
CT_WARN = -3.0  # probability 1 in 700 if the generator draws from the real distribution; blurred images lie near too
LEAKED_WARN, LEAKED_FAIL = 2.0, 5.0  # times the share of training images that lie as near to held-out ones
DIVERSITY_WARN, DIVERSITY_FAIL = 0.75, 0.5  # the mean distance of two images, as a multiple of real images'
COVERED_WARN, COVERED_FAIL = 0.75, 0.25  # as a multiple of the coverage by as many real images
LABELS_WARN, LABELS_FAIL = 0.1, 0.25  # how many fewer generated than real images are assigned to their class


def make_findings(measures: ClassMeasures) -> dict[str, Finding]:
    """Return {check: finding} for the measures of one class."""
    return {
        "leakage": _check_if_measured(_check_leakage, measures.held_out_copies),
        "memorisation": _check_if_measured(_check_memorisation, measures.memorisation),
        "collapse": _check_if_measured(_check_collapse, measures.diversity),
        "labels": _check_labels(measures.labels),
        "shortcut": _check_if_measured(_check_shortcut, measures.probe),
        "coverage": _check_if_measured(_check_coverage, measures.likeness),
    }


def grade(value: float, warn: float, fail: float) -> Status:
    """Return the status of a value. Large values are bad if warn < fail, else small ones."""
    if warn > fail:
        value, warn, fail = -value, -warn, -fail
    return "fail" if value >= fail else "warn" if value >= warn else "pass"


def _check_if_measured(check: Callable[[T], Finding], measure: T | NotMeasured) -> Finding:
    """Return what `check` finds, or a warning that says why there is no measure."""
    if isinstance(measure, NotMeasured):
        return Finding("warn", f"Not measured: {measure.not_measured}.", is_measured=False)
    return check(measure)


def _check_leakage(measure: HeldOutCopies) -> Finding:
    message = (
        f"{measure.share:.0%} of them are nearer to one of {measure.images} held-out, validation and test "
        f"images than {measure.expected:.0%} of the training images are, and nearer to it than to any training image."
    )
    if measure.identical:
        return Finding("fail", f"{message} The pixels of {measure.identical} of them are those of such an image.")
    status = _grade_share(measure, LEAKED_WARN, LEAKED_FAIL)
    if measure.expected > EXPECTED_SHARE and status != "pass":  # of few training images even the nearest may lie far
        status = "warn"
        message += " With so few training images this is a rough measure."
    return Finding(status, message)


def _grade_share(measure: HeldOutCopies | Memorisation, warn: float, fail: float) -> Status:
    """Grade a share as a multiple of the expected one. A share that chance may explain passes."""
    status = grade(measure.share / measure.expected, warn, fail)
    return status if measure.chance < UNLIKELY else "pass"


def _check_memorisation(measure: Memorisation) -> Finding:
    by_share = _grade_share(measure, MEMORISED_WARN, MEMORISED_FAIL)
    by_ct: Status = "warn" if measure.ct < CT_WARN else "pass"
    message = (
        f"{measure.share:.0%} of them are nearer to a training image, or to its mirror image, than "
        f"{measure.expected:.0%} of held-out images are; C_T is {measure.ct:.1f} (under {CT_WARN:.0f}: nearer than "
        f"chance explains); {measure.authenticity:.0%} are authentic, and {measure.real_authenticity:.0%} of held-out "
        "images."
    )
    return Finding(max(by_share, by_ct, key=SEVERITY.index), message)


def _check_collapse(measure: DiversityRatios) -> Finding:
    message = (
        f"Two generated images differ {measure.pixels:.2f} times as much as two held-out ones in pixels, and "
        f"{measure.features:.2f} times as much in features."
    )
    return Finding(grade(min(measure.pixels, measure.features), DIVERSITY_WARN, DIVERSITY_FAIL), message)


def _check_labels(measure: LabelAgreement) -> Finding:
    generated, real, n, m = measure.agreement, measure.held_out, measure.images, measure.held_out_images
    error = NORMAL_95 * (generated * (1 - generated) / n + real * (1 - real) / m) ** 0.5
    message = (
        f"The reference classifier assigns {generated:.0%} of them to their class, and {real:.0%} of {m} held-out "
        f"images (its balanced accuracy is {measure.balanced_accuracy:.0%} on validation)."
    )
    if real - NORMAL_95 * (real * (1 - real) / m) ** 0.5 <= measure.chance:
        return Finding("warn", f"{message} It does not know the class itself.", is_measured=False)
    deficit = real - generated
    status: Status = (
        "fail" if deficit - error > LABELS_FAIL else "warn" if deficit > max(LABELS_WARN, error) else "pass"
    )
    return Finding(status, message)


def _check_shortcut(measure: ShortcutProbe) -> Finding:
    message = (
        f"A small network tells them from real training images with AUROC {measure.auroc:.2f} "
        f"({measure.low:.2f} to {measure.high:.2f}; 0.5: not at all)."
    )
    return Finding(grade(measure.auroc, AUROC_WARN, AUROC_FAIL), message)


def _check_coverage(measure: PRDC) -> Finding:
    message = (
        f"{measure.coverage:.0%} of {measure.real} held-out images have a generated image near them; with as many "
        f"real images {measure.expected_coverage:.0%} would. Precision {measure.precision:.2f}, recall "
        f"{measure.recall:.2f}, density {measure.density:.2f}."
    )
    return Finding(grade(measure.coverage / measure.expected_coverage, COVERED_WARN, COVERED_FAIL), message)
