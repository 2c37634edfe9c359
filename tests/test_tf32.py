"""TF32 is allowed or forbidden for as long as a training runs, and then set as it was before."""

import lightning
import pytest
import torch
from torch.utils.data import DataLoader

from fer_experiments.trainer.callbacks.tf32 import AllowTF32


def get_flags() -> tuple[bool, bool]:
    return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32


def set_flags(cudnn: bool, matmul: bool) -> None:
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = cudnn, matmul


@pytest.fixture(params=[(True, False), (False, True)], ids=["cudnn", "matmul"])
def previous_flags(request):
    """Set the flags before a training: one is set and the other is not, so that exchanging them would show."""
    flags = get_flags()
    set_flags(*request.param)
    yield request.param
    set_flags(*flags)


class Recorder(lightning.LightningModule):
    """A module that records the flags in each step and may raise."""

    def __init__(self, error: type[BaseException] | None = None) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.error, self.flags = error, []

    def training_step(self, batch, batch_idx):
        self.flags.append(get_flags())
        if self.error is not None:
            raise self.error

    def configure_optimizers(self):
        return torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1)


def fit(model: Recorder, allowed: bool) -> None:
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        callbacks=[AllowTF32(allowed)],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(model, DataLoader([torch.zeros(1), torch.zeros(1)], batch_size=None))


@pytest.mark.parametrize("allowed", [True, False])
def test_flags_are_set_during_a_training_and_restored_after_it(previous_flags, allowed):
    model = Recorder()
    fit(model, allowed)
    assert model.flags == [(allowed, allowed)] * 2
    assert get_flags() == previous_flags


@pytest.mark.parametrize("allowed", [True, False])
def test_flags_are_restored_after_an_exception(previous_flags, allowed):
    model = Recorder(error=ZeroDivisionError)
    with pytest.raises(ZeroDivisionError):
        fit(model, allowed)
    assert model.flags == [(allowed, allowed)]
    assert get_flags() == previous_flags
