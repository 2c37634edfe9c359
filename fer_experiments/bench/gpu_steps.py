"""Time steps on one GPU, a line of JSON for each: python -m fer_experiments.bench.gpu_steps [--tiny].

Tutorial loops come first, in fp32 as they are; then our steps in a loop, in fp32, TF32 and bfloat16, each with cuDNN's
first and its fastest algorithms; then whole trainings with Lightning.
"""

import argparse
import json
from collections.abc import Iterator, Sequence

import torch

from fer_experiments.bench.cases import SIZES, overhead, step
from fer_experiments.bench.timing import DEVICE, WARM_UP, measure_flop_rate, measure_seconds
from fer_experiments.exit_status import run_command_line

BATCHES = (64, 128, 512)
PRECISIONS = ("fp32", "tf32", "bf16")
# The DCGAN's bytes of activations and their gradients an image in bfloat16 at 64 pixels; others by their size.
BYTES_PER_PIXEL = 16e6 / 64**2


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.gpu_steps", description=__doc__)
    parser.add_argument("--tiny", action="store_true", help="a tiny batch, two steps")
    options = parser.parse_args(arguments)
    for row in measure_steps(options.tiny):
        print(json.dumps(row), flush=True)


def measure_steps(tiny: bool) -> Iterator[dict[str, str | float]]:
    """Give a row for each kind of step: model, batch, implementation, precision, seconds and floor."""
    batches, steps = ((4,), 2) if tiny else (BATCHES, 50)
    flop: dict[tuple[str, int], float] = {}
    tutorials = []
    allow_tf32(False)  # torch's default allows it in convolutions
    for model in SIZES:
        for batch in batches:
            result = step(model, "tutorial", batch, SIZES[model], steps=steps)
            flop[model, batch] = result["flop"]
            tutorials.append((model, batch, "tutorial", "fp32", result["seconds"]))
    floors = {precision: measure_floor(precision, 256 if tiny else 8192) for precision in PRECISIONS}

    def describe(model: str, batch: int, implementation: str, precision: str, seconds: float) -> dict[str, str | float]:
        rate, bandwidth = floors[precision]
        size_in_bytes = BYTES_PER_PIXEL * SIZES[model] ** 2 * batch * (1 if precision == "bf16" else 2)
        return {
            "model": model,
            "batch": batch,
            "implementation": implementation,
            "precision": precision,
            "seconds": seconds,
            "floor": max(flop[model, batch] / rate, size_in_bytes / bandwidth),
        }

    yield from (describe(*row) for row in tutorials)
    for model, batch in flop:
        for precision in PRECISIONS:
            arithmetic, tf32 = "bf16" if precision == "bf16" else "fp32", int(precision != "fp32")
            for benchmark, name in enumerate(("plain", "plain, fastest algorithms")):
                result = step(model, "plain", batch, SIZES[model], arithmetic, steps, tf32, benchmark)
                yield describe(model, batch, name, precision, result["seconds"])
    for model in SIZES:
        result = overhead(model, "lightning", steps if tiny else 1000, batches[0], SIZES[model], width=64)
        yield describe(model, batches[0], "lightning", "tf32", result["seconds"])


def measure_floor(precision: str, side: int) -> tuple[float, float]:
    """Return the floating-point operations a second of a matrix product, and the bytes a second of a copy."""
    allow_tf32(precision == "tf32")
    left, right = (torch.randn(side, side, device=DEVICE) for _ in range(2))
    if precision == "bf16":
        left, right = left.bfloat16(), right.bfloat16()
    rate = measure_flop_rate(lambda: left @ right, repeats=WARM_UP)
    source = torch.zeros(side * side, device=DEVICE)
    target = torch.zeros_like(source)
    seconds = measure_seconds(lambda: target.copy_(source), repeats=WARM_UP)
    return rate, 2 * source.nbytes / seconds  # it reads and writes


def allow_tf32(is_allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = is_allowed


if __name__ == "__main__":
    run_command_line(main)
