"""The progress that a person sees."""

import io
import logging
import multiprocessing
import threading

import pytest
from rich.console import Console

from fer_experiments import progress


@pytest.fixture(params=[True, False], ids=["terminal", "file"])
def console(request, monkeypatch):
    """The text that is written to standard output, and whether that is a terminal."""
    text, terminal = io.StringIO(), request.param
    monkeypatch.setattr(progress, "Console", lambda: Console(file=text, force_terminal=terminal))
    return text, terminal


def test_a_stage_has_a_bar_on_a_terminal_only(console):
    text, terminal = console
    with progress.show_stage("training", 7) as advance:
        advance(3, "loss 0.5")
    assert ("training" in text.getvalue() and "3/7" in text.getvalue()) == terminal
    assert bool(text.getvalue()) == terminal


def test_an_activity_without_steps_is_shown_on_a_terminal_only(console):
    text, terminal = console
    with progress.show_activity("checking images"):
        pass
    assert ("checking images" in text.getvalue()) == terminal
    assert bool(text.getvalue()) == terminal


def test_processes_that_share_a_terminal_show_no_bars(console, monkeypatch):
    monkeypatch.setattr(multiprocessing, "parent_process", lambda: object())
    with progress.show_stage("training", 7) as advance, progress.show_activity("checking"):
        advance(3)
    assert console[0].getvalue() == ""


def test_an_activity_at_exit_is_shown_without_a_thread(console, monkeypatch):
    text, terminal = console
    monkeypatch.setattr(threading.main_thread(), "is_alive", lambda: False)
    threads = threading.active_count()
    with progress.show_activity("writing the report"):
        assert threading.active_count() <= threads
        assert ("writing the report" in text.getvalue()) == terminal


def test_a_long_stage_writes_lines_elsewhere(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        assert list(progress.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert [message.strip() for message in caplog.messages] == [f"counting: {n} of 3" for n in (1, 2, 3)]
