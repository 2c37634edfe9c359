"""Time the trainings beside the loops of tutorials: python -m fer_experiments.bench [--parts step,data] [--out DIR].

Every measurement is a fresh process. The processes of all parts are run in turn, `--repeats` times, and medians are
reported.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fer_experiments.bench.machine import describe_machine, has_gpu
from fer_experiments.bench.parts import CASE, PARTS, Commands, draw_images
from fer_experiments.bench.report import Medians, format_report
from fer_experiments.exit_status import run_command_line
from fer_experiments.progress import track


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="parts of the benchmark (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each process (default: 3)")
    parser.add_argument("--images", type=int, default=820, help="training images of each of two classes (default: 820)")
    parser.add_argument("--out", type=Path, default=Path("multirun/bench"), help="folder for bench.json and bench.md")
    options = parser.parse_args(arguments)
    parts = options.parts.split(",")
    if options.repeats < 1 or options.images < 1:
        parser.error("--repeats and --images must be 1 or more")
    if unknown := sorted(set(parts) - set(PARTS)):
        parser.error(f"--parts: no {', '.join(unknown)}; there are {', '.join(PARTS)}")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        images = draw_images(Path(folder), options.images)
        commands = {f"{part}: {name}": line for part in parts for name, line in PARTS[part](images, has_gpu()).items()}
        medians = measure(commands, options.repeats)
    report = {
        "machine": describe_machine(),
        "images_per_class": options.images,
        "repeats": options.repeats,
        "commands": {name: " ".join(line).replace(str(images), "IMAGES") for name, line in commands.items()},
        "medians": medians,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps(report, indent=1))
    text = format_report(medians, describe_machine(), options.repeats)
    (options.out / "bench.md").write_text(text)
    print(text)


def measure(commands: Commands, repeats: int) -> Medians:
    """Return {name: {quantity: median}} of `repeats` rounds over all commands.

    Commands of the part `start` are also run in a round before, which fills the system's caches.
    """
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for turn, name in track([(turn, name) for turn in range(repeats + 1) for name in commands], "benchmark"):
        if turn > 0 or name.startswith("start"):
            rounds[name].append(run_command(commands[name]))
    return {
        name: {quantity: statistics.median(row[quantity] for row in rows[-repeats:]) for quantity in rows[-1]}
        for name, rows in rounds.items()
    }


def run_command(command: list[str]) -> dict[str, float]:
    """Run a command; return process_seconds, peak_rss_bytes (of its largest process), and what a case prints as JSON.

    Raises RuntimeError with the end of its standard error if it fails.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        output.seek(0)
        errors.seek(0)
        if status:
            raise RuntimeError(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')[-2000:]}")
        lines = output.read().decode().strip().splitlines()
    quantities = {"process_seconds": seconds, "peak_rss_bytes": usage.ru_maxrss * 1024.0}
    return quantities | json.loads(lines[-1]) if command[:3] == CASE else quantities


if __name__ == "__main__":
    run_command_line(main)
