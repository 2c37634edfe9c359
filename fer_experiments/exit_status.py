"""How every command ends: with an exit status, after Ctrl-C as well."""

import os
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED_STATUS = 130  # what shells report for a process that Ctrl-C stopped
CLOSED_PIPE_STATUS = 141  # and for one whose reader went away


def run_command_line(command: Callable[[], int | None]) -> NoReturn:
    """Run `command` and end the process with the exit status that it returns (None is 0).

    Ctrl-C ends the process with INTERRUPTED_STATUS and one line instead of a traceback; so does a reader of the output
    that has read enough, as `| head`, without a word.
    """
    try:
        status = command()
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout once more at its end
        sys.exit(CLOSED_PIPE_STATUS)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)


def refuse(*reasons: str) -> NoReturn:
    """Print why the command is wrong, and exit with status 2."""
    print("\n".join(f"fer_experiments: {reason}" for reason in reasons), file=sys.stderr)
    sys.exit(2)
