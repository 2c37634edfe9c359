"""predictions.npz is loaded as it was saved, and an error names a file that holds something else."""

from contextlib import suppress

import numpy as np
import pytest

from fer_experiments.evaluation.predictions import PREDICTIONS_FILE, Predictions, save_predictions


@pytest.fixture
def saved(tmp_path):
    rng = np.random.default_rng(0)
    hashes = np.array(["a", "b", "c", "d"])
    parts = {
        part: Predictions(rng.normal(size=(4, 2)).astype(np.float32), np.array([0, 1, 1, 0]), hashes, ("cat", "dog"))
        for part in ("valid", "test")
    }
    save_predictions(tmp_path, parts)
    return tmp_path, parts


@pytest.mark.parametrize("part", ["valid", "test"])
def test_a_part_comes_back_as_it_was_saved(saved, part):
    folder, parts = saved
    loaded = Predictions.load(folder, part)
    assert loaded.classes == ("cat", "dog")
    for name in ("logits", "labels", "content_hash", "predicted"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(parts[part], name))


def test_predicted_is_the_class_of_the_largest_logit():
    logits = np.array([[0.1, 0.2, -1.0], [3.0, 0.0, 0.0]])
    assert Predictions(logits, np.zeros(2), np.zeros(2), ("a", "b", "c")).predicted.tolist() == [1, 0]


def test_a_missing_part_is_named(saved):
    with pytest.raises(ValueError, match=rf"{PREDICTIONS_FILE}: holds no predictions of train"):
        Predictions.load(saved[0], "train")


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"PK\x03\x04 cut short"])
def test_a_missing_or_broken_file_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / PREDICTIONS_FILE).write_bytes(content)
    with pytest.raises(ValueError, match=PREDICTIONS_FILE):
        Predictions.load(tmp_path, "test")


def test_no_broken_byte_goes_unnoticed(saved):
    """Either the file is refused, or all is as it was, since some bytes of a zip file mean nothing."""
    path = saved[0] / PREDICTIONS_FILE
    intact = path.read_bytes()
    for place in range(0, len(intact), 7):
        path.write_bytes(intact[:place] + bytes([intact[place] ^ 0x55]) + intact[place + 1 :])
        with suppress(ValueError):
            np.testing.assert_array_equal(Predictions.load(saved[0], "test").logits, saved[1]["test"].logits)


def test_a_file_of_a_single_array_is_refused(tmp_path):
    with (tmp_path / PREDICTIONS_FILE).open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(ValueError, match=rf"{PREDICTIONS_FILE}: holds no predictions of test"):
        Predictions.load(tmp_path, "test")


def test_arrays_that_do_not_fit_each_other_are_refused(tmp_path):
    save_predictions(tmp_path, {"test": Predictions(np.zeros((3, 2)), np.zeros(4, int), np.zeros(4, str), ("x", "y"))})
    with pytest.raises(ValueError, match="don't fit each other"):
        Predictions.load(tmp_path, "test")
