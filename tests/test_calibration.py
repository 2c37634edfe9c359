"""Confidence against accuracy, by hand (test_metrics.py compares with torchmetrics)."""

import numpy as np
import pytest

from fer_experiments.evaluation.calibration import expected_calibration_error, reliability


def test_reliability_puts_each_image_in_the_bin_of_its_confidence():
    logits = np.log([[0.6, 0.4], [0.6, 0.4], [0.1, 0.9], [1.0 - 1e-12, 1e-12]])
    bins = reliability(logits, np.array([0, 1, 1, 0]), bins=4)
    assert [bin.images for bin in bins] == [0, 0, 2, 2]
    assert bins[0] == (0, None, None)
    assert bins[2] == (2, pytest.approx(0.6), 0.5)
    assert bins[3] == (2, pytest.approx(0.95), 1.0)
    assert expected_calibration_error(bins) == pytest.approx((2 * 0.1 + 2 * 0.05) / 4)
