"""A signal that knows who may read it: nothing is fitted on, and nothing chosen by, subjects who are there to test.

Every sample of a window is copied by `har.windows.segment.gather` or summed by `har.windows.moments.moments`, and both
ask here. A fold's data module hands out two views of one signal: what is fitted reads the training subjects' rows and
no others, whatever is done before the test those of the training and validation subjects. The test subjects' rows are
opened once, when everything is chosen. A leak is then an error that names it, wherever it is made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from har.errors import LeakageError

TEST = "test"
_VERBS = {"train": "trains", "validation": "validates", TEST: "tests"}
_HINT = "Fit on training subjects, choose on validation subjects, and test at the end; report this if it stays."


class Permit:
    """Which subjects' rows may be read, and what for.

    Args:
        fold: Name of the fold, for errors.
        start_R: int64 (recordings,), first row of each recording, ascending.
        stop_R: int64 (recordings,), one past its last row.
        subject_R: Its subject.
        part_of: Subject to the part of the fold that it is in; whoever is in none may be read by nobody.
        parts: Parts that may be read.
        purpose: What reads them, as a sentence begins.
    """

    def __init__(
        self,
        fold: str,
        start_R: npt.NDArray[np.int64],
        stop_R: npt.NDArray[np.int64],
        subject_R: Sequence[str],
        part_of: Mapping[str, str],
        parts: Sequence[str],
        purpose: str,
    ) -> None:
        self._fold, self._start_R, self._stop_R, self._purpose = fold, start_R, stop_R, purpose
        self._subject_R, self._part_of, self._parts = list(subject_R), dict(part_of), list(parts)
        self._may_R = self._allowed()

    def only(self, part: str, purpose: str) -> Permit:
        """Return a permit for one part alone."""
        recordings = (self._start_R, self._stop_R, self._subject_R)
        return Permit(self._fold, *recordings, self._part_of, [part], purpose)

    def open(self, part: str) -> None:
        """Let another part be read from now on."""
        self._parts.append(part)
        self._may_R = self._allowed()

    def check(self, start_N: npt.NDArray[np.int64], samples: int) -> None:
        """Raise where a window may not be read.

        Args:
            start_N: int64 (windows,), first rows.
            samples: Their length.

        Raises:
            LeakageError: A window is of a subject that may not be read, or reaches over the end of its recording. The
                subject, its part and what reads it are named.
        """
        place_N = np.searchsorted(self._start_R, start_N, side="right") - 1
        if not self._may_R[place_N].all():
            place = int(place_N[np.argmin(self._may_R[place_N])])
            subject = self._subject_R[place]
            part = self._part_of.get(subject)
            who = f"who {_VERBS[part]}" if part else "who is not in the fold"
            raise LeakageError(
                f"fold {self._fold}: {self._purpose} would read the signal of subject {subject}, {who}.", _HINT
            )
        over_N = start_N + samples > self._stop_R[place_N]
        if over_N.any():
            row = int(start_N[np.argmax(over_N)])
            raise LeakageError(
                f"fold {self._fold}: the window at row {row} reaches over the end of its recording.", _HINT
            )

    def _allowed(self) -> npt.NDArray[np.bool_]:
        """Tell which recordings may be read."""
        return np.array([self._part_of.get(subject) in self._parts for subject in self._subject_R])


class _Permitted(np.ndarray[Any, Any]):
    """A view of a signal with a permit; what is cut out of it has none, since its rows count anew."""

    permit: Permit | None = None


def permitted(signal_TC: npt.NDArray[np.float32], permit: Permit) -> npt.NDArray[np.float32]:
    """Return a view of a signal, float32 (rows of the store, channels), that is read by permission."""
    view = signal_TC.view(_Permitted)
    view.permit = permit
    return view


def check_permit(signal_TC: npt.NDArray[np.float32], start_N: npt.NDArray[np.int64], samples: int) -> None:
    """Ask a signal's permit for some windows, where it has one; see `Permit.check`."""
    permit: Permit | None = getattr(signal_TC, "permit", None)
    if permit is not None and len(start_N):
        permit.check(start_N, samples)
