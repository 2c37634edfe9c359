"""Networks as others run them: one module from plain tensors to plain tensors, and the formats it is written in."""

import importlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fer_experiments.classifier.trained import TrainedClassifier
from fer_experiments.errors import ConfigError
from fer_experiments.gan.networks import Generator
from fer_experiments.gan.sampling import TrainedGenerator

Run = Callable[..., Tensor]
EXAMPLES = 3  # rows of what is compared
TOLERANCE = 1e-4  # of probabilities and of pixels in [0, 1]


class ClassifierModule(nn.Module):
    """images (N, C, S, S) in [0, 1] -> probabilities (N, K), mirrored and shifted as the classifier is."""

    shift: Tensor | None

    def __init__(self, trained: TrainedClassifier) -> None:
        super().__init__()
        self.network = trained.network
        self.register_buffer("shift", trained.shift)
        self._trained = trained

    def forward(self, images: Tensor) -> Tensor:
        return replace(self._trained, shift=self.shift).read(images).softmax(1)


class GeneratorModule(nn.Module):
    """z (N, latent_dim), and of a conditional generator labels (N,) int64 -> images (N, C, S, S) in [0, 1]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return (self.generator(z, labels) + 1) / 2


@dataclass(frozen=True)
class Exported:
    """module, example inputs of EXAMPLES rows by name, the output's name, and facts that travel with the weights."""

    module: nn.Module
    inputs: dict[str, Tensor]
    output: str
    facts: dict[str, str]

    @property
    def says(self) -> str:
        shapes = ", ".join(f"{name} (N, {', '.join(map(str, one.shape[1:]))})" for name, one in self.inputs.items())
        return f"{shapes.replace('(N, )', '(N,)')} -> {self.output} of {', '.join(json.loads(self.facts['classes']))}"

    def difference(self, run: Run) -> float:
        """The largest difference of `run` from the module, on all examples and on one. Raises ConfigError if large."""
        worst = 0.0
        for count in (EXAMPLES, 1):
            given = [one[:count] for one in self.inputs.values()]
            with torch.inference_mode():
                worst = max(worst, float((run(*given) - self.module(*given)).abs().max()))
        if not worst <= TOLERANCE:
            raise ConfigError(
                f"the exported network's output differs by {worst:.1e} from the checkpoint's; not written"
            )
        return worst


def read_checkpoint(path: Path, network: str | None, generator: bool = False) -> Exported:
    """The classifier of a checkpoint, or the generator where that is asked for or is all there is.

    Raises ConfigError where it is of neither.
    """
    if generator:
        return _generator(TrainedGenerator.load(path))
    try:
        return _classifier(TrainedClassifier.load(path, network))
    except ConfigError as error:
        try:
            made = TrainedGenerator.load(path)
        except ConfigError:
            raise error from None
        return _generator(made)


def _generator(made: TrainedGenerator) -> Exported:
    labels = {"labels": torch.arange(EXAMPLES) % len(made.classes)} if len(made.classes) > 1 else {}
    z = torch.randn(EXAMPLES, made.generator.latent_dim, generator=torch.Generator().manual_seed(0))
    facts = {"classes": json.dumps(made.classes), "split_hash": made.split_hash}
    return Exported(GeneratorModule(made.generator).eval(), {"z": z} | labels, "images", facts)


def _classifier(trained: TrainedClassifier) -> Exported:
    side = trained.image_size
    images = torch.rand(EXAMPLES, trained.channels, side, side, generator=torch.Generator().manual_seed(0))
    facts = {
        "classes": json.dumps(trained.classes),
        "split_hash": trained.split_hash,
        "sides": json.dumps([trained.cached_size, trained.bottleneck, side]),  # that an image passes through
        "stored_channels": str(trained.stored_channels),
    }
    return Exported(ClassifierModule(trained).eval(), {"images": images}, "probabilities", facts)


def write_safetensors(exported: Exported, file: Path) -> Run:
    """Weights alone, with the facts as metadata; to be loaded into the module that made them."""
    safetensors = _needed("safetensors.torch")
    state = exported.module.state_dict()
    safetensors.save_file({name: value.contiguous() for name, value in state.items()}, file, metadata=exported.facts)
    loaded = safetensors.load_file(file)
    return lambda *inputs: torch.func.functional_call(exported.module, loaded, inputs)


def write_torch_export(exported: Exported, file: Path) -> Run:
    """A program of torch.export, which torch.export.load(FILE).module() runs without this package."""
    program = torch.export.export(exported.module, tuple(exported.inputs.values()), dynamic_shapes=_batches(exported))
    buffer = io.BytesIO()  # torch names the archive by the file, and refuses what begins with a dot
    torch.export.save(program, buffer, extra_files={"facts.json": json.dumps(exported.facts)})
    file.write_bytes(buffer.getvalue())
    return torch.export.load(io.BytesIO(buffer.getvalue())).module()


def write_onnx(exported: Exported, file: Path) -> Run:
    """ONNX, run by onnxruntime to compare."""
    onnx, runtime = _needed("onnx"), _needed("onnxruntime")
    _needed("onnxscript")
    torch.onnx.export(
        exported.module,
        tuple(exported.inputs.values()),
        file,
        input_names=list(exported.inputs),
        output_names=[exported.output],
        dynamic_shapes=_batches(exported),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(file)
    onnx.helper.set_model_props(model, exported.facts)
    onnx.save(model, file)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        given = {name: one.numpy() for name, one in zip(exported.inputs, inputs, strict=True)}
        return torch.from_numpy(session.run(None, given)[0])

    return run


WRITERS: dict[str, Callable[[Exported, Path], Run]] = {
    "onnx": write_onnx,
    "safetensors": write_safetensors,
    "torch_export": write_torch_export,
}


def _batches(exported: Exported) -> tuple[Any, ...]:
    """Any number of rows."""
    rows = torch.export.Dim("rows")
    return tuple({0: rows} for _ in exported.inputs)


def _needed(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"needs {name.split('.')[0]}; run pip install 'fer-experiments[export]'") from None
