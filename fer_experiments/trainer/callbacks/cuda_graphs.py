"""Whole training steps as CUDA graphs: the host launches one graph a step instead of hundreds of kernels."""

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.optim import SGD
from torch.utils._pytree import tree_map

log = logging.getLogger(__name__)
STEPS = ("step", "step_with_penalty")  # of a module
SYNCHRONIZATION = "synchronizing CUDA operation"  # in the warnings of torch.cuda.set_sync_debug_mode
WARM_UP_CALLS = 3  # before the capture: cuDNN chooses its algorithms, Adam creates its state


class CapturedFunction:
    """A function of CUDA tensors that, after WARM_UP_CALLS eager calls, is replayed as one CUDA graph.

    If the last of these calls waits for the device, which no graph can, the function stays eager. After a capture that
    fails the process can't go on: it leaves streams and random generators in an undefined state.

    A replay launches the kernels of an eager call with the next random numbers of the default generator. Its values are
    those of eager calls, up to the order of sums in kernels that leave it open. What the function does on the host is
    done once, at the capture, and whatever is a constant for the host (a learning rate) is a constant of the graph.
    Inputs of other shapes run eagerly.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        name: str,
        required: bool = False,
        capture_context: Callable[[], AbstractContextManager[Any]] = nullcontext,
        on_replay: Callable[[], None] = lambda: None,
    ) -> None:
        """Wrap a function.

        Args:
            function: takes tensors, and returns a tensor or a container of tensors.
            name: what messages call it.
            required: if it can't be captured, raise RuntimeError instead of running eagerly with a line in the log.
            capture_context: a context in which the function is captured.
            on_replay: is called with every replay, in place of what the function does on the host.
        """
        self.function, self.name, self.required = function, name, required
        self.capture_context, self.on_replay = capture_context, on_replay
        self.stream = torch.cuda.Stream()
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.stays_eager = False
        self._inputs: list[Tensor] = []
        self._output: Any = None

    def __call__(self, *inputs: Tensor) -> Any:
        self.calls += 1
        if self.calls < WARM_UP_CALLS:
            return self._call_on_stream(*inputs)
        if self.calls == WARM_UP_CALLS:
            return self._call_and_examine(*inputs)
        if self.graph is None and not self.stays_eager:
            self._capture(inputs)
        if self.graph is None or [x.shape for x in inputs] != [x.shape for x in self._inputs]:
            return self.function(*inputs)
        for static_input, new_input in zip(self._inputs, inputs, strict=True):
            static_input.copy_(new_input)
        self.graph.replay()
        self.on_replay()
        return tree_map(torch.clone, self._output)

    def _call_on_stream(self, *inputs: Tensor) -> Any:
        current = torch.cuda.current_stream()
        self.stream.wait_stream(current)
        with torch.cuda.stream(self.stream):
            output = self.function(*inputs)
        current.wait_stream(self.stream)
        return output

    def _call_and_examine(self, *inputs: Tensor) -> Any:
        """Call the function eagerly; if it waits for the device, it stays eager."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                output = self._call_on_stream(*inputs)
            finally:
                torch.cuda.set_sync_debug_mode("default")
        waits = [warning for warning in caught if SYNCHRONIZATION in str(warning.message)]
        if waits:
            self.stays_eager = True
            reason = f"it waits for the device in {waits[0].filename}:{waits[0].lineno}"
            _fall_back_to_eager(self.name, reason, self.required)
        return output

    def _capture(self, inputs: Sequence[Tensor]) -> None:
        graph = torch.cuda.CUDAGraph()
        self._inputs = [x.clone() for x in inputs]
        try:
            with self.capture_context(), torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                self._output = self.function(*self._inputs)
        except Exception as error:  # CUDA and user code raise anything
            reason = str(error) or type(error).__name__
            raise RuntimeError(
                f"trainer.cuda_graphs: {self.name} can't be captured: {reason}; start again with "
                "trainer.cuda_graphs=false, which runs it eagerly"
            ) from error
        self.graph = graph


