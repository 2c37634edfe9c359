"""Whole training steps as CUDA graphs: the host launches one graph a step instead of hundreds of kernels."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import SGD

log = logging.getLogger(__name__)
WARM_UP = 3  # eager calls before capture: cuDNN chooses its algorithms, Adam makes its state


class Captured:
    """`function` of CUDA tensors; after WARM_UP eager calls one CUDA graph, replayed for inputs of the same shapes.

    A replay launches the kernels of an eager call with the next random numbers of the default generator, so the values
    are those of eager calls up to the order of sums in kernels that leave it open. What `function` does on the host
    happens once, in `recording`, and in each replay's stead `replayed` is called. What is constant for the host (a
    learning rate) is constant in the graph. Inputs of other shapes run eagerly.

    Where capture fails, all calls run eagerly: with a line in the log, or, if `required`, with RuntimeError.
    """

    def __init__(
        self,
        function: Callable[..., Tensor],
        what: str,
        required: bool = False,
        recording: Callable[[], AbstractContextManager[Any]] = nullcontext,
        replayed: Callable[[], None] = lambda: None,
    ) -> None:
        self.function, self.what, self.required = function, what, required
        self.recording, self.replayed = recording, replayed
        self.stream = torch.cuda.Stream()
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.failed = False
        self._inputs: list[Tensor] = []
        self._output: Tensor | None = None

    def __call__(self, *inputs: Tensor) -> Tensor:
        self.calls += 1
        if self.calls <= WARM_UP:
            return self._on_own_stream(*inputs)
        if self.graph is None and not self.failed:
            self._capture(inputs)
        if self.graph is None or [x.shape for x in inputs] != [x.shape for x in self._inputs]:
            return self.function(*inputs)
        for static, new in zip(self._inputs, inputs, strict=True):
            static.copy_(new)
        self.graph.replay()
        self.replayed()
        assert self._output is not None
        return self._output.clone()

    def _on_own_stream(self, *inputs: Tensor) -> Tensor:
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            output = self.function(*inputs)
        current.wait_stream(self.stream)
        return output

    def _capture(self, inputs: Sequence[Tensor]) -> None:
        generator = torch.cuda.default_generators[torch.cuda.current_device()]
        random_state = generator.clone_state()
        graph = torch.cuda.CUDAGraph()
        self._inputs = [x.clone() for x in inputs]
        try:
            with self.recording(), torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self._output = self.function(*self._inputs)
        except Exception as error:  # CUDA and user code raise anything
            generator.graphsafe_set_state(random_state)  # a broken capture leaves it unusable
            _run_eagerly(self.what, str(error) or type(error).__name__, self.required, error)
            self.failed = True
        else:
            self.graph = graph


def _run_eagerly(what: str, reason: str, required: bool, cause: Exception | None = None) -> None:
    """Say so in the log, or, if capture is required, raise RuntimeError."""
    if required:
        remedy = "trainer.capture=auto runs it eagerly"
        raise RuntimeError(f"trainer.capture=true: {what} can't be captured: {reason}; {remedy}") from cause
    first = reason.splitlines()[0]
    log.warning("trainer.capture: %s can't be captured and runs eagerly, more slowly: %s", what, first)


def on_streams(functions: Sequence[Callable[[], Tensor]]) -> Callable[[], Tensor]:
    """One function that runs all side by side, each on its own CUDA stream, and stacks their values; to be captured."""
    streams = [torch.cuda.Stream() for _ in functions]

    def run() -> Tensor:
        current = torch.cuda.current_stream()
        values = []
        for stream, function in zip(streams, functions, strict=True):
            stream.wait_stream(current)
            with torch.cuda.stream(stream):
                values.append(function())
        for stream in streams:
            current.wait_stream(stream)
        return torch.stack(values)

    return run


class CaptureSteps(lightning.Callback):
    """Capture `step` of the module and `prepare_training` of the data module while a training runs on one CUDA device.

    For modules with manual optimization whose `step` takes a batch's tensors, does every update and returns a tensor.
    `prepare_training` stays eager where the data module is not `capturable`: a graph would repeat one batch's draws.
    """

    def __init__(self, required: bool) -> None:
        self.required = required

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        reason = impossible(trainer)
        if reason is not None:
            if self.required:
                raise RuntimeError(f"trainer.capture=true: {reason}")
            if trainer.strategy.root_device.type == "cuda":
                log.warning("trainer.capture: steps run eagerly, more slowly: %s", reason)
            return
        for optimizer in trainer.optimizers:
            for group in optimizer.param_groups:
                group["capturable"] = True
            # torch warns of capturable steps outside a capture, which the first ones are.
            optimizer._warned_capturable_if_run_uncaptured = True
        module: Any = pl_module
        progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress

        @contextmanager
        def uncounted() -> Iterator[None]:
            before = progress.state_dict()
            try:
                yield
            finally:
                progress.load_state_dict(before)

        def count() -> None:
            for _ in trainer.optimizers:
                progress.increment_ready()
                progress.increment_completed()

        module.step = Captured(module.step, "the training step", self.required, uncounted, count)
        data: Any = getattr(trainer, "datamodule", None)
        if data is not None and data.capturable:
            data.prepare_training = Captured(data.prepare_training, "augmentation", self.required)
        elif data is not None:
            _run_eagerly("augmentation", "it draws on the host, and a graph would repeat one draw", self.required)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._restore(trainer, pl_module)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._restore(trainer, pl_module)

    @staticmethod
    def _restore(trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        for owner, name in ((pl_module, "step"), (getattr(trainer, "datamodule", None), "prepare_training")):
            if owner is not None:
                vars(owner).pop(name, None)


def impossible(trainer: lightning.Trainer) -> str | None:
    """Why steps of this trainer can't be CUDA graphs, or None."""
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return f"CUDA graphs need a CUDA device, not {device.type}"
    if trainer.world_size > 1:
        return f"CUDA graphs are for one device, not trainer.devices={trainer.world_size}"
    if trainer.lr_scheduler_configs:
        return "a CUDA graph would keep the learning rate of its first step; use classifier.schedule=null to have one"
    for optimizer in trainer.optimizers:
        if "capturable" not in optimizer.defaults and not isinstance(optimizer, SGD):  # which counts no steps
            return f"{type(optimizer).__name__} counts its steps on the host, which a CUDA graph would not repeat"
    return None
