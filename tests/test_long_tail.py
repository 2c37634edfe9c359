"""Losses for long tails beat cross-entropy, as in the literature, on drawn faces of seven classes, 100 : 1 (slow)."""

import numpy as np
import pytest

from fer_experiments.report.findings import compute_findings
from fer_experiments.report.study_record import StudyRecord
from fer_experiments.train.run import run_job

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SETTINGS = (
    f"data.counts={{{', '.join(f'{name}: 600' for name in CLASSES)}}}",
    "data.profile=exponential",
    "data.imbalance=100",
    "classifier.image_size=48",
    "classifier.epochs=20",
    "train.seeds=3",
    "train.arms=[none,balanced_softmax,logit_adjustment]",
    "trainer=cpu",
    "trainer.progress=false",
)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_log_priors_in_the_loss_beat_plain_cross_entropy_on_a_long_tail(compose, tmp_path):
    """Measured with seed 0: 35.8% for none and 44.0% for both others. In every seed, a third of that is required."""
    run_job(compose(*SETTINGS))
    record = StudyRecord.load(tmp_path / "run")
    scores = {
        arm: [result.metrics["test"]["balanced_accuracy"] for result in record.results_of(arm)] for arm in record.arms
    }
    assert list(record.results[0].real.values()) == [600, 278, 129, 60, 28, 13, 6]
    for arm in ("balanced_softmax", "logit_adjustment"):
        gains = np.subtract(scores[arm], scores["none"])
        assert gains.min() > 0.027, arm
    assert {verdict.verdict for verdict in compute_findings(record, tmp_path / "run").arms} == {"helps"}
