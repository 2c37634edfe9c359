"""What the first sentence of a report claims."""

import numpy as np
import pytest

from fer_experiments.evaluation.verdict import Question
from fer_experiments.report.answer import explain_leak, headline, in_a_word
from fer_experiments.report.verdicts import comparisons, find_verdicts
from tests.results import finished, study, write_training, written

SEEDS = list(range(6))


def said(record, folder) -> str:
    return headline(record, find_verdicts(record, folder))


def even(**scores: float) -> dict[str, dict[int, float]]:
    return {arm.replace("_and_", "+"): dict.fromkeys(SEEDS, score) for arm, score in scores.items()}


@pytest.mark.parametrize(
    ("score", "begin"),
    [
        (0.9, "Generated images help: dcgan gains 20.0 points of balanced accuracy against none (95% interval "),
        (0.5, "Generated images hurt: dcgan loses 20.0 points of balanced accuracy against none (95% interval "),
    ],
)
def test_the_first_sentence_is_the_verdict(tmp_path, score, begin):
    found = said(written(tmp_path, even(none=0.7, dcgan=score), SEEDS), tmp_path)
    assert found.startswith(begin)
    assert found.endswith(", 6 seeds, 200 test images).")


def test_what_differs_from_seed_to_seed_is_undecided(tmp_path):
    scores = even(none=0.7) | {"dcgan": {seed: 0.6 + 0.1 * (seed % 3) for seed in SEEDS}}
    found = said(written(tmp_path, scores, SEEDS), tmp_path)
    assert found.startswith("Undecided: dcgan gains 0.0 points of balanced accuracy against none (95% interval -")


def test_an_equivalent_arm_makes_no_difference(tmp_path):
    record = written(tmp_path, even(none=0.7, dcgan=0.7), SEEDS)
    assert said(record, tmp_path).startswith("Undecided: dcgan gains 0.0 points")  # 200 images are too few for it
    record.question = Question(margin=0.03)
    found = said(record, tmp_path)
    assert found.startswith("Generated images make no difference of 3 points or more: dcgan gains 0.0 points")


def test_one_seed_is_undecided(tmp_path):
    found = said(written(tmp_path, {"none": {0: 0.5}, "dcgan": {0: 0.9}}, [0]), tmp_path)
    assert found.startswith("Undecided: dcgan gains 40.0 points")
    assert "one seed, 200 test images" in found


def test_the_arm_that_is_best_on_validation_is_the_answer_and_others_follow_in_a_word(tmp_path):
    scores = even(none=0.7, dcgan=0.9, none_and_traditional=0.7, dcgan_and_traditional=0.5)
    record = written(tmp_path, scores, SEEDS, valid={"dcgan": 0.6, "dcgan+traditional": 0.9})
    found = said(record, tmp_path)
    assert found.startswith("Generated images hurt: dcgan+traditional loses")
    assert in_a_word(find_verdicts(record, tmp_path)) == "dcgan helps against none."


def test_of_several_data_the_answer_says_which_had_which(tmp_path):
    scores = {f"none [data.imbalance={ratio}]": dict.fromkeys(SEEDS, 0.7) for ratio in (2, 5, 10)}
    scores |= {f"dcgan [data.imbalance={ratio}]": dict.fromkeys(SEEDS, score) for ratio, score in ((2, 0.5), (5, 0.9))}
    scores |= {"dcgan [gan.epochs=9, data.imbalance=10]": dict.fromkeys(SEEDS, 0.9)}
    scores |= {"dcgan [gan.epochs=1, data.imbalance=10]": dict.fromkeys(SEEDS, 0.5)}
    record = written(tmp_path, scores, SEEDS)
    found = "Generated images help with data.imbalance=5, 10. Generated images hurt with data.imbalance=2."
    assert said(record, tmp_path) == found
    assert in_a_word(find_verdicts(record, tmp_path)) == ""
    one = find_verdicts(record, tmp_path).best["data.imbalance=10"]
    assert one.arm == "dcgan [gan.epochs=9, data.imbalance=10]"


