"""The classifier as a LightningModule."""

import math
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from fer_experiments.augment.mixing import Mixing
from fer_experiments.classifier.config import ClassifierConfig
from fer_experiments.classifier.head import set_training_mode
from fer_experiments.classifier.recipe import build_optimizer, build_schedule, flip_averaged_logits
from fer_experiments.classifier.step import classification_loss
from fer_experiments.errors import NonFiniteError
from fer_experiments.evaluation.metrics import validation_metrics
from fer_experiments.evaluation.step_means import StepMeans
from fer_experiments.evaluation.threshold import cross_fit, fit_shift

MONITORED_METRIC = "valid/balanced_accuracy"


class Classifier(lightning.LightningModule):
    """Train a network.

    Batches are images (B, C, S, S) in [0, 1], labels (B,) int64 and, if images differ in weight, weights (B,). Losses
    in logs and results are plain cross-entropies. predict_step returns (logits, labels), before
    classifier.threshold.
    """

    def __init__(
        self,
        network: nn.Module,
        config: ClassifierConfig,
        *,
        classes: list[str],
        objective: nn.Module,
        provenance: dict[str, Any],
        mixing: Mixing | None = None,
        settings: dict[str, Any] | None = None,
    ) -> None:
        """Prepare the training of `network`.

        Args:
            network: images (B, C, S, S) -> logits (B, K).
            config: the optimizer and the rest of the training recipe.
            classes: the names of the K classes, in the order of the labels.
            objective: what is minimized, and how logits become predictions (balance.Objective).
            provenance: what the checkpoint records of the training for TrainedClassifier (build_provenance).
            mixing: of pairs of images in each batch; None: images are not mixed.
            settings: what a subclass adds to its checkpoints' settings, of types that load with weights_only.
        """
        super().__init__()
        self.save_hyperparameters(
            {
                "classifier": config.model_dump(mode="json"),
                "classes": classes,
                "provenance": provenance,
                **(settings or {}),
            },
            logger=False,
        )
        self.network = network.to(memory_format=torch.channels_last)
        self.config, self.classes = config, classes
        self.objective: Any = objective
        self.mixing = mixing
        self.threshold_shift: Tensor | None
        shift = None if config.threshold is None else torch.zeros(len(classes))
        self.register_buffer("threshold_shift", shift)  # a checkpoint has that of its epoch
        self.history: list[dict[str, float]] = []
        self._step_means = StepMeans()
        self._validation_outputs: list[tuple[Tensor, Tensor]] = []
        self.train()

    def train(self, mode: bool = True) -> "Classifier":
        super().train(mode)
        if self.config.freeze is not None:
            set_training_mode(self.network, mode)
        return self

    def configure_optimizers(self) -> Any:
        parameters = [p for p in (*self.network.parameters(), *self.objective.parameters()) if p.requires_grad]
        return self.with_schedule(build_optimizer(self.config.optimizer, self.config.learning_rate, parameters))

    def with_schedule(self, optimizer: Optimizer) -> dict[str, Any]:
        """Return the optimizer in the form that Lightning takes, with its learning rate schedule if there is one."""
        if self.config.schedule is None:
            return {"optimizer": optimizer}
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = build_schedule(self.config.schedule, optimizer, steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        assert self.trainer.max_epochs is not None
        self.objective.start_epoch(self.current_epoch / self.trainer.max_epochs)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor | None:
        loss, metrics = self.compute_loss(*batch)
        self._step_means.add(metrics)
        return loss

    def compute_loss(
        self, images: Tensor, labels: Tensor, weights: Tensor | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss of a batch, and its metrics, {name: scalar}, whose names are the same in every step."""
        return classification_loss(
            self.network,
            images,
            labels,
            objective=self.objective,
            mixing=self.mixing,
            smoothing=self.config.label_smoothing,
            weights=weights,
            mean_over_devices=self.mean_over_devices,
        )

    def mean_over_devices(self, values: Tensor) -> Tensor:
        """Average values of any shape over the devices."""
        return self.trainer.strategy.reduce(values, reduce_op="mean")

    def logits(self, images: Tensor) -> Tensor:
        """images (B, C, S, S) in [0, 1] -> logits (B, K) of the prediction, before classifier.threshold."""
        logits = flip_averaged_logits(self.network, images) if self.config.flip_test else self.network(images)
        return self.objective.predict(logits)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self._validation_outputs.append((self.logits(batch[0]), batch[1]))

    def on_validation_epoch_end(self) -> None:
        logits, labels = (torch.cat(parts) for parts in zip(*self._validation_outputs, strict=True))
        self._validation_outputs.clear()
        if self.threshold_shift is not None:
            logits = logits.float().cpu()
            self.threshold_shift.copy_(torch.from_numpy(fit_shift(logits.numpy(), labels.cpu().numpy())))
            logits = torch.from_numpy(cross_fit(logits.numpy(), labels.cpu().numpy()))
        values = {f"valid/{name}": value for name, value in validation_metrics(logits, labels).items()}
        means = self._step_means.compute(self.mean_over_devices)
        if not all(map(math.isfinite, means.values())):
            raise NonFiniteError(
                f"the classifier's loss is not finite in epoch {self.current_epoch + 1}; try a smaller "
                f"classifier.learning_rate (now {self.config.learning_rate})"
            )
        if means:
            values |= means
            values["train/learning_rate"] = self.trainer.optimizers[0].param_groups[0]["lr"]
        self.log_dict({**values, "epoch": float(self.current_epoch + 1)})  # Lightning's own epoch counts from 0
        self.history.append({"epoch": self.current_epoch + 1, **values})

    def predict_step(
        self, batch: tuple[Tensor, Tensor], batch_idx: int, dataloader_idx: int = 0
    ) -> tuple[Tensor, Tensor]:
        return self.logits(batch[0]), batch[1]
