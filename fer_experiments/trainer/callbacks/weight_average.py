"""A moving average of a classifier's weights, which is validated, saved and used for predictions in their place."""

from copy import deepcopy
from typing import Any

import lightning
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def decay_after(updates: int, decay: float) -> float:
    """Return min(decay, (1 + n) / (10 + n)) after n updates, as TensorFlow's ExponentialMovingAverage.

    At first that averages about the last ninth of the steps so far. A fixed decay of 0.999 would keep most of the
    initial weights in a training of 300 steps.
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage(lightning.Callback):
    """Average the module's `network`, buffers (BatchNorm's statistics) included, after each step.

    From the start of a validation to the next training step, and after the training, the module holds the average. So
    the validation, the checkpoints that are written then and their predictions are the average's. Lightning's own
    EMAWeightAveraging does not serve: its checkpoints of weights alone hold the weights that are trained, and
    predict(ckpt_path=...) of the Trainer that wrote a full checkpoint loads those as well.
    """

    def __init__(self, decay: float) -> None:
        """decay: of the average in each step, in (0, 1), once the first steps are over (see `decay_after`)."""
        self.decay = decay
        self.average: AveragedModel | None = None
        self._training_weights: dict[str, Any] | None = None  # kept while the module holds the average
        self._loaded_state: dict[str, Any] | None = None  # from a checkpoint, until the training starts
        self._last_step = 0

    def state_dict(self) -> dict[str, Any]:
        return {} if self.average is None else {"average": self.average.state_dict(), "trained": self._training_weights}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._loaded_state = state_dict or None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.average = AveragedModel(_network(pl_module), multi_avg_fn=self._update, use_buffers=True)
        self._last_step = trainer.global_step
        if self._loaded_state is not None:
            self.average.load_state_dict(self._loaded_state["average"])
            self._training_weights, self._loaded_state = self._loaded_state["trained"], None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._training_weights is not None:
            _network(pl_module).load_state_dict(self._training_weights)
            self._training_weights = None

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert self.average is not None
        if trainer.global_step != self._last_step:  # equal while trainer.accumulate_grad_batches gathers gradients
            self._last_step = trainer.global_step
            self.average.update_parameters(_network(pl_module))

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._swap_in_average(_network(pl_module))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._swap_in_average(_network(pl_module))

    def _swap_in_average(self, network: nn.Module) -> None:
        if self.average is not None and self._training_weights is None:
            self._training_weights = deepcopy(network.state_dict())
            network.load_state_dict(self.average.module.state_dict())

    def _update(self, averages: Any, weights: Any, updates: Tensor | int) -> None:
        assert self.average is not None
        decay = decay_after(int(self.average.n_averaged), self.decay)  # n_averaged is on the host, unlike `updates`
        get_ema_multi_avg_fn(decay)(averages, weights, updates)


def _network(module: lightning.LightningModule) -> nn.Module:
    network = module.network
    assert isinstance(network, nn.Module)
    return network