def test_data_that_differ_in_more_than_one_key_are_written_out(tmp_path):
    names = "data.imbalance=2, data.bottleneck=64", "data.imbalance=2, data.bottleneck=null"
    scores = {f"{arm} [{data}]": {0: 0.7} for data in names for arm in ("none", "dcgan")}
    assert said(written(tmp_path, scores, [0]), tmp_path) == f"Undecided with {'; '.join(names)}."


def test_an_answer_that_hangs_on_the_second_comparison_says_so(tmp_path):
    scores = even(none=0.9, none_and_traditional=0.5, dcgan_and_traditional=0.7)
    found = said(written(tmp_path, scores, SEEDS), tmp_path)
    assert found.startswith("Undecided: Better than none+traditional, but not than none: ")


def test_arms_are_compared_on_the_seeds_that_both_finished(tmp_path):
    scores = {"none": {0: 0.7, 1: 0.7, 2: 0.1}, "dcgan": {0: 0.8, 1: 0.8}}
    assert "gains 10.0 points" in said(written(tmp_path, scores, [0, 1, 2]), tmp_path)


def test_arms_without_a_seed_in_common_are_not_compared(tmp_path):
    found = said(written(tmp_path, {"none": {0: 0.7}, "dcgan": {1: 0.8}}, [0, 1]), tmp_path)
    assert found == "Undecided: dcgan and none have no finished seed of the same split in common."


def test_without_generated_images_there_is_no_answer(tmp_path):
    record = written(tmp_path, {"none": {0: 0.7}, "oversample": {0: 0.8}}, [0])
    assert said(record, tmp_path) == "No answer: no finished arm used generated images."


def test_a_gan_arm_that_was_given_no_images_is_no_generated_arm(tmp_path):
    record = written(tmp_path, {"none": {0: 0.7}}, [0])
    record.arms.append("dcgan")
    record.results.append(finished("dcgan", 0, 0.9, generated={"angry": 0}))
    write_training(record.results[1], tmp_path / "seed_0" / "dcgan", 0.9)
    assert said(record, tmp_path) == "No answer: no finished arm used generated images."


def test_a_failed_arm_is_named_where_it_leaves_no_answer(tmp_path):
    failed = {"seed 0, dcgan": "NonFiniteError: NaN"}
    record = written(tmp_path / "a", {"none": {0: 0.7}, "dcgan": {}}, [0], failed)
    assert said(record, tmp_path / "a").endswith("used generated images (failed: dcgan).")
    alone = written(tmp_path / "b", {"none": {}, "dcgan": {0: 0.8}}, [0], {"seed 0, none": "OSError: full"})
    assert said(alone, tmp_path / "b") == "Undecided: no simple arm finished beside dcgan (failed: none)."


def test_a_study_without_results_has_no_answer(tmp_path):
    nothing = {"none": {}, "dcgan": {}}
    assert said(study(nothing, [0]), tmp_path) == "No answer: no training has finished."
    failed = {"seed 0, none": "x", "seed 0, dcgan": "x"}
    assert said(study(nothing, [0], failed), tmp_path) == "No answer: every training failed."
    assert said(study(nothing, [0], {"seed 0, none": "x"}), tmp_path) == "No answer: no training has finished."


def test_without_predictions_there_is_no_answer(tmp_path):
    record = study(even(none=0.7, dcgan=0.9), SEEDS)
    assert said(record, tmp_path) == "No answer: the predictions that a verdict needs can't be read."


# ---- what is left out of the verdict


def test_a_training_without_predictions_is_left_out_and_named(tmp_path):
    record = written(tmp_path, even(none=0.7, dcgan=0.9), SEEDS)
    (tmp_path / "seed_2" / "dcgan" / "predictions.npz").write_bytes(b"PK cut")
    findings = find_verdicts(record, tmp_path)
    assert findings.arms[0].pairs[0].comparison.seeds == 5
    (problem,) = findings.problems
    assert problem.startswith("seed 2, dcgan: has no part in the verdict: ")
    assert "predictions.npz" in problem


