"""Trained networks as modules from plain tensors to plain tensors, and the formats in which they are written."""

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
from fer_experiments.gan.trained import TrainedGenerator

Run = Callable[..., Tensor]
"""The network of a file that was read again: inputs -> output"""
EXAMPLES = 3  # rows of the inputs with which outputs are compared
TOLERANCE = 1e-4  # in probabilities and in pixels in [0, 1]


class ClassifierModule(nn.Module):
    """images (N, C, S, S) in [0, 1] -> probabilities (N, K), with the classifier's flip_test and shift."""

    shift: Tensor | None

    def __init__(self, trained: TrainedClassifier) -> None:
        super().__init__()
        self.network = trained.network
        self.register_buffer("shift", trained.shift)
        self._trained = trained

    def forward(self, images: Tensor) -> Tensor:
        return replace(self._trained, shift=self.shift).predict_batch(images).softmax(1)


class GeneratorModule(nn.Module):
    """z (N, latent_dim) and, if it is conditional, labels (N,) int64 -> images (N, C, S, S) in [0, 1]."""

    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        return (self.generator(z, labels) + 1) / 2


@dataclass(frozen=True)
class Exported:
    """A network to export.

    Attributes:
        module: plain tensors -> a plain tensor.
        inputs: {name: example with EXAMPLES rows}.
        output: the name of the output.
        metadata: is written beside the weights.
    """

    module: nn.Module
    inputs: dict[str, Tensor]
    output: str
    metadata: dict[str, str]

    def describe(self) -> str:
        """Return the inputs with their shapes, the output and the classes, in one line."""
        dimensions = {name: ["N", *map(str, example.shape[1:])] for name, example in self.inputs.items()}
        shapes = ", ".join(f"{name} ({', '.join(sizes)})" for name, sizes in dimensions.items())
        classes = json.loads(self.metadata["classes"])
        return f"{shapes.replace('(N)', '(N,)')} -> {self.output} of {', '.join(classes)}"

    def compare(self, run: Run) -> float:
        """Return the largest difference of `run` from the module, on all examples and on a single one.

        Raises ConfigError if it is more than TOLERANCE.
        """
        difference = 0.0
        for count in (EXAMPLES, 1):
            inputs = [example[:count] for example in self.inputs.values()]
            with torch.inference_mode():
                difference = max(difference, float((run(*inputs) - self.module(*inputs)).abs().max()))
        if not difference <= TOLERANCE:
            raise ConfigError(
                f"the exported network's output differs by {difference:.1e} from the checkpoint's; not written"
            )
        return difference


def load_checkpoint(path: Path, network: str | None, generator: bool = False) -> Exported:
    """Load the classifier of a checkpoint, or its generator.

    Args:
        path: the checkpoint.
        network: the class of the classifier's network, if it is not of this package.
        generator: load the generator even if there is a classifier.

    Raises:
        ConfigError: the checkpoint holds neither.
    """
    if generator:
        return _export_generator(TrainedGenerator.load(path))
    try:
        return _export_classifier(TrainedClassifier.load(path, network))
    except ConfigError as error:
        try:
            trained = TrainedGenerator.load(path)
        except ConfigError:
            raise error from None
        return _export_generator(trained)


def _export_generator(trained: TrainedGenerator) -> Exported:
    if not isinstance(trained.generator, Generator):
        raise ConfigError(
            f"its generator is a {type(trained.generator).__name__}, which makes an image in many steps; only the "
            "generator of a GAN can be exported. Write its images with python -m fer_experiments.generate"
        )
    labels = {"labels": torch.arange(EXAMPLES) % len(trained.classes)} if len(trained.classes) > 1 else {}
    z = torch.randn(EXAMPLES, trained.generator.latent_dim, generator=torch.Generator().manual_seed(0))
    metadata = {"classes": json.dumps(trained.classes), "split_hash": trained.split_hash}
    return Exported(GeneratorModule(trained.generator).eval(), {"z": z} | labels, "images", metadata)


def _export_classifier(trained: TrainedClassifier) -> Exported:
    side = trained.image_size
    images = torch.rand(EXAMPLES, trained.channels, side, side, generator=torch.Generator().manual_seed(0))
    metadata = {
        "classes": json.dumps(trained.classes),
        "split_hash": trained.split_hash,
        "sides": json.dumps([trained.cached_size, trained.bottleneck, side]),  # to which an image is resized in turn
        "stored_channels": str(trained.stored_channels),
    }
    return Exported(ClassifierModule(trained).eval(), {"images": images}, "probabilities", metadata)


def write_safetensors(exported: Exported, file: Path) -> Run:
    """Write the weights alone, to be loaded into the same module; return the network with the weights of the file."""
    safetensors = import_optional("safetensors.torch")
    state = exported.module.state_dict()
    safetensors.save_file({name: value.contiguous() for name, value in state.items()}, file, metadata=exported.metadata)
    loaded = safetensors.load_file(file)
    return lambda *inputs: torch.func.functional_call(exported.module, loaded, inputs)


def write_torch_export(exported: Exported, file: Path) -> Run:
    """Write a program that torch.export.load(FILE).module() runs without this package; return that of the file."""
    program = torch.export.export(
        exported.module, tuple(exported.inputs.values()), dynamic_shapes=_dynamic_shapes(exported)
    )
    buffer = io.BytesIO()  # torch names the archive after the file, and refuses a name that begins with a dot
    torch.export.save(program, buffer, extra_files={"facts.json": json.dumps(exported.metadata)})
    file.write_bytes(buffer.getvalue())
    return torch.export.load(io.BytesIO(buffer.getvalue())).module()


def write_onnx(exported: Exported, file: Path) -> Run:
    """Write an ONNX model; return that of the file, run by onnxruntime."""
    onnx, runtime = import_optional("onnx"), import_optional("onnxruntime")
    import_optional("onnxscript")  # torch.onnx needs it
    torch.onnx.export(
        exported.module,
        tuple(exported.inputs.values()),
        file,
        input_names=list(exported.inputs),
        output_names=[exported.output],
        dynamic_shapes=_dynamic_shapes(exported),
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    model = onnx.load(file)
    onnx.helper.set_model_props(model, exported.metadata)
    onnx.save(model, file)
    session = runtime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> Tensor:
        arrays = {name: tensor.numpy() for name, tensor in zip(exported.inputs, inputs, strict=True)}
        return torch.from_numpy(session.run(None, arrays)[0])

    return run


WRITERS: dict[str, Callable[[Exported, Path], Run]] = {
    "onnx": write_onnx,
    "safetensors": write_safetensors,
    "torch_export": write_torch_export,
}


def _dynamic_shapes(exported: Exported) -> tuple[Any, ...]:
    """Return shapes that leave the number of rows open, the same for all inputs."""
    rows = torch.export.Dim("rows")
    return tuple({0: rows} for _ in exported.inputs)


def import_optional(name: str) -> Any:
    """Import a package of the extra `export`. Raises ConfigError if it is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"needs {name.split('.')[0]}; run pip install 'fer-experiments[export]'") from None
