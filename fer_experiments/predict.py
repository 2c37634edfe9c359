"""Classify images: python -m fer_experiments.predict multirun/RUN/checkpoints/best.ckpt PATH..."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fer_experiments.ending import ended
from fer_experiments.errors import ConfigError
from fer_experiments.progress import busy, track
from fer_experiments.whole import whole

if TYPE_CHECKING:
    from PIL.Image import Image

    from fer_experiments.classifier.trained import TrainedClassifier

EPILOG = "Exit status: 0, 1 where some files are no images (the others are classified), 2 where nothing can be done."
AT_ONCE = 256  # images in memory
MOST_PICTURED = 100


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m fer_experiments.predict", description=__doc__, epilog=EPILOG)
    parser.add_argument("checkpoint", type=Path, help="checkpoints/best.ckpt or last.ckpt of a classifier")
    parser.add_argument("paths", type=Path, nargs="+", metavar="PATH", help="image files, or folders of them")
    parser.add_argument("--format", choices=["table", "csv", "json"], default="table", help="of what is printed")
    parser.add_argument("--picture", type=Path, metavar="PNG", help=f"also draw up to {MOST_PICTURED} of the images")
    parser.add_argument(
        "--network", metavar="CLASS", help="your own network's class, as in classifier.network._target_"
    )
    options = parser.parse_args(arguments)

    with busy("starting"):  # torch only now, so that --help answers at once
        from fer_experiments.classifier.trained import TrainedClassifier

    try:
        trained = TrainedClassifier.load(options.checkpoint, options.network)
        sheet: list[tuple[Image, str]] = []
        rows, refused = [], 0
        for row, picture in _classified(trained, list(_files(options.paths))):
            rows.append(row)
            if "error" in row:
                refused += 1
                print(f"predict: {row['path']}: {row['error']}", file=sys.stderr)
            elif options.picture is not None and len(sheet) < MOST_PICTURED and picture is not None:
                sheet.append((picture, f"{row['predicted']} {row['probabilities'][row['predicted']]:.0%}"))
        _write(rows, trained.classes, options.format, sys.stdout)
        if sheet:
            from fer_experiments.report.pictures import contact_sheet

            with whole(options.picture) as temporary:
                contact_sheet(sheet).save(temporary, "PNG")
    except (ConfigError, OSError) as error:
        print(f"predict: {error}", file=sys.stderr)
        return 2
    return int(refused > 0)


def _files(paths: list[Path]) -> Iterator[Path]:
    """Files as they are given, and the images in folders. Raises ConfigError for a folder without any."""
    from fer_experiments.data.sources import EXTENSIONS, images_in

    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = images_in(path)
        if not found:
            raise ConfigError(f"{path}: has no images (looked for {', '.join(sorted(EXTENSIONS))})")
        yield from found


def _classified(trained: TrainedClassifier, files: list[Path]) -> Iterator[tuple[dict[str, Any], Image | None]]:
    """A row for each file, in order, with its picture: path, and predicted with probabilities, or error."""
    for start in track(range(0, len(files), AT_ONCE), "classifying"):
        chunk = files[start : start + AT_ONCE]
        opened = [_open(path, trained.stored_channels) for path in chunk]
        pictures = [one for one in opened if not isinstance(one, str)]
        found = iter(trained.probabilities(trained.prepare(pictures)).tolist() if pictures else [])
        for path, one in zip(chunk, opened, strict=True):
            if isinstance(one, str):
                yield {"path": str(path), "error": one}, None
            else:
                probabilities = dict(zip(trained.classes, next(found), strict=True))
                predicted = max(probabilities, key=lambda name: probabilities[name])
                yield {"path": str(path), "predicted": predicted, "probabilities": probabilities}, one


def _open(path: Path, channels: int) -> Image | str:
    """The picture, or what is wrong with the file."""
    from fer_experiments.data.decode import decode, open_image

    try:
        with open_image(path) as image:
            return decode(image, channels)
    except Exception as error:  # decoders raise anything on hostile bytes; each file is reported by name
        return f"is no image that can be read: {type(error).__name__}: {error}".replace("\n", " ")


def _write(rows: list[dict[str, Any]], classes: tuple[str, ...], form: str, out: TextIO) -> None:
    """rows as a table or CSV (path, predicted, a probability for each class, error), or as JSON."""
    if form == "json":
        json.dump(rows, out, indent=1)
        out.write("\n")
        return
    header = ["path", "predicted", *classes, "error"]
    cells = [
        [row["path"], row.get("predicted", ""), *(row.get("probabilities", {}).get(name, "") for name in classes),
         row.get("error", "")]
        for row in rows
    ]  # fmt: skip
    if form == "csv":
        csv.writer(out).writerows([header, *cells])
        return
    from tabulate import tabulate

    shown = -1 if all(not row[-1] for row in cells) else None  # no column of errors where there are none
    out.write(tabulate([row[:shown] for row in cells], headers=header[:shown], floatfmt=".3f", disable_numparse=[0, 1]))
    out.write("\n")


if __name__ == "__main__":
    ended(main)
