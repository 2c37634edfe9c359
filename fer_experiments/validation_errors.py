"""Pydantic's errors in the words of the command line: the full key, the value, what is allowed, and what to write."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from fer_experiments.override_syntax import format_override
from fer_experiments.renamed_keys import present_name
from fer_experiments.trainer_arguments import ADDABLE, REFUSED

EXPECTED = "input should be "
SEPARATORS = re.compile(r"[,\s]+(?![^\[]*\])(?!\[)")  # of names; a name may have settings, "dcgan [balance.add=200]"
# What these values are called in other libraries.
SYNONYMS = {
    "auc": "auroc",
    "bf16": "bf16-mixed",
    "cuda": "gpu",
    "f1": "macro_f1",
    "fp16": "16-mixed",
    "16": "16-mixed",
    "32": "32-true",
}
MAPPINGS = {
    "classifier.schedule": "{_target_: torch.optim.lr_scheduler.StepLR, step_size: 300}",
    "data.counts": "{angry: 60, happy: 600}",
    "data.parts": "{test: valid}",
    "data.rename": "{anger: angry}",
    "data.test_counts": "{angry: 60, happy: 60}",
    "joint.labels": "{angry: 60, happy: 60}",
}


def describe_errors(
    group: str, error: ValidationError, fields: Iterable[str], values: Mapping[str, Any]
) -> Iterable[str]:
    """Describe each of pydantic's errors in one line: the full key, the value and what is allowed.

    Args:
        group: the group of the keys; "" for those of the root.
        error: what pydantic raised.
        fields: the keys that the group has.
        values: {key: value} that were checked.
    """
    alternatives: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for item in error.errors():
        alternatives.setdefault(_union_place(item["loc"], values), []).append(item)
    for place, items in alternatives.items():
        yield from _describe(group, _closest(place, items, values), fields, values)


def explain_unknown_key(key: str, fields: Iterable[str]) -> str:
    """Say what the key is called now or why it can't be set, else which keys there are and which of them is close."""
    present = present_name(key)
    if present is not None:
        return f"is now {present}"
    names = sorted(set(fields) - {"_target_"})
    group, dot, name = key.rpartition(".")
    if group == "trainer" and name in REFUSED:
        return f"can't be set here: {REFUSED[name]}"
    if group == "trainer" and name in set(ADDABLE) - set(names):
        return f"has no value in conf/trainer, and is added by +{key}=VALUE"
    close = difflib.get_close_matches(name, names, n=1)
    suggestion = f"; did you mean {group}{dot}{close[0]}?" if close else ""
    return f"unknown key{suggestion} (keys here: {', '.join(names) or 'none'})"


def _key_parts(place: Sequence[str | int], values: Any) -> tuple[str | int, ...]:
    """Return the parts of an error's place that are keys and places in lists.

    Pydantic names the members of a union among them: ("seeds", "list[constrained-int]", 0).
    """
    parts: list[str | int] = []
    for number, part in enumerate(place):
        is_place = isinstance(values, list) and isinstance(part, int)
        if is_place or (isinstance(values, Mapping) and part in values):
            values = values[part]
            parts.append(part)
        elif isinstance(values, Mapping) and number == len(place) - 1:  # a key that is missing
            parts.append(part)
    return tuple(parts)


def _union_place(place: tuple[str | int, ...], values: Any) -> tuple[str | int, ...]:
    """Return the key parts of a place before the member of a union that it names, else all of it."""
    parts = _key_parts(place, values)
    common = next((n for n, (a, b) in enumerate(zip(place, parts, strict=False)) if a != b), len(parts))
    return parts[:common]


def _closest(place: tuple[str | int, ...], items: list[ErrorDetails], values: Any) -> list[ErrorDetails]:
    """Return the errors of that member of a union whose type the value has; those of all members if it has none."""
    deeper = [item for item in items if _key_parts(item["loc"], values) != place or not _is_mismatch(item)]
    return deeper[:1] or items if len(items) > 1 else items


def _is_mismatch(item: ErrorDetails) -> bool:
    return item["type"].endswith("_type") or item["type"] == "literal_error"


def _describe(group: str, items: list[ErrorDetails], fields: Iterable[str], values: Any) -> Iterable[str]:
    """Describe errors of one key: one, or those of every member of a union."""
    item = items[0]
    if item["type"] == "value_error" and not item["loc"]:  # a check of several fields, whose message names them
        yield f"{group}: {item['ctx']['error']}"
        return
    key = _join_key(group, _key_parts(item["loc"], values))
    if item["type"] == "extra_forbidden" and len(item["loc"]) == 1:
        yield f"{key}: {explain_unknown_key(key, fields)}"
    elif item["type"] == "missing":
        yield f"{key}: is required"
    else:
        first, *texts = [_message(item) for item in items]
        texts = [text.removeprefix(EXPECTED) for text in texts]
        allowed = " or ".join([", ".join([first, *texts[:-1]]), *texts[-1:]])
        remedies = [] if key.endswith("]") else [_suggest(key, item, len(items) == 1) for item in items]
        remedy = next(filter(None, remedies), None)
        yield f"{key}={item['input']!r}: {allowed}" + (f"; {remedy}" if remedy else "")


def _join_key(group: str, parts: Iterable[str | int]) -> str:
    """Return "train.seeds[1]" of the group train and ("seeds", 1)."""
    names = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return "".join([group, *names]).lstrip(".")


def _message(item: ErrorDetails) -> str:
    if item["type"] == "too_short":
        return f"needs at least {item['ctx']['min_length']} item(s)"
    if item["msg"].startswith("Value error, "):
        return item["msg"].removeprefix("Value error, ")
    return f"{item['msg'][0].lower()}{item['msg'][1:]}"


def _suggest(key: str, item: ErrorDetails, is_only_type: bool) -> str | None:
    """Return what to write instead, if the value shows what was meant: "write gan.epochs=1000".

    is_only_type: whether the key takes values of one type.
    """
    value, kind = item["input"], item["type"]
    if kind == "int_type" and isinstance(value, float) and value.is_integer():
        return f"write {key}={int(value)}"
    if kind == "list_type" and is_only_type and isinstance(value, str | int):
        names = str(value).strip()
        is_quoted_list = names.startswith("[") and names.endswith("]")
        text = ",".join(SEPARATORS.split(names[1:-1] if is_quoted_list else names))
        return f"write {format_override(f'{key}=[{text}]')}"
    if kind == "dict_type" and key in MAPPINGS:
        return f"write it in quotes, such as {format_override(f'{key}={MAPPINGS[key]}')}"
    if kind == "literal_error":
        return _suggest_literal(key, str(value), item["ctx"]["expected"])
    return _suggest_fraction(key, value, item)


def _suggest_literal(key: str, value: str, expected: str) -> str | None:
    allowed = re.findall(r"'([^']*)'", expected)
    synonym = SYNONYMS.get(value.lower())
    close = [synonym] if synonym in allowed else difflib.get_close_matches(value.lower(), allowed, n=1)
    return f"did you mean {key}={close[0]}?" if close else None


def _suggest_fraction(key: str, value: Any, item: ErrorDetails) -> str | None:
    """Return the fraction that was meant by a percentage, as 20 or "20%"."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(%?)", str(value))
    if match is None or not (match[2] or (item.get("ctx") or {}).get("lt") == 1 < float(match[1])):
        return None
    return f"{match[1]}% is {key}={float(match[1]) / 100:g}"
