"""The classifier as a LightningModule."""

import math
from typing import Any

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn

from fer_experiments.classifier.recipe import Schedule, build_optimizer, build_schedule, mirrored_logits
from fer_experiments.classifier.step import METRICS, classification_step
from fer_experiments.errors import NonFiniteError
from fer_experiments.evaluation.metrics import validation_metrics

MONITOR = "valid/balanced_accuracy"


class Classifier(lightning.LightningModule):
    """Cross-entropy training of `network` on batches (images (B, C, S, S) in [0, 1], labels (B,)), optimized manually.

    class_weights (K,) weigh the training loss; reported losses are unweighted. predict_step gives (logits, labels);
    mirror_test: of an image and its mirror image, in validation too.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        classes: list[str],
        optimizer: dict[str, Any],
        learning_rate: float,
        schedule: Schedule | None = None,
        mirror_test: bool = False,
        class_weights: Tensor | None = None,
        provenance: dict[str, Any],
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["network", "class_weights"])
        self.automatic_optimization = False
        self.network = network.to(memory_format=torch.channels_last)
        self.classes, self.learning_rate = classes, learning_rate
        self.optimizer, self.schedule, self.mirror_test = optimizer, schedule, mirror_test
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights, persistent=False)
        self.history: list[dict[str, float]] = []
        self._train: list[Tensor] = []
        self._valid: list[tuple[Tensor, Tensor]] = []

    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = build_optimizer(self.optimizer, self.learning_rate, self.parameters())
        if self.schedule is None:
            return optimizer
        steps = int(self.trainer.estimated_stepping_batches)
        return {"optimizer": optimizer, "lr_scheduler": build_schedule(self.schedule, optimizer, steps)}

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._train.append(self.step(*batch))
        if self.schedule is not None:
            schedule: Any = self.lr_schedulers()
            schedule.step()  # which Lightning does in automatic optimization alone

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """One update; returns classification_step's METRICS."""
        return classification_step(
            self.network, self.optimizers(), images, labels, self.class_weights, self.manual_backward
        )

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._valid.append((self._logits(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat(parts) for parts in zip(*self._valid, strict=True))
        self._valid.clear()
        values = {f"valid/{name}": value for name, value in validation_metrics(logits, labels).items()}
        if self._train:
            means = torch.stack(self._train).mean(0).tolist()
            self._train.clear()
            if not math.isfinite(means[0]):
                raise NonFiniteError(
                    f"the classifier's loss is not finite in epoch {self.current_epoch + 1}; try a smaller "
                    f"classifier.learning_rate (now {self.learning_rate})"
                )
            values |= {f"train/{name}": value for name, value in zip(METRICS, means, strict=True)}
            values["train/learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log_dict(values)
        self.history.append({"epoch": self.current_epoch + 1, **values})

    def predict_step(
        self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0
    ) -> tuple[Tensor, Tensor]:
        return self._logits(batch[0]), batch[1]

    def _logits(self, images: Tensor) -> Tensor:
        return mirrored_logits(self.network, images) if self.mirror_test else self.network(images)
