"""A moving average of the weights, which stands in for them wherever a classifier is judged or kept."""

from copy import deepcopy
from typing import Any

import lightning
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def decay_after(updates: int, decay: float) -> float:
    """`decay`, but at first less: a fixed .999 would leave most of the initial weights in a training of 300 steps.

    min(decay, (1 + n) / (10 + n)), as TensorFlow's ExponentialMovingAverage: about the last ninth of the steps so far.
    """
    return min(decay, (1 + updates) / (10 + updates))


class WeightAverage(lightning.Callback):
    """Average `network` of the module, buffers (BatchNorm's statistics) too, after each step.

    From the start of a validation to the next training step, and after training, the module holds the average: so
    validation, every checkpoint written then, and what is predicted from it are the average's. Lightning's own
    EMAWeightAveraging is of no use here: a checkpoint of weights alone gets the weights as they are trained, and
    predict(ckpt_path=...) of the Trainer that made a full one loads those too.
    """

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: AveragedModel | None = None
        self._trained: dict[str, Any] | None = None  # the weights as they are trained, while the module holds others
        self._saved: dict[str, Any] | None = None  # of a checkpoint, until the training goes on

    def state_dict(self) -> dict[str, Any]:
        return {} if self.average is None else {"average": self.average.state_dict(), "trained": self._trained}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._saved = state_dict or None

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.average = AveragedModel(_network(pl_module), multi_avg_fn=self._update, use_buffers=True)
        if self._saved is not None:
            self.average.load_state_dict(self._saved["average"])
            self._trained, self._saved = self._saved["trained"], None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if self._trained is not None:
            _network(pl_module).load_state_dict(self._trained)
            self._trained = None

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert self.average is not None
        self.average.update_parameters(_network(pl_module))

    def on_validation_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._stand_in(_network(pl_module))

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._stand_in(_network(pl_module))

    def _stand_in(self, network: nn.Module) -> None:
        if self.average is not None and self._trained is None:
            self._trained = deepcopy(network.state_dict())
            network.load_state_dict(self.average.module.state_dict())  # in place: a CUDA graph knows the addresses

    def _update(self, averages: Any, weights: Any, updates: Tensor | int) -> None:
        assert self.average is not None
        decay = decay_after(int(self.average.n_averaged), self.decay)  # on the host, unlike `updates`
        get_ema_multi_avg_fn(decay)(averages, weights, updates)


def _network(module: lightning.LightningModule) -> nn.Module:
    network = module.network
    assert isinstance(network, nn.Module)
    return network
