"""What a person sees while something takes long."""

import io
import logging
import multiprocessing
import threading

import pytest
from rich.console import Console

from fer_experiments import progress


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def shown(request, monkeypatch):
    """What was written to standard output, and whether that is a terminal."""
    text, terminal = io.StringIO(), request.param
    monkeypatch.setattr(progress, "Console", lambda: Console(file=text, force_terminal=terminal))
    return text, terminal


def test_a_stage_has_a_bar_on_a_terminal_alone(shown):
    text, terminal = shown
    with progress.stage("training", 7) as advance:
        advance(3, "loss 0.5")
    assert ("training" in text.getvalue() and "3/7" in text.getvalue()) == terminal
    assert bool(text.getvalue()) == terminal


def test_what_has_no_steps_shows_that_it_goes_on_on_a_terminal_alone(shown):
    text, terminal = shown
    with progress.busy("checking images"):
        pass
    assert ("checking images" in text.getvalue()) == terminal
    assert bool(text.getvalue()) == terminal


def test_processes_that_share_a_terminal_show_no_bars(shown, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    with progress.stage("training", 7) as advance, progress.busy("checking"):
        advance(3)
    assert shown[0].getvalue() == ""


def test_at_exit_a_step_is_named_without_a_thread(shown, monkeypatch):
    text, terminal = shown
    monkeypatch.setattr(threading.main_thread(), "is_alive", lambda: False)
    threads = threading.active_count()
    with progress.busy("writing the report"):
        assert threading.active_count() == threads
        assert ("writing the report" in text.getvalue()) == terminal


def test_a_long_stage_writes_lines_elsewhere(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        assert list(progress.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert [message.strip() for message in caplog.messages] == [f"counting: {n} of 3" for n in (1, 2, 3)]
