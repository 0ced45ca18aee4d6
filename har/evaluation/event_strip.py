"""One recording on a time axis: what was true, what was decided, and what kind of error every wrong stretch is.

A stretch in which the decision is not the truth is called by the frame categories of `har.evaluation.events`: from the
view of the activity that is true (deletion, fragmenting, underfill) or, where none is, of the one that was decided
(insertion, merge, overfill).

**Which recording.** Of the recordings that the first repeat of the contrast's two variants has tested and in which the
truth changes, the one in the middle of their order by the share of time that is decided rightly, mean of the two
variants; of two in the middle the worse one. Where the truth changes in none, because every recording is of one
activity, it is the subject in the middle, with all its recordings one after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from har.evaluation.arms import parts_of
from har.evaluation.counts import natural
from har.evaluation.gathering import Gathered, Run
from har.evaluation.predictions import activities_of
from har.evaluation.scores import read_run
from har.evaluation.timeline import BETWEEN, Timeline, lay, obstacle

RIGHT = "right"
_FALSE = {(False, False): "insertion", (True, True): "merge", (False, True): "overfill", (True, False): "overfill"}
_MISSED = {(False, False): "deletion", (True, True): "fragmenting"}
_MISSED |= {(False, True): "underfill", (True, False): "underfill"}

Frames = tuple[pd.DataFrame, pd.DataFrame]


@dataclass(frozen=True)
class Stretch:
    """A stretch in which neither truth nor decision changes.

    Attributes:
        start_s: Begin on the axis of the figure, seconds.
        end_s: End.
        truth: What is true; empty for null.
        decision: What was decided; empty where nothing was.
        category: `RIGHT`, insertion, deletion, merge, fragmenting, overfill or underfill.
    """

    start_s: float
    end_s: float
    truth: str
    decision: str
    category: str


@dataclass(frozen=True)
class Choice:
    """What is shown.

    Attributes:
        fold: Name of the fold that tested it.
        repeat: The repeat of the runs.
        subject: Whose.
        recordings: Its recordings that are shown, in order.
        rank: Place in the order from the worst, from 1.
        of: How many there are.
        share: Share of time decided rightly, mean of the two variants.
    """

    fold: str
    repeat: int
    subject: str
    recordings: tuple[int, ...]
    rank: int
    of: int
    share: float


def stretches(timeline: Timeline) -> list[Stretch]:
    """Return the stretches of a time axis with their categories; what lies between recordings is left out.

    Args:
        timeline: As `har.evaluation.timeline.lay` makes it.
    """
    names = [*timeline.activities, ""]
    end_M = np.cumsum(timeline.length_M)
    found = []
    for place, (truth, decision) in enumerate(
        zip(timeline.truth_M.tolist(), timeline.decision_M.tolist(), strict=True)
    ):
        if truth != BETWEEN:
            start_s, end_s = float(end_M[place] - timeline.length_M[place]), float(end_M[place])
            category = RIGHT if truth == decision else _category(timeline, place)
            found.append(Stretch(start_s, end_s, names[truth], names[decision], category))
    return found


def choose(folder: Path, gathered: Gathered, a: str, b: str) -> Choice | None:
    """Return which recording is shown, by the rule above; None where there is no continuous one.

    Args:
        folder: The study's folder.
        gathered: Its runs.
        a: The first arm of a contrast.
        b: The second.
    """
    repeats = [run.repeat for run in gathered.of(a)]
    runs = {name: {run.fold: run for run in gathered.of(name) if run.repeat == min(repeats)} for name in (a, b)}
    frames = {
        (fold, name): read(folder, runs[name][fold]) for fold in runs[a].keys() & runs[b].keys() for name in (a, b)
    }
    if any(obstacle(*found) is not None for found in frames.values()):
        return None
    changing = any(True for found in frames.values() for _ in _parts(found, changing=True))
    shares: dict[tuple[str, str, tuple[int, ...]], list[float]] = {}
    for (fold, _), found in frames.items():
        for subject, recordings in _parts(found, changing=changing):
            timeline = axis_of(found, recordings)
            if timeline is not None:
                shares.setdefault((fold, subject, recordings), []).append(_share(timeline))
    order = sorted(shares, key=lambda key: (np.mean(shares[key]), natural(key[0]), key[1:]))
    if not order:
        return None
    middle = (len(order) - 1) // 2
    fold, subject, recordings = order[middle]
    share = float(np.mean(shares[order[middle]]))
    return Choice(fold, min(repeats), subject, recordings, middle + 1, len(order), share)


def read(folder: Path, run: Run) -> Frames:
    """Return predictions and truth of a run under its inference."""
    return read_run(folder / run.folder, parts_of(run.arm)[1])


def axis_of(frames: Frames, recordings: Sequence[int]) -> Timeline | None:
    """Lay some recordings of a run on a time axis; None where none of them has a window."""
    predictions, truth = (frame[frame["recording"].isin(recordings)].reset_index(drop=True) for frame in frames)
    return None if predictions.empty or truth.empty else lay(predictions, truth)


def _parts(frames: Frames, *, changing: bool) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Yield subject and recordings: each recording in which the truth changes, or all recordings of each subject."""
    activities, truth = activities_of(frames[0]), frames[1]
    for subject in dict.fromkeys(truth["subject"]):
        own = truth[truth["subject"] == subject]
        if not changing:
            yield str(subject), tuple(int(number) for number in dict.fromkeys(own["recording"]))
            continue
        known = own[own["activity"].isin(activities)]
        several = known.drop_duplicates(["recording", "activity"]).groupby("recording").size() > 1
        yield from ((str(subject), (int(number),)) for number in several.index[several])


def _share(timeline: Timeline) -> float:
    """Return the share of time that is decided rightly."""
    inside_M = timeline.truth_M != BETWEEN
    right_M = inside_M & (timeline.truth_M == timeline.decision_M)
    return float(timeline.length_M[right_M].sum() / timeline.length_M[inside_M].sum())


def _category(timeline: Timeline, place: int) -> str:
    """Return what kind of error a stretch is."""
    truth_M, decision_M, K = timeline.truth_M, timeline.decision_M, len(timeline.activities)
    missed = bool(truth_M[place] != K)
    own = truth_M[place] if missed else decision_M[place]
    hit_M = (truth_M == own) & (decision_M == own)
    same_M = ((truth_M == own) == missed) & ((decision_M == own) != missed) & (truth_M != BETWEEN)
    left = right = place
    while left >= 0 and same_M[left]:
        left -= 1
    while right < len(same_M) and same_M[right]:
        right += 1
    beside = (left >= 0 and bool(hit_M[left]), right < len(hit_M) and bool(hit_M[right]))
    return (_MISSED if missed else _FALSE)[beside]
