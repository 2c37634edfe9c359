"""The house keeps its walls: imports go one way, between rooms and between files; torch waits for a job."""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fer_experiments

PACKAGE = Path(fer_experiments.__file__).parent
NAME = PACKAGE.name
# From the ground up; a room may import the rooms of the lines before its own.
STOREYS = (
    {"data", "augment", "evaluation"},
    {"balance", "gan", "classifier", "encoder"},
    {"joint", "trainer", "runs"},
    {"audit"},
    {"report"},
    {"train"},
)
# Within a storey: a classifier is built for the plan of a strategy, and one of timm's networks is an encoder as well.
BESIDE = {"classifier": {"balance"}, "encoder": {"classifier"}}
GROUND_FLOOR = {
    "atomic_write",
    "checkpoint_code",
    "completed_overrides",
    "conf_files",
    "distributed",
    "enumeration",
    "environment",
    "errors",
    "exit_status",
    "hydra_errors",
    "job_kinds",
    "json_record",
    "progress",
    "random_streams",
    "override_keys",
    "override_paths",
    "override_syntax",
    "pandas_strings",
    "renamed_keys",
    "run_naming",
    "strict_config",
    "trainer_arguments",
    "validation_errors",
}
# Command lines and measurements, which may import any room; nothing imports them.
ENTRIES = {"__main__", "bench", "export", "generate", "predict", "split"}


def modules(package: Path) -> dict[str, Path]:
    """{dotted name: file} of every module; a package is named by its folder."""
    files = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        files[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return files


def imports(file: Path, known: Mapping[str, Path]) -> Iterator[str]:
    """The modules of the package that a file imports, wherever it does, but for type checkers."""
    tree = ast.parse(file.read_text())
    skipped = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                if full in known or node.module in known:
                    yield full if full in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)


def import_graph(package: Path) -> dict[str, set[str]]:
    known = modules(package)
    return {name: set(imports(file, known)) - {name} for name, file in known.items()}


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    """Some modules that import each other in a circle, or none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def room(module: str) -> str:
    """The room of a module: "data" of fer_experiments.data.split, "" of the package itself."""
    return module.split(".")[1] if "." in module else ""


def below(name: str) -> set[str]:
    """The rooms that a room may import."""
    storey = next(number for number, rooms in enumerate(STOREYS) if name in rooms)
    return set().union(*STOREYS[:storey]) | BESIDE.get(name, set()) | GROUND_FLOOR | {name, ""}


GRAPH = import_graph(PACKAGE)


@pytest.mark.parametrize("module", [name for name in GRAPH if not name.endswith(".__main__")])
def test_imports_go_one_way(module):
    importer = room(module)
    imported = {room(name) for name in GRAPH[module]}
    if importer in GROUND_FLOOR or not importer:
        assert imported <= GROUND_FLOOR | {""}, module
    elif importer not in ENTRIES:
        assert imported <= below(importer), module


def test_no_room_is_forgotten():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert rooms - {"conf"} - ENTRIES == set().union(*STOREYS)
    files = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert files <= GROUND_FLOOR | ENTRIES


def test_nothing_imports_a_command_line():
    imported = {name for targets in GRAPH.values() for name in targets}
    outside = {name for name in imported if name.endswith("__main__")}
    assert outside <= {f"{NAME}.__main__", f"{NAME}.report.__main__"}  # a sweep's callback reports as a person would


def test_files_import_each_other_in_no_circle():
    assert circle(GRAPH) == []


def test_a_planted_circle_is_noticed(tmp_path):
    for name, imported in (("a", "b"), ("b", "c"), ("c", "a")):
        folder = tmp_path / "planted" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder / "file.py").write_text(f"def late():\n    from planted.{imported}.file import late\n")
    (tmp_path / "planted" / "__init__.py").touch()
    assert set(circle(import_graph(tmp_path / "planted"))) == {f"planted.{name}.file" for name in "abc"}


def test_a_planted_import_upwards_is_noticed(tmp_path):
    planted = tmp_path / NAME
    for name in ("data", "train"):
        (planted / name).mkdir(parents=True)
    (planted / "train" / "study.py").touch()
    (planted / "data" / "split.py").write_text("from fer_experiments.train import study\n")
    (imported,) = import_graph(planted)[f"{NAME}.data.split"]
    assert room(imported) not in below("data")


@pytest.mark.parametrize(
    "module",
    [
        "__main__",
        "generate",
        "audit.__main__",
        "distributed",
        "report.__main__",
        "report.collect",
        "report.hydra_callback",
        "report.write_report",
    ],
)
def test_the_command_line_imports_no_torch(module):
    code = f"import sys, fer_experiments.{module}; print('torch' in sys.modules, 'lightning' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
