"""Means over training steps equal those computed by hand."""

import pytest
import torch

from fer_experiments.evaluation.step_means import StepMeans


def keep(means: torch.Tensor) -> torch.Tensor:
    """Stand for the mean over devices where there is one device."""
    return means


def test_means_are_those_of_the_steps_by_name():
    step_means = StepMeans()
    for loss, accuracy in ((1.0, 0.5), (2.0, 0.25), (6.0, 0.75)):
        step_means.add({"train/loss": torch.tensor(loss), "train/accuracy": torch.tensor(accuracy)})
    assert len(step_means) == 3
    assert step_means.compute(keep) == {"train/loss": 3.0, "train/accuracy": 0.5}


def test_without_steps_there_are_no_means_and_nothing_is_reduced():
    assert StepMeans().compute(lambda means: pytest.fail("there is nothing to reduce")) == {}


def test_means_are_only_over_the_steps_since_the_last_ones():
    step_means = StepMeans()
    step_means.add({"loss": torch.tensor(1.0)})
    assert step_means.compute(keep) == {"loss": 1.0}
    assert len(step_means) == 0
    assert step_means.compute(keep) == {}
    step_means.add({"loss": torch.tensor(5.0)})
    assert step_means.compute(keep) == {"loss": 5.0}


def test_means_are_reduced_over_devices_as_one_tensor():
    step_means = StepMeans()
    step_means.add({"a": torch.tensor(1.0), "b": torch.tensor(2.0)})
    on_the_second_device = torch.tensor([3.0, 6.0])
    assert step_means.compute(lambda means: (means + on_the_second_device) / 2) == {"a": 2.0, "b": 4.0}


def test_scalars_of_any_precision_are_averaged_in_32_bits_without_a_gradient():
    step_means = StepMeans()
    step_means.add({"loss": torch.tensor(256.0, dtype=torch.bfloat16, requires_grad=True)})
    step_means.add({"loss": torch.tensor(258.0, dtype=torch.bfloat16, requires_grad=True)})
    reduced = []
    assert step_means.compute(lambda means: reduced.append(means) or means) == {"loss": 257.0}  # 256 in bfloat16
    assert (reduced[0].dtype, reduced[0].requires_grad) == (torch.float32, False)
