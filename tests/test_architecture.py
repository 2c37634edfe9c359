"""The house keeps its walls: imports go one way, and torch is imported only when a job runs."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import fer_experiments

PACKAGE = Path(fer_experiments.__file__).parent
FOUNDATION = {"ending", "errors", "spec", "progress", "identity", "whole"}
MAY_IMPORT = {
    "data": set(),
    "augment": set(),
    "evaluation": set(),
    "balance": {"data", "augment", "evaluation"},
    "gan": {"data", "augment", "evaluation"},
    "classifier": {"data", "augment", "evaluation"},
    "joint": {"data", "augment", "evaluation", "gan", "classifier"},
    "report": {"data", "augment", "evaluation", "balance", "gan", "classifier"},
    "bench": {"balance", "data", "evaluation", "classifier", "gan", "report", "train", "__main__"},
    "train": {"data", "augment", "evaluation", "balance", "gan", "classifier", "joint", "report"},
}


def imported_rooms(file: Path) -> set[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    return {name.split(".")[1] for name in names if name.startswith("fer_experiments.") and name.count(".") >= 1}


@pytest.mark.parametrize("room", sorted(MAY_IMPORT))
def test_imports_go_one_way(room):
    allowed = MAY_IMPORT[room] | FOUNDATION | {room}
    for file in (PACKAGE / room).rglob("*.py"):
        assert imported_rooms(file) <= allowed, file


def test_every_room_is_known():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms - {"conf"} == set(MAY_IMPORT)


@pytest.mark.parametrize(
    "module", ["__main__", "generate", "audit", "report.__main__", "report.collect", "report.files"]
)
def test_the_command_line_imports_no_torch(module):
    code = f"import sys, fer_experiments.{module}; print('torch' in sys.modules, 'lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
