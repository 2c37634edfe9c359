"""What a run costs in seconds and memory, depending on the number of images, their classes and their size (Linux).

python -m fer_experiments.bench.memory --out DIR
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from fer_experiments.data.prepared import PreparedData
from fer_experiments.exit_status import run_command_line
from fer_experiments.progress import track
from fer_experiments.train.compose_config import compose_config

SETTINGS = ("data=folder", "trainer=cpu", "trainer.progress=false")
JOBS = {
    "classifier": ("train=cnn",),
    "classifier, 2 workers": ("train=cnn", "data.workers=2"),
    "GAN, its audit, classifier": ("train=cnn", "balance=dcgan", "balance.add=500"),
    "study of two arms, report": ("train=study", "train.arms=[none,oversample]"),
}
FEW_STEPS = ("trainer.max_epochs=1", "trainer.limit_batches=50")
SMALL = ("classifier.image_size=32", "reference_classifier.image_size=32", "gan.image_size=32", "gan.width=8")
INTERVAL = 0.02  # seconds between two looks at a process


@dataclass(frozen=True)
class Usage:
    """What a process and its children used together.

    private: the most private memory at one time, in MB; mapped: the most memory of mapped files, which the system can
    take back; seconds: how long the process ran.
    """

    private: float
    mapped: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.memory", description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000], help="numbers of images")
    parser.add_argument("--classes", type=int, nargs="+", default=[2], help="numbers of classes")
    parser.add_argument("--sides", type=int, nargs="+", default=[48], help="sides of the images, in pixels")
    parser.add_argument("--out", type=Path, required=True, help="folder for images, cache, runs and memory.csv")
    parser.add_argument("settings", nargs="*", help="further settings, such as classifier.epochs=2")
    options = parser.parse_args(arguments)
    rows = []
    for count, classes, side in itertools.product(options.images, options.classes, options.sides):
        folder = options.out.resolve() / f"{count}_{classes}_{side}"
        rows += measure(folder, count, options.settings, classes, side)
        pd.DataFrame(rows).to_csv(options.out / "memory.csv", index=False)
    print(pd.DataFrame(rows).to_markdown(index=False))


def measure(
    folder: Path, count: int, settings: Sequence[str] = (), classes: int = 2, side: int = 48
) -> list[dict[str, object]]:
    """Return a row for each of JOBS, on images that are in the cache already.

    Args:
        folder: of images, cache and runs. Images that are there already are used.
        count: of the images.
        settings: overrides of every job.
        classes: how many classes the images have, 2 or more.
        side: of the images, in pixels.
    """
    write_noise(folder / "images", count, classes, side)
    overrides = (
        *SETTINGS,
        f"data.image_size={side}",
        *FEW_STEPS,
        *SMALL,
        f"data.root={folder / 'images'}",
        f"data.cache_dir={folder / 'cache'}",
        *settings,
    )
    config = compose_config(*overrides)
    shutil.rmtree(folder / "cache", ignore_errors=True)
    seconds = []
    for _ in range(2):
        start = time.monotonic()
        PreparedData.prepare(config.data, 0)
        seconds.append(time.monotonic() - start)
    size = {"images": count, "classes": classes, "side": side, "cold start, s": seconds[0], "warm start, s": seconds[1]}
    rows: list[dict[str, object]] = []
    for job, job_overrides in JOBS.items():
        # One GAN for all classes, where each class would otherwise have its own.
        gan = ["gan=conditional"] if classes > 2 else []
        place = f"hydra.run.dir={folder / job.replace(' ', '_').replace(',', '')}"
        usage = watch([sys.executable, "-m", "fer_experiments", *gan, *overrides, *job_overrides, "rerun=true", place])
        rows.append({**size, "job": job, **asdict(usage)})
    return rows


def write_noise(folder: Path, count: int, classes: int, side: int) -> None:
    """Write `count` gray PNG images (side, side) of smooth noise, once; the first class has fewer than the others."""
    if folder.is_dir():
        return
    rng, temporary = np.random.default_rng(0), folder.with_suffix(".part")
    shutil.rmtree(temporary, ignore_errors=True)
    labels = [f"class_{number:03d}" for number in range(classes)]
    for label in labels:
        (temporary / label).mkdir(parents=True)
    for number in track(range(count), "writing images"):
        small = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
        label = labels[1 + number % (classes - 1) if number % (5 * classes // 2) else 0]
        small.resize((side, side)).save(temporary / label / f"{number:06d}.png", compress_level=1)
    temporary.rename(folder)


def watch(command: list[str]) -> Usage:
    """Run a command to its end. Raises CalledProcessError if it fails."""
    start, private, mapped = time.monotonic(), 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            sizes = [read_memory(pid) for pid in list_family(process.pid)]
            private = max(private, sum(size for size, _ in sizes))
            mapped = max(mapped, sum(size for _, size in sizes))
            time.sleep(INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(private, mapped, time.monotonic() - start)


def list_family(pid: int) -> list[int]:
    """Return a process and its descendants that are running."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        children = [Path(f"/proc/{pid}/task/{thread}/children").read_text().split() for thread in threads]
    except OSError:  # it has ended
        return []
    return [pid, *(member for pids in children for child in pids for member in list_family(int(child)))]


def read_memory(pid: int) -> tuple[float, float]:
    """Return the private memory and the mapped files of a process in MB; 0 and 0 if it has ended.

    Memory that several processes share is divided among them.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0.0, 0.0
    sizes = {name: int(rest.split()[0]) * 1024 / 1e6 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes.get("Pss_Anon", 0.0), sizes.get("Pss_File", 0.0)


if __name__ == "__main__":
    run_command_line(main)
