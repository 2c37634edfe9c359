"""How every command ends: with an exit status, after Ctrl-C as well."""

import logging
import os
import select
import sys
from collections.abc import Callable
from typing import NoReturn

INTERRUPTED_STATUS = 130  # what shells report for a process that Ctrl-C stopped
TERMINATED_STATUS = 143  # for one that SIGTERM ended
CLOSED_PIPE_STATUS = 141  # and for one whose reader went away


def run_command_line(command: Callable[[], int | None]) -> NoReturn:
    """Run `command` and end the process with the exit status that it returns (None is 0).

    Ctrl-C ends the process with INTERRUPTED_STATUS and one line instead of a traceback. If the reader of the output has
    gone, as `| head` has, it ends with CLOSED_PIPE_STATUS and no message.
    """
    try:
        status = command()
        sys.stdout.flush()
        sys.exit(status)
    except BrokenPipeError:
        if not _has_lost_its_reader():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout once more at its end
        sys.exit(CLOSED_PIPE_STATUS)
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        sys.exit(INTERRUPTED_STATUS)


class ConsoleHandler(logging.StreamHandler):
    """Write log lines to a stream; once its reader has gone they are lost, without a traceback for each."""

    def handleError(self, record: logging.LogRecord) -> None:
        if not isinstance(sys.exc_info()[1], BrokenPipeError):
            super().handleError(record)


def _has_lost_its_reader() -> bool:
    """Whether it is standard output that can't be written, and not a pipe to another process."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def refuse(*reasons: str) -> NoReturn:
    """Print why the command is wrong, and exit with status 2."""
    print("\n".join(f"fer_experiments: {reason}" for reason in reasons), file=sys.stderr)
    sys.exit(2)
