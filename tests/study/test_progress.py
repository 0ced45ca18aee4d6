"""Progress: plain lines where nobody watches, one renewed line where somebody does."""

from __future__ import annotations

import io

import pytest

from har.study.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress(stream: io.StringIO, **changes) -> Progress:
    return Progress(stream, **{"total": 40, "done": 11, "jobs": 2, "expected_s": 10.0, **changes})


def test_a_finished_run_is_one_line_with_score_seconds_and_time_left():
    stream = io.StringIO()
    progress(stream).finished("every  subject-3  repeat-0", "macro F1 0.871", 11.24)
    assert stream.getvalue() == "12/40  every  subject-3  repeat-0  macro F1 0.871  11.2 s  left 2 min 32 s\n"


def test_the_time_left_follows_the_runs_that_ended_and_reaches_nothing():
    stream = io.StringIO()
    shown = progress(stream, total=3, done=0, jobs=1)
    for _ in range(3):
        shown.finished("a", "b", 4.0)
    assert [line.split("left ")[1] for line in stream.getvalue().splitlines()] == ["6.0 s", "2.0 s", "0.0 s"]


def test_a_total_that_is_revised_counts_for_what_is_left():
    stream = io.StringIO()
    shown = progress(stream, total=5, done=0, jobs=1)
    shown.finished("a", "b", 4.0)
    shown.revise(2)
    shown.finished("a", "b", 4.0)
    assert stream.getvalue().splitlines()[1] == "2/2  a  b  4.0 s  left 0.0 s"


def test_a_failed_run_is_counted_and_shows_the_first_line_of_its_error():
    stream = io.StringIO()
    progress(stream).failed("every  subject-3  repeat-0", "no window.\n  Use shorter ones.")
    assert stream.getvalue().startswith("12/40  every  subject-3  repeat-0  failed: no window.  left ")
    assert "shorter" not in stream.getvalue()


def test_a_failed_run_does_not_change_the_expected_time():
    stream = io.StringIO()
    shown = progress(stream, total=4, done=0, jobs=1)
    shown.failed("a", "killed")
    assert stream.getvalue().rstrip().endswith("left 25 s")


def test_without_a_terminal_nothing_is_renewed():
    stream = io.StringIO()
    shown = progress(stream)
    shown.tick(2)
    shown.close()
    assert stream.getvalue() == ""


def test_on_a_terminal_one_line_is_renewed_and_never_wraps(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream = Terminal()
    shown = progress(stream)
    shown.finished("every  subject-3  repeat-0", "macro F1 0.871", 11.2)
    shown.tick(2)
    assert "\n" not in stream.getvalue()
    assert all(len(part) < 40 for part in stream.getvalue().split("\r\x1b[2K"))
    assert "12/40  2 at work  elapsed 0 s  left" in stream.getvalue()


def test_on_a_terminal_a_failure_stays_and_the_line_is_cleared_at_the_end():
    stream = Terminal()
    shown = progress(stream)
    shown.failed("every", "killed")
    shown.tick(0)
    shown.close()
    assert stream.getvalue() == "\r\x1b[2K12/40  every  failed: killed\n\r\x1b[2K"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0.0 s"),
        (0, "0 s"),
        (8.46, "8.5 s"),
        (9.97, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (130, "2 min 10 s"),
        (3599.6, "1 h 00 min"),
        (3900, "1 h 05 min"),
    ],
)
def test_a_duration_is_said_as_people_say_it(seconds, text):
    assert duration(seconds) == text
