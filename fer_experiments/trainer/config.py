"""What conf/trainer/ configures (trainer/build.py builds Lightning's Trainer from it)."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from fer_experiments.errors import ConfigError
from fer_experiments.strict_config import StrictConfig
from fer_experiments.trainer_arguments import ADDABLE

if TYPE_CHECKING:
    import torch

Positive = Annotated[int, Field(ge=1)]
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
# These don't change what a training computes, and so have no part in its fingerprint.
WITHOUT_EFFECT = {"detect_anomaly", "enable_model_summary", "inference_mode", "profiler"}


class TrainerConfig(StrictConfig):
    """The keys of conf/trainer/auto.yaml, which explains them, and arguments of lightning.Trainer that may be added."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: int | list[int] | Literal["auto"]
    num_nodes: Positive
    strategy: str
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    tf32: bool
    max_epochs: Positive | None
    limit_batches: Positive | None
    log_every_n_steps: Positive
    progress: bool

    accumulate_grad_batches: Positive | None = None
    benchmark: bool | None = None
    detect_anomaly: bool | None = None
    deterministic: Literal["warn"] | bool | None = None
    enable_model_summary: bool | None = None
    gradient_clip_algorithm: Literal["norm", "value"] | None = None
    gradient_clip_val: Annotated[float, Field(gt=0)] | None = None
    inference_mode: bool | None = None
    profiler: Literal["simple", "advanced", "pytorch"] | None = None

    @field_validator("devices", mode="before")
    @classmethod
    def _check_devices(cls, devices: Any) -> Any:
        is_count = type(devices) is int and devices > 0
        is_list = isinstance(devices, list) and bool(devices) and all(type(n) is int and n >= 0 for n in devices)
        if not (is_count or is_list or devices == "auto"):
            raise ValueError("must be how many devices, 1 or more, a list of their numbers such as [0,2], or auto")
        return devices

    @model_validator(mode="after")
    def _check_strategy(self) -> "TrainerConfig":
        if self.strategy not in STRATEGIES:
            raise ValueError(
                f"strategy={self.strategy}: models are trained on one device (auto) or by DDP "
                f"({', '.join(STRATEGIES[1:])}), since every checkpoint holds the whole model; use strategy=auto or "
                "trainer=ddp"
            )
        return self

    @model_validator(mode="after")
    def _check_precision(self) -> "TrainerConfig":
        if self.precision == "16-mixed" and self.gradient_clip_val is not None:
            raise ValueError(
                "precision=16-mixed: its gradients are scaled when they would be clipped; use precision=bf16-mixed, or "
                "leave out gradient_clip_val"
            )
        return self

    def check_devices(self) -> None:
        """Raise ConfigError if the devices of this machine can't do what is configured. Imports torch."""
        import torch

        has_mps = torch.backends.mps.is_available()
        if self.accelerator == "gpu" and not (torch.cuda.is_available() or has_mps):
            raise ConfigError(
                "trainer: accelerator=gpu: torch finds no GPU here; use accelerator=cpu or accelerator=auto"
            )
        if self.accelerator == "mps" and not has_mps:
            raise ConfigError(
                "trainer: accelerator=mps: torch finds no Apple GPU here; use accelerator=cpu or accelerator=auto"
            )
        if self.precision == "16-mixed" and not self.uses_cuda:
            raise ConfigError(
                "trainer: precision=16-mixed: needs a CUDA device, because a CPU is hundreds of times slower in half "
                "precision; use precision=32-true or, on a CPU with AMX, bf16-mixed"
            )
        self._check_devices_exist()
        if self.is_distributed and self.strategy == "auto":
            raise ConfigError(
                f"trainer: strategy={self.strategy}: {self.device_count} device(s) on {self.num_nodes} node(s) train "
                "by DDP; use trainer=ddp"
            )

    def _check_devices_exist(self) -> None:
        import torch

        available = torch.cuda.device_count()
        if self.device_type == "cuda" and self.device_count > available:
            raise ConfigError(
                f"trainer.devices={self.devices}: torch finds {available} GPU(s) here; use as many, or accelerator=cpu"
            )
        if not isinstance(self.devices, list):
            return
        if self.device_type != "cuda":
            raise ConfigError(f"trainer.devices={self.devices}: numbers are those of GPUs; use trainer.devices=1")
        if len(set(self.devices)) < len(self.devices) or max(self.devices) >= available:
            raise ConfigError(
                f"trainer.devices={self.devices}: torch numbers the {available} GPU(s) here from 0; name each once"
            )

    @property
    def arguments_with_effect(self) -> dict[str, Any]:
        """The added arguments of lightning.Trainer that can change the result of a training."""
        values = {name: getattr(self, name) for name in sorted(ADDABLE - WITHOUT_EFFECT)}
        return {name: value for name, value in values.items() if value is not None}

    @property
    def uses_cuda(self) -> bool:
        """Whether trainings run on CUDA devices of this machine."""
        import torch

        return self.accelerator in ("auto", "gpu") and torch.cuda.is_available()

    @property
    def first_device(self) -> str:
        """The device, as torch names it, of work that one device does: "cuda:1" for devices=[1,2], else cuda or cpu."""
        if not self.uses_cuda:
            return "cpu"
        return f"cuda:{self.devices[0]}" if isinstance(self.devices, list) else "cuda"

    @property
    def on_first_device(self) -> "TrainerConfig":
        """The same for work that one device does."""
        devices = self.devices[:1] if isinstance(self.devices, list) else 1
        return self.model_copy(update={"devices": devices, "num_nodes": 1, "strategy": "auto"})

    @property
    def chosen_precision(self) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
        """The precision; for auto, bf16-mixed where that is faster than 32-true."""
        if self.precision != "auto":
            return self.precision
        from fer_experiments.trainer.bfloat16 import has_fast_bfloat16

        return "bf16-mixed" if has_fast_bfloat16(self.device_type) else "32-true"

    @property
    def device_type(self) -> str:
        """Return cuda, mps or cpu, as Lightning chooses it."""
        import torch

        if self.uses_cuda:
            return "cuda"
        return "mps" if self.accelerator != "cpu" and torch.backends.mps.is_available() else "cpu"

    @property
    def device_count(self) -> int:
        """How many devices there are on each node; devices=auto takes every GPU, or the one CPU."""
        if isinstance(self.devices, list):
            return len(self.devices)
        if self.devices != "auto":
            return self.devices
        import torch

        return torch.cuda.device_count() if self.uses_cuda else 1

    @property
    def world_size(self) -> int:
        """How many devices there are on all nodes together."""
        return self.device_count * self.num_nodes

    @property
    def is_distributed(self) -> bool:
        """Whether a training runs on more than one device."""
        return self.world_size > 1

    @property
    def synchronises_batch_norm(self) -> bool:
        """Whether BatchNorm normalises by the batches of all devices together (torch's SyncBatchNorm)."""
        return self.is_distributed and self.uses_cuda

    def arithmetic(self, device: "torch.device") -> str:
        """Return what a training on `device` computes in: "fp32", "fp32 (TF32)", "bf16-mixed" or "16-mixed"."""
        if self.chosen_precision != "32-true":
            return self.chosen_precision
        return "fp32 (TF32)" if self.tf32 and device.type == "cuda" else "fp32"

    def limit_epochs(self, epochs: int) -> int:
        """Return `epochs`, or max_epochs if that is less."""
        return epochs if self.max_epochs is None else min(epochs, self.max_epochs)
