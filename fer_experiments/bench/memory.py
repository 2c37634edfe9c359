"""How much memory a run takes, and how soon it starts, by the number of images (Linux).

python -m fer_experiments.bench.memory --out DIR
"""

import argparse
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

from fer_experiments.bench.cases import configured
from fer_experiments.data.module import ImageData
from fer_experiments.ending import ended
from fer_experiments.progress import track

SIDE = 48
SETTINGS = ("data=folder", "trainer=cpu", "trainer.progress=false", f"data.image_size={SIDE}")
JOBS = {
    "classifier": ("train=cnn",),
    "classifier, 2 workers": ("train=cnn", "data.workers=2"),
    "GAN, its audit, classifier": ("train=cnn", "balance=dcgan", "balance.add=500"),
}
FEW_STEPS = ("trainer.max_epochs=1", "trainer.limit_batches=50")
SMALL = ("classifier.image_size=32", "judge.image_size=32", "gan.image_size=32", "gan.width=8")
INTERVAL = 0.02  # seconds between two looks at a process


@dataclass(frozen=True)
class Usage:
    """The most at one time, in MB: private memory, of a process and its children; and mapped files, which the system
    drops when it needs the room. seconds: of the whole process.
    """

    private: float
    mapped: float
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench.memory", description=__doc__)
    parser.add_argument("--images", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--out", type=Path, required=True, help="folder for images, cache, runs and memory.csv")
    parser.add_argument("settings", nargs="*", help="further settings, such as classifier.epochs=2")
    options = parser.parse_args(arguments)
    rows = []
    for count in options.images:
        rows += measure(options.out.resolve() / str(count), count, options.settings)
        pd.DataFrame(rows).to_csv(options.out / "memory.csv", index=False)
    print(pd.DataFrame(rows).to_markdown(index=False))


def measure(folder: Path, count: int, settings: Sequence[str] = ()) -> list[dict[str, object]]:
    """A row for each of JOBS on `count` images, the cache being there."""
    write_noise(folder / "images", count)
    given = (
        *SETTINGS,
        *FEW_STEPS,
        *SMALL,
        f"data.root={folder / 'images'}",
        f"data.cache_dir={folder / 'cache'}",
        *settings,
    )
    config = configured(*given)
    ImageData.prepare(config.data, 0)
    started = time.monotonic()
    ImageData.prepare(config.data, 0)
    warm = time.monotonic() - started
    rows: list[dict[str, object]] = []
    for job, own in JOBS.items():
        place = f"hydra.run.dir={folder / job.replace(' ', '_').replace(',', '')}"
        usage = watch([sys.executable, "-m", "fer_experiments", *given, *own, "rerun=true", place])
        rows.append({"images": count, "start on a warm cache, s": warm, "job": job, **asdict(usage)})
    return rows


def write_noise(folder: Path, count: int) -> None:
    """`count` grey PNG images of smooth noise in two classes, a fifth of them in the first."""
    if folder.is_dir():
        return
    rng, temporary = np.random.default_rng(0), folder.with_suffix(".part")
    shutil.rmtree(temporary, ignore_errors=True)
    for label in ("minority", "majority"):
        (temporary / label).mkdir(parents=True)
    for number in track(range(count), "writing images"):
        small = Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8))
        label = "majority" if number % 5 else "minority"
        small.resize((SIDE, SIDE)).save(temporary / label / f"{number:06d}.png", compress_level=1)
    temporary.rename(folder)


def watch(command: list[str]) -> Usage:
    """Run a command to its end. Raises CalledProcessError where it fails."""
    started, private, mapped = time.monotonic(), 0.0, 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            used = [resident(one) for one in family(process.pid)]
            private = max(private, sum(one for one, _ in used))
            mapped = max(mapped, sum(one for _, one in used))
            time.sleep(INTERVAL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Usage(private, mapped, time.monotonic() - started)


def family(pid: int) -> list[int]:
    """A process and all that it started, as far as they still run."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        born = [Path(f"/proc/{pid}/task/{thread}/children").read_text().split() for thread in threads]
    except OSError:  # it has ended
        return []
    return [pid, *(one for some in born for child in some for one in family(int(child)))]


def resident(pid: int) -> tuple[float, float]:
    """Private memory and mapped files of a process, in MB, its share of what it has in common with others; 0 where it
    has ended.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return 0.0, 0.0
    sizes = {name: int(rest.split()[0]) * 1024 / 1e6 for name, _, rest in (line.partition(":") for line in lines)}
    return sizes.get("Pss_Anon", 0.0), sizes.get("Pss_File", 0.0)


if __name__ == "__main__":
    ended(main)
