"""Names in a message, of which there may be hundreds."""

from collections.abc import Sequence

MAX_NAMED = 10  # all of so many are named
NAMED_OF_MORE = 5


def enumerate_names(names: Sequence[str], separator: str = ", ") -> str:
    """Return "a, b, c", or of more than MAX_NAMED the first five: "a, b, c, d, e and 95 more"."""
    if len(names) <= MAX_NAMED:
        return separator.join(names)
    return f"{separator.join(names[:NAMED_OF_MORE])} and {len(names) - NAMED_OF_MORE} more"
