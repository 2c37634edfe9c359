"""Time the trainings beside the loops of tutorials: python -m fer_experiments.bench [--parts step,data] [--out DIR].

Every measurement is a fresh process; those of all parts take turns, `--repeats` times, and medians are reported.
"""

import argparse
import json
import logging
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from fer_experiments.bench.report import EPOCHS, Measured, full_report
from fer_experiments.ending import ended
from fer_experiments.progress import track

Commands = dict[str, list[str]]
MODULE = [sys.executable, "-m"]
CASE = [*MODULE, "fer_experiments.bench.cases"]
MODELS = ("dcgan", "classifier")
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.bench", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="some of the default, %(default)s")
    parser.add_argument("--repeats", type=int, default=3, help="of every process (default 3); medians are reported")
    parser.add_argument("--images", type=int, default=820, help="of each of two classes (default 820)")
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
        measured = measure(commands, options.repeats)
    report = {
        "machine": machine(),
        "images_per_class": options.images,
        "repeats": options.repeats,
        "commands": {name: " ".join(line).replace(str(images), "IMAGES") for name, line in commands.items()},
        "medians": measured,
    }
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "bench.json").write_text(json.dumps(report, indent=1))
    text = full_report(measured, machine(), options.repeats)
    (options.out / "bench.md").write_text(text)
    print(text)


def draw_images(folder: Path, count: int) -> Path:
    """folder/faces/{train,valid,test}/{angry,happy}/*.png, and folder/one/angry for the tutorial's DCGAN."""
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


def start(images: Path, gpu: bool) -> Commands:
    """From the command to its end, where next to nothing is trained."""
    run = ["trainer.max_epochs=1", "trainer.limit_batches=1", *anew(images)]
    return {
        "--help": [*MODULE, "fer_experiments", "--help"],
        **{
            f"{job}, one batch": [*MODULE, "fer_experiments", f"train={job}", *run, *folder_data(images)]
            for job in ("dcgan", "cnn")
        },
    }


def anew(images: Path) -> list[str]:
    """The run before in the folder is no reason to do nothing."""
    return [f"hydra.run.dir={images}/run", "rerun=true"]


def folder_data(images: Path) -> list[str]:
    return ["data=folder", f"data.root={images}/faces"]


def process(images: Path, gpu: bool) -> Commands:
    """Whole trainings, of few and of more epochs. Ours validate, and write checkpoints, pictures and event files."""
    lines = {}
    for model in MODELS:
        root = images / "one" if model == "dcgan" else images / "faces" / "train"
        job = ["train=dcgan", "gan.target_class=angry"] if model == "dcgan" else ["train=cnn"]
        group = "gan" if model == "dcgan" else "classifier"
        for epochs in EPOCHS[model]:
            tutorial = [*MODULE, "fer_experiments.bench.tutorial", model, str(root), str(epochs)]
            lines[f"{model} tutorial {epochs}"] = tutorial
            for name, precision in PRECISIONS.items():
                settings = [f"{group}.epochs={epochs}", f"{group}.batch_size=64", f"trainer.precision={precision}"]
                place = [*folder_data(images), *anew(images)]
                lines[f"{model} {name} {epochs}"] = [*MODULE, "fer_experiments", *job, *settings, *place]
    return lines


def step(images: Path, gpu: bool) -> Commands:
    """On a GPU also with more images a batch, as one CUDA graph, and of several models side by side in one graph."""
    lines = {}
    for model in MODELS:
        for batch in (64, 128, 512) if gpu else (64,):
            line = [*CASE, "step", f"model={model}", f"batch={batch}", "steps=100" if gpu else "steps=10"]
            lines[f"{model} tutorial {batch}"] = [*line, "whose=tutorial"]
            for precision in PRECISIONS:
                own = [*line, f"precision={precision}"]
                lines[f"{model} {precision} {batch}"] = own
                for together in (1, 4, 8, 16) if gpu and batch == 64 else (1,) if gpu else ():
                    name = f"{model} {precision} {batch} captured x{together}"
                    lines[name] = [*own, "whose=captured", f"together={together}"]
    return lines


