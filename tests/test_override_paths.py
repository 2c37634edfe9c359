"""Paths with marks of Hydra's grammar, as the names of runs have them, can be typed as they are."""

from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from fer_experiments.override_paths import quote_paths
from tests.test_cli import command


@pytest.mark.parametrize("name", ["none,seed=0-1a2b.ckpt", "photos (1)", "it's {here}", "a:b [c]"])
def test_an_existing_path_is_one_value(tmp_path, monkeypatch, name):
    (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    for path in (name, f"./{name}", str(tmp_path / name)):
        (argument,) = quote_paths([f"+data.root={path}"])
        (override,) = OverridesParser.create().parse_overrides([argument])
        assert override.value() == path
        assert list(quote_paths([argument])) == [argument]  # ranks are started with what was quoted before


@pytest.mark.parametrize(
    "argument",
    [
        "-m",
        "gan.epochs=1,2",
        "checkpoint=missing,seed=0.ckpt",
        "seed=1",
        "a=\0,",
        "--config-dir=a,b",
        "a=" + "x," * 5000,
    ],
)
def test_all_other_arguments_stay(tmp_path, monkeypatch, argument):
    (tmp_path / "a,b").touch()
    monkeypatch.chdir(tmp_path)
    assert list(quote_paths([argument])) == [argument]


def test_the_command_line_takes_the_path_of_a_run(tmp_path):
    path = Path("multirun", "none,seed=0-1a2b", "best.ckpt")
    (tmp_path / path.parent).mkdir(parents=True)
    (tmp_path / path).touch()
    done = command("train=evaluate", f"checkpoint={path}", "--cfg=job", "--package=checkpoint", where=tmp_path)
    assert (done.returncode, done.stdout.strip()) == (0, str(path)), done.stderr


def test_the_home_of_an_unknown_user_is_no_path():
    assert list(quote_paths(["data.root=~nosuchuser,x/faces"])) == ["data.root=~nosuchuser,x/faces"]
