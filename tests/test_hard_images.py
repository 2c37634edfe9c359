"""The test images that every classifier gets wrong."""

import numpy as np
import pandas as pd

from fer_experiments.evaluation.predictions import Predictions
from fer_experiments.report.hard_images import HARD_IMAGES_FILE, HardImage, find_hard_images
from fer_experiments.report.write_report import write_report
from tests.results import write_study

LABELS = [0, 0, 1, 2]


def predictions(predicted: list[int]) -> Predictions:
    logits = np.eye(3, dtype=np.float32)[predicted]
    return Predictions(logits, np.array(LABELS), np.array(["a", "b", "c", "d"]), ("cat", "dog", "owl"))


def test_an_image_is_hard_if_no_classifier_gets_it_right():
    classifiers = [predictions([0, 2, 1, 0]), predictions([1, 1, 1, 0]), predictions([1, 2, 1, 1])]
    assert find_hard_images(classifiers) == [HardImage("b", "cat", "owl"), HardImage("d", "owl", "cat")]
    assert find_hard_images([*classifiers, predictions(LABELS)]) == []


def test_two_classifiers_are_too_few_to_say_so():
    assert find_hard_images([predictions([1, 1, 0, 0])] * 2) == []


def test_a_study_lists_its_hard_images_by_path_until_a_seed_gets_them_right(tmp_path):
    record = write_study(tmp_path, {"none": {0: 0.7, 1: 0.7}, "oversample": {0: 0.7, 1: 0.7}}, [0, 1])
    write_report(record, tmp_path)
    table = pd.read_csv(tmp_path / HARD_IMAGES_FILE)
    wrong = {path for path, label, predicted, _ in table.itertuples(index=False) if label != predicted}
    assert 30 <= len(table) == len(wrong) < 60  # of 200 test images each classifier gets 60 wrong
    text = f"{len(table)} of 200 test images ({len(table) / 200:.1%}) are classified wrongly by all 4 classifiers"
    assert text in (tmp_path / "report.html").read_text()

    record = write_study(tmp_path, {"none": {0: 0.7, 1: 0.7}, "oversample": {0: 0.7, 1: 1.0}}, [0, 1])
    write_report(record, tmp_path)
    assert not (tmp_path / HARD_IMAGES_FILE).exists()
