"""What more images are worth: read off arms with a known truth."""

from dataclasses import replace

import numpy as np
import pytest

from fer_experiments.evaluation.more_images import ArmImages, compute_more_images
from fer_experiments.evaluation.question import Question
from fer_experiments.evaluation.verdict import decide_verdicts
from fer_experiments.report.findings import compute_findings
from fer_experiments.report.sections.more_images import describe_more_images
from tests.results import build_result, write_study
from tests.simulation import LABELS, make_arm

HALF, QUARTER = "fewer_images [balance.fraction=0.5]", "fewer_images [balance.fraction=0.25]"
FULL = {"angry": 80, "happy": 100}


def control(name: str, accuracy: float):
    return replace(make_arm(name, accuracy), control=True)


def images(kind=None, angry: int = 80, added: int = 0) -> ArmImages:
    return ArmImages(FULL | {"angry": angry}, kind, {"angry": added} if added else {})


ARMS = [
    make_arm("none", 0.70),
    make_arm("copies", 0.72),
    make_arm("dcgan", 0.68),
    control("real_images", 0.78),
    control(HALF, 0.66),
    control(QUARTER, 0.62),
]
IMAGES = {
    "none": images(),
    "copies": images("copied", added=80),
    "dcgan": images("generated", added=80),
    "real_images": images("added_real", added=80),
    HALF: images(angry=40),
    QUARTER: images(angry=20),
}


def test_every_kind_of_image_is_compared_with_the_baseline():
    rows = {row.kind: row for row in compute_more_images(ARMS, IMAGES, LABELS, Question())}
    expected = {"copied": 0.02, "generated": -0.02, "added_real": 0.08, "learning_curve": 0.04}
    assert {kind: row.difference for kind, row in rows.items()} == pytest.approx(expected, abs=0.006)
    assert all(row.low < row.difference < row.high and row.against == "none" for row in rows.values())
    assert rows["learning_curve"].arms == ["none", HALF, QUARTER]


def test_a_learning_curve_goes_on_by_the_logarithm_of_the_images():
    """Each doubling brings 4 points here; 240 more are two doublings."""
    more = IMAGES | {"dcgan": images("generated", added=240)}
    rows = compute_more_images(ARMS, more, LABELS, Question())
    curves = {row.added["angry"]: row.difference for row in rows if row.kind == "learning_curve"}
    assert curves == pytest.approx({80: 0.04, 240: 0.08}, abs=0.006)


def test_a_curve_of_few_seeds_promises_no_more_than_all_points():
    """Two seeds with unlike curves have a standard error beyond any score."""
    unlike = [replace(arm, predictions=arm.predictions[:2].copy(), splits={0: "0", 1: "1"}) for arm in ARMS]
    for arm, right in zip(unlike, (0.9, 0.1, 0.5, 0.5, 0.5), strict=False):
        arm.predictions[0, : int(right * len(LABELS))] = LABELS[: int(right * len(LABELS))]
    more = IMAGES | {"dcgan": images("generated", added=2000)}
    (curve, *_) = (row for row in compute_more_images(unlike, more, LABELS, Question()) if row.kind == "learning_curve")
    assert -1 <= curve.low < 0.5 < curve.high == 1


def test_a_study_without_controls_has_nothing_to_say():
    arms = [arm for arm in ARMS if arm.name in ("none", "dcgan")]
    assert compute_more_images(arms, IMAGES, LABELS, Question()) == []


def test_an_arm_without_a_baseline_of_its_augmentation_is_left_out():
    arms = [make_arm("none", 0.7), control("real_images+traditional", 0.8)]
    more = {"none": images(), "real_images+traditional": images("added_real", added=80)}
    assert compute_more_images(arms, more, LABELS, Question()) == []


def test_only_seeds_that_all_arms_of_a_curve_have_count():
    arms = [replace(arm, splits={s: h for s, h in arm.splits.items() if s < 4}, predictions=arm.predictions[:4])
            if arm.name == HALF else arm for arm in ARMS]  # fmt: skip
    (curve,) = (row for row in compute_more_images(arms, IMAGES, LABELS, Question()) if row.kind == "learning_curve")
    assert curve.seeds == 4


def test_the_interval_of_a_curve_covers_the_truth():
    """20 studies of arms whose seeds differ: the line through exact means is inside nearly always."""
    rng, hits = np.random.default_rng(0), 0
    for _ in range(20):
        arms = []
        for name, accuracy in (("none", 0.70), (HALF, 0.66), (QUARTER, 0.62)):
            arm = make_arm(name, 0.5, seeds=range(5))
            right = rng.random(arm.predictions.shape) < accuracy + rng.normal(0, 0.01, (5, 1))
            arms.append(replace(arm, predictions=np.where(right, LABELS, 1 - LABELS), control=name != "none"))
        rows = compute_more_images([*arms, make_arm("dcgan", 0.7, seeds=range(5))], IMAGES, LABELS, Question())
        (curve,) = (row for row in rows if row.kind == "learning_curve")
        hits += curve.low <= 0.04 <= curve.high
    assert hits >= 17


def test_no_arm_must_beat_a_control_and_controls_are_corrected_for_alone():
    arms = [make_arm("none", 0.6), make_arm("dcgan", 0.7), control("real_images", 0.9)]
    result = {verdict.arm: verdict for verdict in decide_verdicts(arms, LABELS, Question())}
    assert (result["dcgan"].verdict, result["dcgan"].against) == ("helps", "none")
    assert [pair.against for pair in result["dcgan"].pairs] == ["none"]
    assert result["dcgan"].p_value == result["dcgan"].pairs[0].comparison.interval_p_value
    assert (result["real_images"].verdict, result["real_images"].against) == ("helps", "none")


def test_a_control_is_compared_with_the_baseline_of_its_augmentation():
    arms = [make_arm("none", 0.6), control("real_images+traditional", 0.9)]
    verdict = decide_verdicts(arms, LABELS, Question())[0]
    assert verdict.verdict == "undecided"
    assert "none+traditional in train.arms would be one" in verdict.explanation
    verdict = decide_verdicts([*arms, make_arm("none+traditional", 0.8)], LABELS, Question())[0]
    assert verdict.against == "none+traditional"


def test_the_page_says_what_more_images_are_worth(tmp_path):
    scores = {"none": {0: 0.7, 1: 0.7}, "real_images": {0: 0.8, 1: 0.8}, "dcgan": {0: 0.6, 1: 0.6}}
    record = write_study(tmp_path, scores, [0, 1])
    record.results = [
        build_result("real_images", result.seed, 0.8, added_real={"angry": 5}, is_control=True)
        if result.arm == "real_images"
        else result
        for result in record.results
    ]
    rows = compute_findings(record, tmp_path).more_images
    (sentence,) = describe_more_images(rows, "balanced accuracy", 0.95)
    assert sentence.startswith(
        "Against none, in points of balanced accuracy (95% intervals, uncorrected): 5 more real images of angry "
        "(real_images) bring +10.0 ("
    )
    assert "; 5 generated images of angry (dcgan) bring -10.0 (" in sentence
