"""What the measures of a class's generated images mean: pass, warn or fail, and why. Limits stand here alone."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

AUROC_WARN, AUROC_FAIL = 0.6, 0.9
MEMORISED_WARN, MEMORISED_FAIL = 2.0, 10.0  # times the share of held-out images that lie as near
UNLIKELY = 0.01  # what chance does more often is no warning
CT_WARN = -3.0  # 1 in 700 of a generator that draws from the real distribution; blurred images lie near, too
LEAKED_WARN, LEAKED_FAIL = 2.0, 5.0  # times the share of training images that lie as near to held-out ones
ALIKE_WARN, ALIKE_FAIL = 0.75, 0.5  # mean distance of two images, against real ones
COVERED_WARN, COVERED_FAIL = 0.75, 0.25  # against as many real images
LABELS_WARN, LABELS_FAIL = 0.1, 0.25  # that the judge calls fewer generated images by their class than real ones
NORMAL_95 = 1.959964

Status = Literal["pass", "warn", "fail"]
ORDER: tuple[Status, ...] = ("pass", "warn", "fail")


class Finding(NamedTuple):
    """measured: whether there was a number to decide by; without one it is a warning."""

    status: Status
    said: str
    measured: bool = True


def find(facts: dict[str, Any]) -> dict[str, Finding]:
    """{check: finding} for the facts of one class, as train/facts.py makes them."""
    checks: dict[str, tuple[str, Callable[[dict[str, Any]], Finding]]] = {
        "leakage": ("held_out_copies", _leakage),
        "memorisation": ("memorisation", _memorisation),
        "collapse": ("diversity", _collapse),
        "labels": ("labels", _labels),
        "shortcut": ("probe", _shortcut),
        "coverage": ("likeness", _coverage),
    }
    return {name: _unless_missing(facts[key], check) for name, (key, check) in checks.items()}


def worst(findings: dict[str, Finding]) -> Finding:
    """The worst of some classes' findings, {class: finding}; a sentence for each class that is as bad."""
    status = max((found.status for found in findings.values()), key=ORDER.index)
    alike = {label: found for label, found in findings.items() if found.status == status}
    said = " ".join(f"{label}: {found.said}" for label, found in alike.items())
    return Finding(status, said, any(found.measured for found in alike.values()))


def _unless_missing(measure: dict[str, Any], check: Callable[[dict[str, Any]], Finding]) -> Finding:
    reason = measure.get("not_measured")
    return check(measure) if reason is None else Finding("warn", f"Not measured: {reason}.", measured=False)


def graded(value: float, warn: float, fail: float) -> Status:
    """Large values are bad where warn < fail, small ones else."""
    if warn > fail:
        value, warn, fail = -value, -warn, -fail
    return "fail" if value >= fail else "warn" if value >= warn else "pass"


def _leakage(measure: dict[str, Any]) -> Finding:
    said = (
        f"{measure['share']:.0%} lie nearer to one of {measure['images']} validation and test images than "
        f"{measure['expected']:.0%} of the training images do, and nearer than to any training image."
    )
    return Finding(_more_than_expected(measure, LEAKED_WARN, LEAKED_FAIL), said)


def _more_than_expected(measure: dict[str, Any], warn: float, fail: float) -> Status:
    """Of a share: `warn` and `fail` times the expected one, but for what may be chance."""
    status = graded(measure["share"] / measure["expected"], warn, fail)
    return status if measure["chance"] < UNLIKELY else "pass"


def _memorisation(measure: dict[str, Any]) -> Finding:
    by_share = _more_than_expected(measure, MEMORISED_WARN, MEMORISED_FAIL)
    by_ct: Status = "warn" if measure["ct"] < CT_WARN else "pass"
    said = (
        f"{measure['share']:.0%} lie nearer to a training image, or its mirror, than {measure['expected']:.0%} of "
        f"held-out ones do; C_T is {measure['ct']:.1f} (under {CT_WARN:.0f}: nearer than chance allows); "
        f"{measure['authenticity']:.0%} are authentic, of held-out images {measure['real_authenticity']:.0%}."
    )
    return Finding(max(by_share, by_ct, key=ORDER.index), said)


def _collapse(measure: dict[str, Any]) -> Finding:
    ratio = min(measure["pixels"], measure["features"])
    said = (
        f"Two generated images differ {measure['pixels']:.2f} times as much as two held-out ones in pixels, and "
        f"{measure['features']:.2f} times in the judge's features."
    )
    return Finding(graded(ratio, ALIKE_WARN, ALIKE_FAIL), said)


def _labels(measure: dict[str, Any]) -> Finding:
    made, real, n, m = (measure[name] for name in ("agreement", "held_out", "images", "held_out_images"))
    error = NORMAL_95 * (made * (1 - made) / n + real * (1 - real) / m) ** 0.5
    said = (
        f"The judge calls {made:.0%} of them by their class, and {real:.0%} of {m} held-out images (balanced accuracy "
        f"{measure['judge']:.0%} on validation)."
    )
    if real - NORMAL_95 * (real * (1 - real) / m) ** 0.5 <= measure["chance"]:
        return Finding("warn", f"{said} It does not know the class itself.", measured=False)
    missing = real - made
    status: Status = (
        "fail" if missing - error > LABELS_FAIL else "warn" if missing > max(LABELS_WARN, error) else "pass"
    )
    return Finding(status, said)


def _shortcut(measure: dict[str, Any]) -> Finding:
    said = (
        f"A small network tells them from real training images with AUROC {measure['auroc']:.2f} "
        f"({measure['low']:.2f} to {measure['high']:.2f}; 0.5: not at all)."
    )
    return Finding(graded(measure["auroc"], AUROC_WARN, AUROC_FAIL), said)


def _coverage(measure: dict[str, Any]) -> Finding:
    said = (
        f"{measure['coverage']:.0%} of {measure['real']} held-out images have a generated one near; of as many real "
        f"images {measure['expected_coverage']:.0%} would. Precision {measure['precision']:.2f}, recall "
        f"{measure['recall']:.2f}, density {measure['density']:.2f}."
    )
    return Finding(graded(measure["coverage"] / measure["expected_coverage"], COVERED_WARN, COVERED_FAIL), said)