def test_a_training_measured_on_other_images_is_left_out_and_named(tmp_path):
    record = written(tmp_path, even(none=0.7, dcgan=0.9), SEEDS)
    write_training(record.of_arm("dcgan")[0], tmp_path / "seed_0" / "dcgan", 0.9, images=180)
    findings = find_verdicts(record, tmp_path)
    assert findings.arms[0].pairs[0].comparison.seeds == 5
    assert findings.problems == [
        "seed 0, dcgan: was measured on other test images or labels than the others and has no part in the verdict"
    ]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("test_labels", lambda labels: labels.astype(float)),
        ("test_labels", lambda labels: labels + 1),
        ("test_labels", lambda labels: labels - 1),
        ("test_labels", lambda labels: 1 - labels),
        ("test_labels", lambda labels: labels[0]),
        ("valid_labels", lambda labels: labels - 1),
        ("test_logits", lambda logits: logits.astype(str)),
        ("test_content_hash", lambda hashes: np.arange(len(hashes))),
        ("classes", lambda classes: np.array(3)),
    ],
)
def test_predictions_that_hold_something_else_lose_no_other_training(tmp_path, name, change):
    record = written(tmp_path, even(none=0.7, dcgan=0.9), SEEDS)
    path = tmp_path / "seed_2" / "dcgan" / "predictions.npz"
    with np.load(path) as arrays:
        content = dict(arrays)
    np.savez(path, **content | {name: change(content[name])})
    findings = find_verdicts(record, tmp_path)
    assert findings.arms[0].pairs[0].comparison.seeds == 5
    assert findings.problems[0].startswith("seed 2, dcgan: ")


def test_a_part_without_images_is_named(tmp_path):
    record = written(tmp_path, {"none": {0: 0.7}}, [0])
    path = tmp_path / "seed_0" / "none" / "predictions.npz"
    with np.load(path) as arrays:
        np.savez(path, **{name: array[:0] if name.startswith("valid") else array for name, array in arrays.items()})
    (problem,) = find_verdicts(record, tmp_path).problems
    assert "labels of valid: must be places in the 2 classes, one or more" in problem


def test_leaks_get_no_verdict_but_an_explanation(tmp_path):
    names = {"none": 0.7, "dcgan": 0.72, "none@leak": 0.75, "dcgan@leak": 0.9}
    record = written(tmp_path, {arm: {0: score} for arm, score in names.items()}, [0])
    findings = find_verdicts(record, tmp_path)
    assert [found.arm for found in findings.arms] == ["dcgan"]
    assert set(findings.estimates) == set(names)
    text = explain_leak(findings.leaks[0], Question())
    assert "dcgan gains +15.0 points against none" in text
    assert "without +2.0" in text
    assert "the leak is worth +13.0 points here, of the +9.5 that the paper reports" in text
    assert "With one seed and 200 test images such a difference moves by" in text


def test_the_table_of_comparisons_has_a_row_for_each(tmp_path):
    record = written(tmp_path, even(none=0.7, oversample=0.75, dcgan=0.9), SEEDS, valid={"oversample": 0.8})
    table = comparisons(find_verdicts(record, tmp_path))
    assert table[["arm", "against", "verdict"]].to_numpy().tolist() == [
        ["dcgan", "oversample", "helps"],
        ["dcgan", "none", "(helps)"],
        ["oversample", "none", "helps"],
    ]
    assert table["difference"].tolist() == ["+15.0", "+20.0", "+5.0"]


def test_of_many_other_arms_only_their_number_is_told(tmp_path):
    scores = even(none=0.7) | {f"dcgan [gan.epochs={number}]": dict.fromkeys(SEEDS, 0.5) for number in range(4)}
    scores |= {"dcgan [gan.epochs=9]": dict.fromkeys(SEEDS, 0.9)}
    record = written(tmp_path, scores, SEEDS, valid={"dcgan [gan.epochs=9]": 0.95})
    assert in_a_word(find_verdicts(record, tmp_path)) == "Of 4 other arms with generated images: 4 hurts."
    without = {arm: found for arm, found in scores.items() if arm != "none"}
    alone = written(tmp_path / "alone", without, SEEDS)
    assert said(alone, tmp_path / "alone") == "Undecided: no simple arm finished beside 5 arms with generated images."
