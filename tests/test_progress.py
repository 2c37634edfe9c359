"""The progress that a person sees."""

import io
import logging
import multiprocessing
import sys
import threading
import time

import pytest
from rich.console import Console
from rich.file_proxy import FileProxy

from fer_experiments import progress
from fer_experiments.report.write_report import write_report
from tests.results import write_study


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


# Work of several processes


def test_the_whole_of_a_work_has_a_bar_above_which_the_log_appears(console, monkeypatch, capsys):
    text, terminal = console
    handler = logging.StreamHandler(sys.stdout)
    monkeypatch.setattr(logging.root, "handlers", [handler])
    before = handler.stream
    with progress.show_overall("3 seeds", lambda: (0.25, "about 2 min left")):
        time.sleep(0.3)
        logging.root.warning("a line")
        with progress.show_stage("training", 7) as advance, progress.show_activity("reporting"):
            advance(3)
    written = text.getvalue()
    assert ("3 seeds" in written and "25%" in written and "about 2 min left" in written) == terminal
    assert ("a line" in written) == terminal  # rich prints it above the bar; elsewhere it goes where it always goes
    assert ("a line" in capsys.readouterr().out) != terminal
    assert "training" not in written
    assert "reporting" not in written
    assert handler.stream is before


def test_elsewhere_the_whole_of_a_work_is_a_line_from_time_to_time(monkeypatch, caplog):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_OVERALL_LINES", 0.02)
    with caplog.at_level(logging.INFO), progress.show_overall("3 seeds", lambda: (0.5, "about 10 s left")):
        time.sleep(0.2)
    assert "3 seeds: 50% done, about 10 s left" in caplog.messages
    count = len(caplog.messages)
    time.sleep(0.1)
    assert len(caplog.messages) == count


def test_a_stage_after_the_whole_has_its_bar_again(console):
    text, terminal = console
    with pytest.raises(RuntimeError), progress.show_overall("3 seeds", lambda: (0.5, "")):
        raise RuntimeError
    with progress.show_stage("training", 7) as advance:
        advance(3)
    assert ("training" in text.getvalue()) == terminal


@pytest.mark.parametrize("terminal", [True, False])
def test_lines_of_other_processes_erase_the_bar_on_a_terminal_alone(monkeypatch, terminal):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert bool(progress.erase_bar()) == terminal


def test_a_studys_table_appears_above_the_bar(tmp_path, monkeypatch, blank_figures):
    bar, plain = Console(file=io.StringIO(), width=120), io.StringIO()
    monkeypatch.setattr(sys, "stdout", FileProxy(bar, plain))  # as rich's bars do
    record = write_study(tmp_path, {"none": {0: 0.7}, "dcgan": {0: 0.6}}, [0])
    write_report(record, tmp_path)
    sys.stdout.flush()
    assert plain.getvalue() == ""
    assert "On test" in bar.file.getvalue()
    assert "The whole report: " in bar.file.getvalue()