def _fall_back_to_eager(name: str, reason: str, required: bool) -> None:
    """Log why `name` runs eagerly, or raise RuntimeError if its capture is required."""
    if required:
        remedy = "trainer.cuda_graphs=auto runs it eagerly"
        raise RuntimeError(f"trainer.cuda_graphs=true: {name} can't be captured: {reason}; {remedy}")
    log.warning("trainer.cuda_graphs: %s can't be captured and runs eagerly, more slowly: %s", name, reason)


def run_on_streams(functions: Sequence[Callable[[], Tensor]]) -> Callable[[], Tensor]:
    """Return a function, to be captured, that runs each of them on its own CUDA stream and stacks their values."""
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


class CUDAGraphs(lightning.Callback):
    """Capture the module's steps and `prepare_training` of the data module while a training runs on one CUDA device.

    For modules with manual optimization whose `step` and `step_with_penalty` take a batch's tensors, do every update
    and return tensors; a module with automatic optimization, such as the classifier, runs eagerly: Lightning calls its
    optimizer. `prepare_training` stays eager if the data module is not `capturable`: a graph would repeat one batch's
    draws.
    """

    def __init__(self, required: bool) -> None:
        """required: raise RuntimeError if a step can't be captured, instead of running it eagerly."""
        self.required = required

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if pl_module.automatic_optimization:
            return
        reason = why_not_capturable(trainer)
        if reason is not None:
            if self.required:
                raise RuntimeError(f"trainer.cuda_graphs=true: {reason}")
            if trainer.strategy.root_device.type == "cuda":
                log.warning("trainer.cuda_graphs: steps run eagerly, more slowly: %s", reason)
            return
        _make_capturable(trainer.optimizers)
        module: Any = pl_module
        for name in STEPS:
            step = CapturedFunction(
                getattr(module, name),
                "the training step",
                self.required,
                lambda: _uncounted_steps(trainer),
                lambda: _count_steps(trainer),
            )
            setattr(module, name, step)
        data: Any = getattr(trainer, "datamodule", None)
        if data is not None and data.capturable:
            data.prepare_training = CapturedFunction(data.prepare_training, "augmentation", self.required)
        elif data is not None:
            reason = "it draws random numbers on the host, and a graph would repeat those of one batch"
            _fall_back_to_eager("augmentation", reason, self.required)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._restore(trainer, pl_module)

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self._restore(trainer, pl_module)

    @staticmethod
    def _restore(trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        data: Any = getattr(trainer, "datamodule", None)
        owners = [(pl_module, name) for name in STEPS] + ([] if data is None else [(data, "prepare_training")])
        for owner, name in owners:
            vars(owner).pop(name, None)


def _make_capturable(optimizers: Sequence[Any]) -> None:
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["capturable"] = True
        # torch warns of capturable steps outside a capture, and the warm-up consists of such steps.
        optimizer._warned_capturable_if_run_uncaptured = True


@contextmanager
def _uncounted_steps(trainer: lightning.Trainer) -> Iterator[None]:
    """Leave Lightning's counts of optimizer steps as they are: a capture takes no step."""
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    before = progress.state_dict()
    try:
        yield
    finally:
        progress.load_state_dict(before)


def _count_steps(trainer: lightning.Trainer) -> None:
    """Count one step of every optimizer, which Lightning does not see in a replay."""
    progress = trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
    for _ in trainer.optimizers:
        progress.increment_ready()
        progress.increment_completed()


def why_not_capturable(trainer: lightning.Trainer) -> str | None:
    """Return why the steps of this Trainer can't be CUDA graphs; None if they can."""
    device = trainer.strategy.root_device
    if device.type != "cuda":
        return f"CUDA graphs need a CUDA device, not {device.type}"
    if trainer.world_size > 1:
        return f"CUDA graphs are for one device, not trainer.devices={trainer.world_size}"
    if trainer.precision == "16-mixed":
        return "precision=16-mixed scales the loss by a number that the host changes"
    if trainer.lr_scheduler_configs:
        return "a CUDA graph would keep the learning rate of its first step; classifier.schedule=null has one rate only"
    for optimizer in trainer.optimizers:
        if "capturable" not in optimizer.defaults and not isinstance(optimizer, SGD):  # which counts no steps
            return f"{type(optimizer).__name__} counts its steps on the host, which a CUDA graph would not repeat"
    return None
