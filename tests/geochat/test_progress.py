"""Progress of long jobs: seen in a terminal, silent for short jobs elsewhere."""

import sys

import pytest

from geochat.progress import counted, progress_bar


@pytest.fixture
def in_terminal(capsys, monkeypatch):
    """A function that makes standard error a terminal; it returns what the terminal shows."""

    def start():
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
        return lambda: capsys.readouterr().err

    return start


def test_items_pass_through(capsys):
    assert list(counted(range(3), "images", 3)) == [0, 1, 2]
    assert capsys.readouterr().err == "", "a short job in a log shows nothing"


def test_a_terminal_shows_count_unit_and_total(in_terminal):
    shown = in_terminal()
    assert list(counted("abc", "images", 3)) == ["a", "b", "c"]
    text = shown()
    assert "3/3" in text
    assert "images" in text


def test_work_of_earlier_runs_counts_as_done(in_terminal):
    shown = in_terminal()
    with progress_bar("questions", 10, done=4) as bar:
        bar.update(6)
    assert "10/10" in shown()


def test_a_job_that_ends_early_closes_its_bar(in_terminal):
    shown = in_terminal()
    images = counted(range(100), "images", 100)
    next(images)
    images.close()
    assert shown().endswith("\n")
