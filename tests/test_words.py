"""Names are nouns and verbs of the field: no participle or pronoun that makes a reader guess what it stands for."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fer_experiments

PACKAGE = Path(fer_experiments.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted([*PACKAGE.rglob("*.py"), *TESTS.rglob("*.py")])
# No part of an identifier: found_files, _told.
PARTS = {"asked", "found", "gone", "held", "made", "mine", "own", "said", "seen", "told", "whose"}
# No identifier by itself: as a part, as in other_jobs, they are plain.
NAMES = {"another", "given", "here", "one", "other", "others", "shown", "some", "that", "there", "this", "what", "who"}
# Terms of the field that contain such a word.
TERMS = re.compile(r"held_out|HELD_OUT|HeldOut|images_seen|one_hot|one_cycle|OneCycle", re.ASCII)


def words(identifier: str) -> set[str]:
    """{"found", "files"} of found_files, {"held", "files"} of HeldFiles; without the words of TERMS."""
    plain = TERMS.sub("", identifier)
    return {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", plain)}


def defined(source: str) -> Iterator[tuple[int, str]]:
    """(line, name) of every name that a source defines: functions, classes, arguments, variables, attributes."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.alias) and node.asname:
            yield node.lineno, node.asname


def is_test_name(name: str) -> bool:
    """A test's name is a sentence and may have any word."""
    return name.startswith("test_")


def guesswork(source: str) -> list[tuple[int, str]]:
    names = ((line, name) for line, name in defined(source) if not is_test_name(name))
    return [(line, name) for line, name in names if words(name) & PARTS or name.strip("_").lower() in NAMES]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE.parent)))
def test_no_name_makes_a_reader_guess(file):
    assert guesswork(file.read_text()) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE.parent)))
def test_no_docstring_begins_with_of(file):
    nodes = ast.walk(ast.parse(file.read_text()))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    texts = [ast.get_docstring(node) or "" for node in nodes if isinstance(node, documented)]
    assert [text for text in texts if text.startswith("Of ")] == []


def test_planted_guesswork_is_noticed():
    source = "def load(told):\n    found_files = one = held_out = images_seen = 0\n    self._own: int = 1\n"
    assert guesswork(source) == [(1, "told"), (2, "found_files"), (2, "one"), (3, "_own")]
