"""Everything to measure on one GPU, in one call of under nine minutes: python -m fer_experiments.bench.gpu --out DIR.

It runs the tests that need a GPU, times steps (bench/gpu_steps.py), and runs the paper's experiment at full length and
a study of ten seeds. A part that fails or takes too long does not stop the next. DIR gets the log of each part,
gpu.json and gpu.md. With --tiny every part is run briefly, on whatever device there is, to see that it works.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fer_experiments.bench.machine import describe_machine
from fer_experiments.bench.report import format_markdown
from fer_experiments.exit_status import run_command_line
from fer_experiments.report.study_record import StudyRecord

JOB = [sys.executable, "-m", "fer_experiments", "experiment=paper", "trainer.progress=false", "rerun=true"]
TINY = [
    *("trainer=smoke", "data.train_per_class=40", "data.test_per_class=12", "data.counts={angry: 12, happy: 20}"),
    *("gan.width=4", "gan.image_size=32", "classifier.image_size=32", "reference_classifier.image_size=32"),
    "train.arms=[none,dcgan]",
]
GPU_TESTS = ["tests/test_gpu.py", "tests/test_datamodule.py"]  # the files that have tests for a GPU
STEP_COLUMNS = ("model", "batch", "implementation", "precision")


@dataclass(frozen=True)
class Part:
    """A command to run. seconds: after which it is stopped."""

    name: str
    command: list[str]
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of a part. status: of its process; None if it was stopped, because it took too long."""

    name: str
    status: int | None
    seconds: float
    command: str


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("multirun/gpu"), help="folder of the results")
    parser.add_argument("--parts", help="the parts to run, such as tests,steps (default: all)")
    parser.add_argument("--tiny", action="store_true", help="run everything briefly, on any device")
    options = parser.parse_args(arguments)
    parts = build_parts(options.out, options.tiny)
    names = list(parts) if options.parts is None else options.parts.split(",")
    if unknown := sorted(set(names) - set(parts)):
        parser.error(f"--parts: no {', '.join(unknown)}; there are {', '.join(parts)}")
    options.out.mkdir(parents=True, exist_ok=True)
    outcomes = [run_part(parts[name], options.out) for name in names]
    steps = read_steps(options.out / "steps.log") if "steps" in names else []
    report = {"machine": describe_machine(), "parts": [asdict(outcome) for outcome in outcomes], "steps": steps}
    (options.out / "gpu.json").write_text(json.dumps(report, indent=1))
    text = format_report(describe_machine(), outcomes, steps, options.out)
    (options.out / "gpu.md").write_text(text)
    print(text)
    if any(outcome.status != 0 for outcome in outcomes):
        sys.exit(1)


def build_parts(out: Path, tiny: bool) -> dict[str, Part]:
    """Return {name: part}. The time limits are 510 seconds together."""
    device = [] if tiny else ["accelerator=gpu"]
    seeds = ["train.seeds=2", "train.workers=2"] if tiny else ["train.seeds=10", "train.workers=5", "gan.epochs=60"]
    brief = TINY if tiny else []
    parts = (
        Part("tests", [*_python("pytest"), "-q", "-m", "gpu", *GPU_TESTS, *(["--collect-only"] if tiny else [])], 80),
        Part("steps", [*_python("fer_experiments.bench.gpu_steps"), *(["--tiny"] if tiny else [])], 110),
        Part("paper", [*JOB, *device, *brief, f"hydra.run.dir={out / 'paper'}"], 160),
        Part("seeds", [*JOB, *device, *brief, *seeds, f"hydra.run.dir={out / 'seeds'}"], 160),
    )
    return {part.name: part for part in parts}


def _python(module: str) -> list[str]:
    return [sys.executable, "-m", module]


def run_part(part: Part, out: Path) -> Outcome:
    """Run a part, with what it prints in NAME.log; say how it went."""
    print(f"{part.name}: {' '.join(part.command)}", flush=True)
    start = time.monotonic()
    with (out / f"{part.name}.log").open("w") as log:
        try:
            done = subprocess.run(part.command, stdout=log, stderr=subprocess.STDOUT, timeout=part.seconds)
            status: int | None = done.returncode
        except subprocess.TimeoutExpired:
            status = None
    outcome = Outcome(part.name, status, time.monotonic() - start, " ".join(part.command))
    print(f"{part.name}: {_describe_status(outcome)} after {outcome.seconds:.0f} s", flush=True)
    return outcome


def _describe_status(outcome: Outcome) -> str:
    if outcome.status is None:
        return "stopped"
    return "done" if outcome.status == 0 else f"failed ({outcome.name}.log)"


def read_steps(log: Path) -> list[dict[str, Any]]:
    """Return the rows that bench/gpu_steps.py printed, also if it was stopped; none if there is no log."""
    lines = log.read_text().splitlines() if log.is_file() else []
    return [json.loads(line) for line in lines if line.startswith("{")]


def format_report(
    machine: dict[str, str], outcomes: Sequence[Outcome], steps: Sequence[dict[str, Any]], out: Path
) -> str:
    """Return the tables as Markdown.

    Args:
        machine: {property: value}.
        outcomes: of the parts.
        steps: the rows of read_steps.
        out: the folder in which the jobs have written their runs.
    """
    sections = ["# One GPU\n", ", ".join(f"{key} {value}" for key, value in machine.items()) + "."]
    rows = [["part", "status", "seconds", "device", "seconds of its work"]]
    for outcome in outcomes:
        device, work = describe_study(out / outcome.name)
        rows.append([outcome.name, _describe_status(outcome), f"{outcome.seconds:.0f}", device, work])
    sections.append(format_markdown(rows))
    if steps:
        sections.append(format_markdown(tabulate_steps(steps)))
        sections.append(
            "The floor of a step is the larger of two times: its floating-point operations at the measured rate of a "
            "matrix product, and its bytes at the measured rate of a copy."
        )
    return "\n\n".join(sections) + "\n"


def describe_study(folder: Path) -> tuple[str, str]:
    """Return the devices of a study's trainings and the seconds of each part of its work, "" if there is no study."""
    record = StudyRecord.load_or_none(folder)
    if record is None:
        return "", ""
    devices = sorted({result.device for result in record.results if result.device is not None})
    return "; ".join(devices), ", ".join(f"{name} {seconds:.0f}" for name, seconds in record.work.items())


def tabulate_steps(steps: Sequence[dict[str, Any]]) -> list[list[str]]:
    """Return a row for each step: its time, how many times as long the tutorial's takes, and what the floor allows."""
    tutorials = {(row["model"], row["batch"]): row["seconds"] for row in steps if row["implementation"] == "tutorial"}
    rows = [[*STEP_COLUMNS, "a step", "times the tutorial's speed", "times the floor"]]
    for row in steps:
        ratio = tutorials[row["model"], row["batch"]] / row["seconds"]
        cells = [str(row[column]) for column in STEP_COLUMNS]
        rows.append([*cells, f"{row['seconds'] * 1e3:.2f} ms", f"{ratio:.1f}", f"{row['seconds'] / row['floor']:.1f}"])
    return rows


if __name__ == "__main__":
    run_command_line(main)
