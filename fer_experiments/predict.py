"""Classify images: python -m fer_experiments.predict multirun/RUN PATH..."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fer_experiments.atomic_write import atomic_write
from fer_experiments.errors import ConfigError
from fer_experiments.exit_status import run_command_line
from fer_experiments.progress import show_activity, show_stage

if TYPE_CHECKING:
    from PIL.Image import Image

    from fer_experiments.classifier.trained import TrainedClassifier

EPILOG = (
    "Exit status: 0; 1 if some files can't be read as images (the others are classified); 2 if nothing can be done."
)
CHUNK_SIZE = 256  # images in memory
MAX_PICTURED = 100
Row = dict[str, Any]
"""A file's path, with its class as `predicted` and its `probabilities` {class: probability}, or with an `error`"""


def main(arguments: list[str] | None = None) -> int:
    """Return the exit status."""
    options = _build_parser().parse_args(arguments)
    with show_activity("starting"):  # torch is imported only now, so that --help answers at once
        from fer_experiments.classifier.trained import TrainedClassifier
        from fer_experiments.trainer.callbacks.checkpoints import find_checkpoint

    try:
        trained = TrainedClassifier.load(find_checkpoint(options.checkpoint), options.network)
        files = list(_list_files(options.paths))
        rows, pictures = _classify(trained, files, 0 if options.picture is None else MAX_PICTURED)
        _print_rows(rows, trained.classes, options.format, sys.stdout)
        if pictures:
            _write_contact_sheet(pictures, options.picture)
    except (ConfigError, OSError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    return int(any("error" in row for row in rows))


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.predict", description=__doc__, epilog=EPILOG)
    parser.add_argument("checkpoint", type=Path, help="the folder of a classifier's training, or a checkpoint")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="image files, or folders of them")
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table", help="of what is printed")
    parser.add_argument("--picture", type=Path, metavar="PNG", help=f"also draw up to {MAX_PICTURED} of the images")
    parser.add_argument(
        "--network", metavar="CLASS", help="the class of your own network, as in classifier.network._target_"
    )
    return parser


def _list_files(paths: list[Path]) -> Iterator[Path]:
    """Yield each path that is not a folder, and the images of each folder.

    Raises ConfigError for a folder without images.
    """
    from fer_experiments.data.sources.folder import EXTENSIONS, list_images

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        files = list_images(path)
        if not files:
            raise ConfigError(f"{path}: has no images (looked for {', '.join(sorted(EXTENSIONS))})")
        yield from files


def _classify(
    trained: TrainedClassifier, files: list[Path], max_pictures: int
) -> tuple[list[Row], list[tuple[Image, str]]]:
    """Classify the files, and print an error for each that can't be read as an image.

    Returns the rows of all files in order, and the first `max_pictures` images with their captions.
    """
    rows: list[Row] = []
    pictures: list[tuple[Image, str]] = []
    with show_stage("classifying", len(files)) as advance:
        for start in range(0, len(files), CHUNK_SIZE):
            chunk = files[start : start + CHUNK_SIZE]
            for row, image in _classify_chunk(trained, chunk):
                rows.append(row)
                if image is None:
                    print(f"predict: {row['path']}: {row['error']}", file=sys.stderr)
                elif len(pictures) < max_pictures:
                    pictures.append((image, f"{row['predicted']} {row['probabilities'][row['predicted']]:.0%}"))
            advance(start + len(chunk))
    return rows, pictures


def _classify_chunk(trained: TrainedClassifier, files: list[Path]) -> Iterator[tuple[Row, Image | None]]:
    """Yield the row and the image of each file, in order; the image is None if it can't be read."""
    contents = [_read_image(file, trained.stored_channels, trained.white_level) for file in files]
    images = [content for content in contents if not isinstance(content, str)]
    outputs = iter(trained.probabilities(trained.prepare(images)).tolist() if images else [])
    for file, content in zip(files, contents, strict=True):
        if isinstance(content, str):
            yield {"path": str(file), "error": content}, None
        else:
            probabilities = dict(zip(trained.classes, next(outputs), strict=True))
            predicted = max(probabilities, key=lambda name: probabilities[name])
            yield {"path": str(file), "predicted": predicted, "probabilities": probabilities}, content


def _read_image(path: Path, channels: int, white_level: float | None) -> Image | str:
    """Return the image, or why it can't be read."""
    from fer_experiments.data.decode import decode, open_image

    try:
        with open_image(path) as image:
            return decode(image, channels, white_level=white_level)
    except Exception as error:  # decoders raise anything for broken files; each is reported by its path
        return f"can't be read as an image: {type(error).__name__}: {error}".replace("\n", " ")


def _print_rows(rows: list[Row], classes: tuple[str, ...], form: str, out: TextIO) -> None:
    """Print the rows as JSON, or as a table or CSV with the columns path, predicted, one per class, and error."""
    if form == "json":
        json.dump(rows, out, indent=1)
        out.write("\n")
        return
    header = ["path", "predicted", *classes, "error"]
    cells = [_cells(row, classes) for row in rows]
    if form == "csv":
        csv.writer(out).writerows([header, *cells])
        return
    from tabulate import tabulate

    end = None if any("error" in row for row in rows) else -1  # without errors, no column of errors
    out.write(tabulate([row[:end] for row in cells], headers=header[:end], floatfmt=".3f", disable_numparse=[0, 1]))
    out.write("\n")


def _cells(row: Row, classes: tuple[str, ...]) -> list[Any]:
    probabilities = row.get("probabilities", {})
    return [
        row["path"],
        row.get("predicted", ""),
        *(probabilities.get(name, "") for name in classes),
        row.get("error", ""),
    ]


def _write_contact_sheet(pictures: list[tuple[Image, str]], file: Path) -> None:
    from fer_experiments.report.figures.contact_sheet import draw_contact_sheet

    with atomic_write(file) as temporary:
        draw_contact_sheet(pictures).save(temporary, "PNG")


if __name__ == "__main__":
    run_command_line(main)
