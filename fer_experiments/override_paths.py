"""Paths on the command line that Hydra's grammar would not read as one value, as those of this program's own runs."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

MARKS = re.compile(r"""[,=()\[\]{}:'"]""")  # they have a meaning in Hydra's grammar


def quote_paths(arguments: Sequence[str]) -> Iterator[str]:
    """Quote each value that names an existing file or folder: checkpoint='multirun/RUN,seed=0/checkpoints/best.ckpt'.

    So a user can paste such a path, or let the shell complete it.
    """
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if key.startswith("-") or not MARKS.search(value) or not _exists(value):
            yield argument
        else:
            escaped = value.replace("'", r"\'")
            yield f"{key}{equals}'{escaped}'"


def _exists(value: str) -> bool:
    try:
        return Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):  # too long for a path, with a NUL byte, or of a user who is unknown
        return False
