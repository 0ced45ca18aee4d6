"""How far a study is: one line renewed in place on a terminal, one plain line per finished run anywhere else."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

_RENEW = "\r\x1b[2K"  # back to the first column, clear the line


def duration(seconds: float) -> str:
    """Return a duration as people say it: ``8.5 s`` (``8 s`` for an int), ``40 s``, ``2 min 10 s``, ``1 h 05 min``."""
    if seconds < 59.5:
        return f"{seconds:.1f} s" if seconds < 9.95 and isinstance(seconds, float) else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


class Progress:
    """Reports runs as they end.

    Args:
        stream: Where to write.
        total: Runs of the whole study.
        done: Runs that were finished before.
        jobs: Runs at work at a time.
        expected_s: Expected seconds of a run, until the first one has ended.
    """

    def __init__(self, stream: TextIO, *, total: int, done: int, jobs: int, expected_s: float) -> None:
        """Start the clock."""
        self._stream = stream
        self._total = total
        self._done = done
        self._left = total - done
        self._jobs = jobs
        self._expected_s = expected_s
        self._ended = 0
        self._spent_s = 0.0
        self._start_s = time.monotonic()
        self._renews = stream.isatty()
        self._last = ""

    def revise(self, total: int) -> None:
        """Go on with another number of runs of the whole study: some turned out to be the runs of others."""
        self._left += total - self._total
        self._total = total

    def finished(self, label: str, score: str, seconds: float) -> None:
        """Report a run that ended well, with its score in words and its wall time in seconds."""
        self._spent_s += seconds
        self._ended += 1
        self._count(f"{label}  {score}  {seconds:.1f} s")

    def failed(self, label: str, error: str) -> None:
        """Report a run that failed, with the first line of its error."""
        self._count(f"{label}  failed: {error.splitlines()[0]}", keeps=True)

    def tick(self, running: int) -> None:
        """Renew the line of a terminal."""
        if self._renews and running:
            elapsed = duration(round(time.monotonic() - self._start_s))
            counts = f"{self._done}/{self._total}  {running} at work"
            self._show(f"{counts}  elapsed {elapsed}  {self._time_left()}  {self._last}".rstrip())

    def close(self) -> None:
        """Clear the line of a terminal, so that what follows starts on a line of its own."""
        if self._renews:
            self._stream.write(_RENEW)
            self._stream.flush()

    def _count(self, text: str, *, keeps: bool = False) -> None:
        """Count one run and show its line; a line that keeps stays on a terminal too."""
        self._done += 1
        self._left -= 1
        self._last = text
        line = f"{self._done}/{self._total}  {text}"
        if not self._renews:
            self._stream.write(f"{line}  {self._time_left()}\n")
        elif keeps:
            self._stream.write(f"{_RENEW}{line}\n")
        self._stream.flush()

    def _show(self, text: str) -> None:
        width = shutil.get_terminal_size().columns - 1  # a full last column would start a new line
        self._stream.write(_RENEW + text[:width])
        self._stream.flush()

    def _time_left(self) -> str:
        """Estimate from the runs that ended; runs still at work count as half done."""
        each_s = self._spent_s / self._ended if self._ended else self._expected_s
        at_work = min(self._jobs, self._left)
        left_s = each_s * (self._left - at_work / 2) / self._jobs
        return f"left {duration(left_s)}"