def overhead(images: Path, gpu: bool) -> Commands:
    """On the CPU of tiny networks, where it shows; on a GPU of the real ones, behind which it should hide."""
    sizes = {"dcgan": ["batch=64", "size=64", "width=64"], "classifier": ["batch=64", "size=100"]}
    return {
        f"{model} {whose}": [*CASE, "overhead", f"model={model}", f"whose={whose}", *(sizes[model] if gpu else ())]
        for model in MODELS
        for whose in ("captured" if gpu else "bare", "lightning")
    }


def data(images: Path, gpu: bool) -> Commands:
    lines = {
        f"{model} {whose}": [*CASE, "data", f"model={model}", f"whose={whose}", f"root={images}/faces"]
        for model in MODELS
        for whose in ("tutorial", "ours")
    }
    for count in (1_000, 10_000, 50_000):
        lines[f"{count} images"] = [*CASE, "many", f"images={count}"]
    lines["10000 images, augmented"] = [*CASE, "many", "images=10000", "augment=traditional"]
    return lines


def scaling(images: Path, gpu: bool) -> Commands:
    """Our step against image size and batch; 64 images of the usual size are in `step`."""
    steps = "steps=50" if gpu else "steps=5"
    lines = {}
    for model, sizes in (("dcgan", (32, 64, 128)), ("classifier", (48, 100, 200))):
        for size in sizes:
            lines[f"{model} size {size}"] = [*CASE, "step", f"model={model}", f"size={size}", steps]
        for batch in (16, 64, 256):
            lines[f"{model} batch {batch}"] = [*CASE, "step", f"model={model}", f"batch={batch}", steps]
    return lines


def ceiling(images: Path, gpu: bool) -> Commands:
    return {precision: [*CASE, "ceiling", f"precision={precision}"] for precision in PRECISIONS}


PARTS = {
    "start": start,
    "process": process,
    "step": step,
    "overhead": overhead,
    "data": data,
    "scaling": scaling,
    "ceiling": ceiling,
}


def measure(commands: Commands, repeats: int) -> Measured:
    """{name: {what: median}} of `repeats` rounds over all commands, after a round of `start` that warms the caches."""
    rounds: dict[str, list[dict[str, float]]] = {name: [] for name in commands}
    for turn, name in track([(turn, name) for turn in range(repeats + 1) for name in commands], "benchmark"):
        if turn > 0 or name.startswith("start"):
            rounds[name].append(once(commands[name]))
    return {
        name: {what: statistics.median(one[what] for one in done[-repeats:]) for what in done[-1]}
        for name, done in rounds.items()
    }


def once(command: list[str]) -> dict[str, float]:
    """process_seconds, peak_rss_bytes (of the largest process), and what the process printed as JSON."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        process = subprocess.Popen(command, stdout=output, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        output.seek(0)
        errors.seek(0)
        if status:
            raise RuntimeError(f"{' '.join(command)} failed:\n{errors.read().decode(errors='replace')[-2000:]}")
        printed = output.read().decode().strip().splitlines()
    found = {"process_seconds": seconds, "peak_rss_bytes": usage.ru_maxrss * 1024.0}
    return found | json.loads(printed[-1]) if command[:3] == CASE else found


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def machine() -> dict[str, str]:
    import torch

    cuda = torch.cuda.is_available()
    return {
        "device": torch.cuda.get_device_name() if cuda else f"CPU, {torch.get_num_threads()} threads",
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "fp32": "TF32 in convolutions and matrix products" if cuda else "fp32",
    }


def _processor() -> str:
    """The model of the processor where the system tells, else its kind."""
    facts = Path("/proc/cpuinfo")
    lines = facts.read_text().splitlines() if facts.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]} x {len(names)}" if names else platform.machine()


if __name__ == "__main__":
    ended(main)
