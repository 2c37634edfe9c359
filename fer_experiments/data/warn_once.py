"""Warn once in a process, although a study reads its data, and plans a training, several times."""

import logging

log = logging.getLogger(__name__)
_keys: set[str] = set()  # of the warnings that were logged


def warn_once(message: str, key: str | None = None) -> None:
    """Log a warning, unless this process has logged one with the same key before. key: None: the message is its own."""
    if (key or message) not in _keys:
        _keys.add(key or message)
        log.warning("%s", message)


def forget_warnings() -> None:
    """Let all warnings be logged again."""
    _keys.clear()
