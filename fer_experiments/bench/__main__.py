"""Time whole processes beside the tutorial loops: python -m fer_experiments.bench [--repeats 3] [--out DIR].

Each training runs in fresh processes, ours and the tutorial's in turn, with few and with more epochs. The seconds of an
epoch are the difference by the difference; what remains is start-up and what is written at the end. On the same images
(drawn faces as PNG), the same networks and batch. Ours also validates after each epoch, writes checkpoints, pictures
and TensorBoard files; the tutorial loops write nothing.
"""

import argparse
import json
import logging
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fer_experiments.progress import track

EPOCHS = {"dcgan": (1, 3), "classifier": (1, 4)}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench", description=__doc__)
    parser.add_argument("--repeats", type=int, default=3, help="of every process (default 3); medians are reported")
    parser.add_argument("--images", type=int, default=820, help="of each of two classes (default 820)")
    parser.add_argument("--out", type=Path, default=Path("multirun/bench"), help="folder for bench.json and bench.md")
    options = parser.parse_args(arguments)
    if options.repeats < 1 or options.images < 1:
        parser.error("--repeats and --images must be 1 or more")
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    with tempfile.TemporaryDirectory() as folder:
        images = draw_images(Path(folder), options.images)
        measured = measure(images, options.repeats)
    report = {"machine": machine(), "images_per_class": options.images, "repeats": options.repeats, **measured}
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps(report, indent=1))
    (options.out / "bench.md").write_text(table(report))
    print(table(report))


def draw_images(folder: Path, count: int) -> Path:
    """folder/{train,valid,test}/{angry,happy}/*.png, and folder/one/angry for the tutorial's DCGAN."""
    from PIL import Image

    from fer_experiments.data.faces import draw_face

    for part, number in (("train", count), ("valid", 16), ("test", 16)):
        for label in ("angry", "happy"):
            place = folder / "faces" / part / label
            place.mkdir(parents=True)
            for index in range(number):
                Image.fromarray(draw_face(label, seed=0, part=part, index=index)).save(place / f"{index:05d}.png")
    (folder / "one").mkdir()
    (folder / "one" / "angry").symlink_to(folder / "faces" / "train" / "angry")
    return folder


def commands(images: Path, run: Path) -> dict[tuple[str, str, int], list[str]]:
    """{(training, whose, epochs): command line}."""
    lines = {}
    for training, lengths in EPOCHS.items():
        root = images / "one" if training == "dcgan" else images / "faces" / "train"
        for epochs in lengths:
            tutorial = ["-m", "fer_experiments.bench.tutorial", training, str(root), str(epochs)]
            ours = ["-m", "fer_experiments", "data=folder", f"data.root={images}/faces", f"hydra.run.dir={run}"]
            if training == "dcgan":
                ours += ["train=dcgan", "gan.target_class=angry", f"gan.epochs={epochs}", "gan.batch_size=64"]
            else:
                ours += ["train=cnn", f"classifier.epochs={epochs}", "classifier.batch_size=64"]
            lines[training, "tutorial", epochs] = [sys.executable, *tutorial]
            lines[training, "ours", epochs] = [sys.executable, *ours]
    return lines


def measure(images: Path, repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """{training: {whose: {process_seconds, epoch_seconds}}}, medians; every command runs once before, untimed."""
    lines = commands(images, images / "run")
    seconds: dict[tuple[str, str, int], list[float]] = {key: [] for key in lines}
    for _, key in track([(turn, key) for turn in range(repeats + 1) for key in lines], "benchmark"):
        started = time.perf_counter()
        subprocess.run(lines[key], check=True, capture_output=True)
        seconds[key].append(time.perf_counter() - started)
    medians = {key: statistics.median(values[1:]) for key, values in seconds.items()}  # the first warms the caches
    return {
        training: {
            whose: {
                "process_seconds": medians[training, whose, more],
                "epochs": more,
                "epoch_seconds": (medians[training, whose, more] - medians[training, whose, few]) / (more - few),
            }
            for whose in ("tutorial", "ours")
        }
        for training, (few, more) in EPOCHS.items()
    }


def table(report: dict) -> str:
    """The report as Markdown."""
    rows = [
        "| training | epochs | tutorial, process | ours, process | ratio | tutorial, epoch | ours, epoch | ratio |",
        "| --- | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for training in EPOCHS:
        theirs, ours = report[training]["tutorial"], report[training]["ours"]
        cells = [training, str(ours["epochs"])]
        for name in ("process_seconds", "epoch_seconds"):
            cells += [f"{theirs[name]:.1f} s", f"{ours[name]:.1f} s", f"{theirs[name] / ours[name]:.2f}"]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join([*rows, "", ", ".join(f"{key} {value}" for key, value in report["machine"].items())]) + "\n"


def machine() -> dict[str, str]:
    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {torch.get_num_threads()} threads"
    return {
        "device": device,
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "precision": "fp32",
    }


if __name__ == "__main__":
    main()
