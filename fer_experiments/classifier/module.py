"""The classifier as a LightningModule."""

import math
from typing import Any, ClassVar

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fer_experiments.augment import Mixing
from fer_experiments.classifier.recipe import Schedule, build_optimizer, build_schedule, mirrored_logits
from fer_experiments.classifier.step import METRICS, classification_step
from fer_experiments.errors import NonFiniteError
from fer_experiments.evaluation.metrics import validation_metrics

MONITOR = "valid/balanced_accuracy"


class Classifier(lightning.LightningModule):
    """Training of `network` on batches (images (B, C, S, S) in [0, 1], labels (B,), perhaps weights (B,)), optimized
    manually.

    optimizer, learning_rate, schedule: as ClassifierConfig; objective: as balance.Objective, what is minimised and how
    predictions are read; mixing: as augment.Mixing; mirror_test: predictions, in validation too, are of an image and
    its mirror image. Reported losses are plain cross-entropies. predict_step gives (logits, labels).
    """

    metrics: ClassVar[tuple[str, ...]] = METRICS
    """What `step` returns, by the names under which the mean of an epoch is logged."""
    objects: ClassVar[tuple[str, ...]] = ("network", "objective", "mixing")
    """Arguments that are no settings, and so have no place in a checkpoint's."""

    def __init__(
        self,
        network: nn.Module,
        *,
        classes: list[str],
        optimizer: dict[str, Any],
        learning_rate: float,
        objective: nn.Module,
        schedule: Schedule | None = None,
        mixing: Mixing | None = None,
        label_smoothing: float = 0.0,
        mirror_test: bool = False,
        provenance: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=self.objects)
        self.automatic_optimization = False
        self.network = network.to(memory_format=torch.channels_last)
        self.classes, self.learning_rate = classes, learning_rate
        self.optimizer, self.schedule, self.mirror_test = optimizer, schedule, mirror_test
        self.objective: Any = objective
        self.mixing, self.label_smoothing = mixing, label_smoothing
        self.history: list[dict[str, float]] = []
        self._train: list[Tensor] = []
        self._valid: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> Any:
        parameters = [*self.network.parameters(), *self.objective.parameters()]
        return self.scheduled(build_optimizer(self.optimizer, self.learning_rate, parameters))

    def scheduled(self, optimizer: Optimizer) -> dict[str, Any]:
        """The optimizer with the schedule of its learning rate, if there is one."""
        if self.schedule is None:
            return {"optimizer": optimizer}
        steps = int(self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": build_schedule(self.schedule, optimizer, steps)}

    def on_train_epoch_start(self) -> None:
        assert self.trainer.max_epochs is not None
        self.objective.start_epoch(self.current_epoch / self.trainer.max_epochs)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._train.append(self.step(*batch))
        if self.schedule is not None:
            found: Any = self.lr_schedulers()
            for schedule in found if isinstance(found, list) else [found]:
                schedule.step()  # which Lightning does in automatic optimization alone

    def step(self, images: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """One update; returns `metrics`."""
        return classification_step(
            self.network,
            self.optimizers(),
            images,
            labels,
            self.objective,
            self.label_smoothing,
            self.mixing,
            weights,
            self.manual_backward,
            self._over_devices,
        )

    def _over_devices(self, values: Tensor) -> Tensor:
        return self.trainer.strategy.reduce(values, reduce_op="mean")

    def logits(self, images: Tensor) -> Tensor:
        """images (B, C, S, S) in [0, 1] -> logits (B, K) of the prediction."""
        found = mirrored_logits(self.network, images) if self.mirror_test else self.network(images)
        return self.objective.predict(found)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._valid.append((self.logits(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat(parts) for parts in zip(*self._valid, strict=True))
        self._valid.clear()
        values = {f"valid/{name}": value for name, value in validation_metrics(logits, labels).items()}
        if self._train:
            means = self._over_devices(torch.stack(self._train).mean(0)).tolist()
            self._train.clear()
            if not all(map(math.isfinite, means)):
                raise NonFiniteError(
                    f"the classifier's loss is not finite in epoch {self.current_epoch + 1}; try a smaller "
                    f"classifier.learning_rate (now {self.learning_rate})"
                )
            values |= dict(zip(self.metrics, means, strict=True))
            values["train/learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log_dict({**values, "epoch": float(self.current_epoch + 1)})  # Lightning's own counts from 0
        self.history.append({"epoch": self.current_epoch + 1, **values})

    def predict_step(
        self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0
    ) -> tuple[Tensor, Tensor]:
        return self.logits(batch[0]), batch[1]
