"""How every command ends, also where Ctrl-C stopped it."""

import sys
from collections.abc import Callable
from typing import NoReturn

STOPPED = 130  # the exit status, as a shell has it


def ended(command: Callable[[], int | None]) -> NoReturn:
    """End the process with the command's exit status; after Ctrl-C with STOPPED and a word, not a traceback."""
    try:
        sys.exit(command())
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(STOPPED)
