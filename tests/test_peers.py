"""The judges that the verdict is compared with: each sees a large gain, and none where there is a loss."""

import numpy as np
import pytest

from tests.peers import JUDGES, Case, measure

PACKAGES = {
    "autorank": "autorank",
    "baycomp, correlated t-test, rope 0.5": "baycomp",
    "deep-significance (ASO < 0.2)": "deepsig",
}
LABELS = np.arange(1400) % 2


@pytest.mark.parametrize("name", JUDGES)
def test_a_judge_sees_a_large_gain_and_no_loss(name):
    if name in PACKAGES:
        pytest.importorskip(PACKAGES[name], reason="needs pip install -e '.[peers]'")
    gain, loss = ({"none": 0.6, "simple": 0.7, "dcgan": accuracy} for accuracy in (0.9, 0.65))
    assert measure(JUDGES[name], Case(gain, 10, LABELS), 2) == 1
    assert measure(JUDGES[name], Case(loss, 10, LABELS), 2) == 0
