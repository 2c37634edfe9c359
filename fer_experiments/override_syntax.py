"""How an override must be written so that the shell and Hydra's grammar read it as one value."""

import re
import shlex
from collections.abc import Iterator, Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

QUOTED = re.compile(r"""\\.|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'""")
CLOSING = {"[": "]", "{": "}"}
DEPTHS = {"[": 1, "{": 1, "(": 1, "]": -1, "}": -1, ")": -1}


def override_key(override: str) -> str:
    """Return the key of an override: "trainer.max_epochs" of "+trainer.max_epochs=3"."""
    return override.lstrip("+~").partition("=")[0]


def join_split_overrides(arguments: Sequence[str]) -> Iterator[list[str]]:
    """Group the arguments that were meant as one override, which the shell has split at its spaces.

    ["train.arms=[none,", "dcgan]"] is such a group, as is ["seed", "=", "3"]; all other arguments are alone.
    """
    place = 0
    while place < len(arguments):
        count = _count_pieces(arguments[place:])
        yield list(arguments[place : place + count])
        place += count


def explain_split(pieces: Sequence[str]) -> str:
    """Say how the override must be written whose pieces the shell has split."""
    typed = " ".join(pieces)
    if _depth(pieces[0]):
        return f"{typed}: the shell has split it at the spaces; put it in quotes: {format_override(typed)}"
    return f"{typed}: has spaces around =; write {format_override(''.join(pieces))}"


def explain_syntax(override: str) -> str | None:
    """Say how the override must be quoted, or why Hydra's grammar can't read it; None if it can."""
    reason = _find_reason(override)
    if reason is None:
        return None
    form = format_override(override)
    if _find_reason(shlex.split(form)[0]) is None:
        return f"{override}: needs quotes: {form}"
    if _depth(override):
        reason = "its brackets don't match"
    elif names := [name for name in re.findall(r"[{,]\s*([^:,{}]+):", override) if not name.isascii()]:
        reason = (
            f"Hydra takes no letters beyond ASCII in the names of a {{NAME: VALUE}}, as {names[0]} has; rename the "
            "class's folder, or write the mapping into a file, as .github/docs/troubleshooting.md shows"
        )
    elif "{" in override and not override.isascii():
        reason = f'{reason}; put values with letters beyond ASCII in double quotes: {{NAME: "VALUE"}}'
    elif "{" in override:
        reason = f"{reason}; names and values are written as {{NAME: VALUE, NAME: VALUE}}"
    return f"{override}: can't be read: {reason}"


def format_override(override: str) -> str:
    """Return the override as it is typed in bash or zsh: 'train.arms=[none,"dcgan [balance.add=200]"]'.

    What Hydra's grammar can't read is put in double quotes, each element of a list by itself.
    """
    key, _, value = override.partition("=")
    closing = CLOSING.get(value[:1])  # a value that ends with another mark is text, such as [a-z]\d{3}
    is_collection = closing is not None and (_depth(value) != 0 or value.endswith(closing))
    forms = [value, _quote_elements(value), value if is_collection else _quote(value)]
    readable = (form for form in forms if _find_reason(f"{key}={form}") is None)
    return shlex.quote(f"{key}={next(readable, value)}")


def _count_pieces(arguments: Sequence[str]) -> int:
    """Return how many of the arguments, from the first on, are one override; 1 unless the shell has split it."""
    first, *rest = arguments
    if _depth(first) > 0:
        depths = [_depth(" ".join(arguments[:count])) for count in range(1, len(arguments) + 1)]
        return depths.index(0) + 1 if 0 in depths else 1
    if "=" not in first and first and not first.startswith("~") and rest and rest[0].startswith("="):
        return 3 if rest[0] == "=" and len(rest) > 1 else 2
    return 2 if first.endswith("=") and first != "=" and rest and not set(rest[0]) & set("=~") else 1


def _depth(text: str) -> int:
    """Return how many brackets are open at the end of the text, without those in quotes."""
    return sum(DEPTHS.get(mark, 0) for mark in QUOTED.sub("", text))


def _find_reason(override: str) -> str | None:
    """Return why Hydra's grammar can't read the override; None if it can."""
    try:
        OverridesParser.create().parse_override(override)
    except HydraException as error:
        return str(error).splitlines()[0]
    return None


def _quote_elements(value: str) -> str:
    """Return the list with double quotes around each element that needs them."""
    if not (value.startswith("[") and value.endswith("]")):
        return value
    elements = [""]
    for mark in value[1:-1]:
        if mark == "," and not _depth(elements[-1]):
            elements.append("")
        else:
            elements[-1] += mark
    plain = [element.strip() for element in elements]
    return f"[{','.join(each if _find_reason(f'key={each}') is None else _quote(each) for each in plain)}]"


def _quote(value: str) -> str:
    return '"' + value.replace('"', r"\"") + '"'
