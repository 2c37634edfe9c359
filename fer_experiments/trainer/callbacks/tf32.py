"""TF32 in multiplications on CUDA, for as long as a training runs."""

import lightning
import torch


class AllowTF32(lightning.Callback):
    """Allow or forbid TF32 while the Trainer trains or predicts, and put back what was set before."""

    def __init__(self, allowed: bool) -> None:
        self.allowed = allowed
        self._previous: tuple[bool, bool] | None = None

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        if self._previous is None:
            self._previous = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = self.allowed

    def teardown(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        self._restore()

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._previous is not None:
            torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = self._previous
            self._previous = None
