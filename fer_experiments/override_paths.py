"""Paths on the command line that Hydra's grammar would not read as one value, as those of this program's own runs."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

MARKS = re.compile(r"""[,=()\[\]{}:'"]""")  # they have a meaning in Hydra's grammar


def quote_paths(arguments: Sequence[str]) -> Iterator[str]:
    """Quote each value that names an existing file or folder: checkpoint='multirun/RUN,seed=0/checkpoints/best.ckpt'.

    So a user can paste such a path, or let the shell complete it. A value that begins with ~ is a path as well, whether
    it exists or not; ~ becomes the home directory, because the shell leaves it as it is behind an equals sign.
    """
    for argument in arguments:
        key, equals, value = argument.partition("=")
        path = os.path.expanduser(value)
        is_path = _exists(path) if MARKS.search(value) else value.startswith("~")
        if key.startswith("-") or not is_path:
            yield argument
        else:
            escaped = path.replace("'", r"\'")
            yield f"{key}{equals}'{escaped}'"


def _exists(path: str) -> bool:
    try:
        return Path(path).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL byte
        return False
