"""The commands of the benchmark, each of which is one measurement in a process of its own.

Every function returns {name: command} of one part. Its arguments are the folder of `draw_images` and whether there is a
CUDA device.
"""

import sys
from collections.abc import Callable
from pathlib import Path

from fer_experiments.bench.report import EPOCHS

Commands = dict[str, list[str]]
MODULE = [sys.executable, "-m"]
CASE = [*MODULE, "fer_experiments.bench.cases"]
MODELS = ("dcgan", "classifier")
PRECISIONS = {"fp32": "32-true", "bf16": "bf16-mixed"}
FACES, SINGLE_CLASS = "faces", "single_class"  # folders of `draw_images`


def draw_images(folder: Path, count: int) -> Path:
    """Write faces/{train,valid,test}/{angry,happy}/*.png, and single_class/angry for the tutorial's DCGAN.

    count: training images of each class. Returns `folder`.
    """
    from PIL import Image

    from fer_experiments.data.faces.draw import draw_face

    for part, number in (("train", count), ("valid", 16), ("test", 16)):
        for label in ("angry", "happy"):
            place = folder / FACES / part / label
            place.mkdir(parents=True)
            for index in range(number):
                Image.fromarray(draw_face(label, seed=0, part=part, index=index)).save(place / f"{index:05d}.png")
    (folder / SINGLE_CLASS).mkdir()
    (folder / SINGLE_CLASS / "angry").symlink_to(folder / FACES / "train" / "angry")
    return folder


def build_start_commands(images: Path, gpu: bool) -> Commands:
    """Return commands that train next to nothing, so that starting and ending is what takes time."""
    settings = ["trainer.max_epochs=1", "trainer.limit_batches=1", *_rerun(images), *_read_faces(images)]
    return {
        "--help": [*MODULE, "fer_experiments", "--help"],
        **{f"{job}, one batch": [*MODULE, "fer_experiments", f"train={job}", *settings] for job in ("dcgan", "cnn")},
    }


def _rerun(images: Path) -> list[str]:
    """Return settings for a run that starts over in the folder of the run before."""
    return [f"hydra.run.dir={images}/run", "rerun=true"]


def _read_faces(images: Path) -> list[str]:
    return ["data=folder", f"data.root={images / FACES}"]


def build_process_commands(images: Path, gpu: bool) -> Commands:
    """Return whole trainings of few and of more epochs. Ours validate, and write checkpoints, pictures and event files.

    A tutorial's does none of that.
    """
    commands = {}
    for model in MODELS:
        root = images / SINGLE_CLASS if model == "dcgan" else images / FACES / "train"
        job = ["train=dcgan", "gan.target_class=angry"] if model == "dcgan" else ["train=cnn"]
        group = "gan" if model == "dcgan" else "classifier"
        for epochs in EPOCHS[model]:
            tutorial = [*MODULE, "fer_experiments.bench.tutorial", model, str(root), str(epochs)]
            commands[f"{model} tutorial {epochs}"] = tutorial
            for name, precision in PRECISIONS.items():
                settings = [f"{group}.epochs={epochs}", f"{group}.batch_size=64", f"trainer.precision={precision}"]
                folders = [*_read_faces(images), *_rerun(images)]
                commands[f"{model} {name} {epochs}"] = [*MODULE, "fer_experiments", *job, *settings, *folders]
    return commands


def build_step_commands(images: Path, gpu: bool) -> Commands:
    """Return single steps; on a GPU also with larger batches."""
    commands = {}
    for model in MODELS:
        for batch in (64, 128, 512) if gpu else (64,):
            step = [*CASE, "step", f"model={model}", f"batch={batch}", "steps=100" if gpu else "steps=10"]
            commands[f"{model} tutorial {batch}"] = [*step, "implementation=tutorial"]
            for precision in PRECISIONS:
                commands[f"{model} {precision} {batch}"] = [*step, f"precision={precision}"]
    return commands


def build_overhead_commands(images: Path, gpu: bool) -> Commands:
    """Return steps of tiny networks on the CPU, where overhead shows, and of usual ones on a GPU, which should hide it.

    Each is run in a loop and by Lightning.
    """
    usual = {"dcgan": ["batch=64", "size=64", "width=64"], "classifier": ["batch=64", "size=100"]}
    commands = {}
    for model in MODELS:
        for name in ("plain", "lightning"):
            settings = [f"model={model}", f"implementation={name}", *(usual[model] if gpu else ())]
            commands[f"{model} {name}"] = [*CASE, "overhead", *settings]
    return commands


def build_data_commands(images: Path, gpu: bool) -> Commands:
    """Return passes over images from files, and from caches of different sizes."""
    commands = {
        f"{model} {name}": [*CASE, "data", f"model={model}", f"implementation={name}", f"root={images / FACES}"]
        for model in MODELS
        for name in ("tutorial", "lightning")
    }
    for count in (1_000, 10_000, 50_000):
        commands[f"{count} images"] = [*CASE, "cache", f"images={count}"]
    commands["10000 images, augmented"] = [*CASE, "cache", "images=10000", "augment=traditional"]
    return commands


def build_scaling_commands(images: Path, gpu: bool) -> Commands:
    """Return our step with images and batches of several sizes."""
    steps = "steps=50" if gpu else "steps=5"
    commands = {}
    for model, sizes in (("dcgan", (32, 64, 128)), ("classifier", (48, 100, 200))):
        for size in sizes:
            commands[f"{model} size {size}"] = [*CASE, "step", f"model={model}", f"size={size}", steps]
        for batch in (16, 64, 256):
            commands[f"{model} batch {batch}"] = [*CASE, "step", f"model={model}", f"batch={batch}", steps]
    return commands


def build_ceiling_commands(images: Path, gpu: bool) -> Commands:
    """Return the measurements of the device's best rates."""
    return {precision: [*CASE, "ceiling", f"precision={precision}"] for precision in PRECISIONS}


PARTS: dict[str, Callable[[Path, bool], Commands]] = {
    "start": build_start_commands,
    "process": build_process_commands,
    "step": build_step_commands,
    "overhead": build_overhead_commands,
    "data": build_data_commands,
    "scaling": build_scaling_commands,
    "ceiling": build_ceiling_commands,
}
