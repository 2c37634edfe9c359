"""What a training on several devices needs beside DDP: random numbers for each rank, and BatchNorm's statistics."""

from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor, distributed

from fer_experiments.distributed import world_size
from fer_experiments.random_streams import RandomStream


class SyncBatchNormStatistics(lightning.Callback):
    """Give each rank random numbers of its own, and all ranks the same running statistics of BatchNorm.

    On GPUs BatchNorm normalises by the whole batch (SyncBatchNorm). That does not exist for CPUs: there BatchNorm
    normalises by the rank's share of the batch, and after each step its running statistics become the mean over ranks.
    Must be the first of the callbacks that draw random numbers.
    """

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        seed = np.random.SeedSequence([data.seed, RandomStream.RANK, trainer.global_rank])
        torch.manual_seed(int(seed.generate_state(1)[0]))

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        statistics = [buffer for buffer in pl_module.buffers() if buffer.is_floating_point()]
        if statistics and trainer.strategy.root_device.type == "cpu":
            average_statistics(statistics)


@torch.no_grad()
def average_statistics(buffers: list[Tensor]) -> None:
    """Replace each buffer by its mean over the ranks, in place."""
    flat = torch.cat([buffer.reshape(-1) for buffer in buffers])
    distributed.all_reduce(flat)
    means = (flat / world_size()).split([buffer.numel() for buffer in buffers])
    for buffer, mean in zip(buffers, means, strict=True):
        buffer.copy_(mean.view_as(buffer))
