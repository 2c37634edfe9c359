"""Warn once in a process, although a study reads its data, and plans a training, several times."""

import logging
from functools import cache

log = logging.getLogger(__name__)


@cache
def warn_once(message: str) -> None:
    """Log a warning, unless this process has logged the same before."""
    log.warning("%s", message)
