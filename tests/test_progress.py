"""What a person sees while something takes long."""

import io
import logging

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


def test_a_long_stage_writes_lines_elsewhere(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    with caplog.at_level(logging.INFO):
        assert list(progress.track([1, 2, 3], "counting")) == [1, 2, 3]
    assert [message.strip() for message in caplog.messages] == [f"counting: {n} of 3" for n in (1, 2, 3)]
