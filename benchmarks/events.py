"""Times the event scores of long streams: python -m benchmarks.events.

What is timed, and why, stands in benchmarks/README.md: from a run's two tables in memory to its event scores, in
processor seconds of one thread.
"""

from __future__ import annotations

import argparse
import statistics
from typing import Any

import numpy as np
import pandas as pd
import wardmetrics

from benchmarks.timing import Comparison, compare, in_turn
from har.evaluation.event_scores import event_scores
from har.evaluation.events import count_events
from har.evaluation.timeline import lay

_RATE_HZ = 50
_ACTIVITIES = [f"activity-{k}" for k in range(20)]
_WINDOW_S = 2.0
_EVENT_S = 30.0  # mean length of a stretch of one label, null included
_DAY_H, _MOST_S = 24.0, 2.0  # the stream of the aim
_COMPARED_H = 4.0  # ward-metrics takes the third power of the number of events
_WRONG = 0.1  # share of windows that are predicted at random, so that events are torn


def stream(hours: float, step_s: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return predictions and truth of one recording with twenty activities and null.

    Args:
        hours: Its length.
        step_s: From one window to the next.
    """
    random = np.random.default_rng(0)
    samples = int(hours * 3600 * _RATE_HZ)
    cuts = np.unique(np.append(random.integers(1, samples, int(hours * 3600 / _EVENT_S)), [0, samples]))
    label_I = random.integers(0, len(_ACTIVITIES) + 1, len(cuts) - 1)
    names = np.array([*_ACTIVITIES, None], dtype=object)
    bounds = {"start_s": cuts[:-1] / _RATE_HZ, "end_s": cuts[1:] / _RATE_HZ}
    truth = pd.DataFrame({"recording": np.int32(0), "subject": "1", **bounds, "activity": names[label_I]})
    window = int(_WINDOW_S * _RATE_HZ)
    start_N = np.arange(0, samples - window + 1, int(step_s * _RATE_HZ))
    label_N = label_I[np.searchsorted(cuts, start_N + window // 2, side="right") - 1]
    random_N = (random.random(len(start_N)) < _WRONG) | (label_N == len(_ACTIVITIES))
    decided_N = np.where(random_N, random.integers(0, len(_ACTIVITIES), len(start_N)), label_N)
    predictions = pd.DataFrame(
        {
            "recording": np.int32(0),
            "start_s": start_N / _RATE_HZ,
            "end_s": start_N / _RATE_HZ + _WINDOW_S,
            "subject": "1",
            "prediction": names[decided_N],
            **{f"probability:{name}": np.float32(1 / len(_ACTIVITIES)) for name in _ACTIVITIES},
        }
    )
    return predictions, truth


def scored(predictions: pd.DataFrame, truth: pd.DataFrame) -> dict[str, Any]:
    """Return the event scores of a run's two tables."""
    return event_scores(count_events(lay(predictions, truth)), _ACTIVITIES)


def by_ward_metrics(predictions: pd.DataFrame, truth: pd.DataFrame) -> None:
    """Score the frames and events of every activity with ward-metrics, on the same time axis."""
    axis = lay(predictions, truth)
    stop_M = np.cumsum(axis.length_M)
    for k in range(len(_ACTIVITIES)):
        sides = []
        for codes in (axis.truth_M, axis.decision_M):
            inside = np.concatenate([[False], codes == k, [False]]).astype(int)
            first, last = np.flatnonzero(np.diff(inside) == 1), np.flatnonzero(np.diff(inside) == -1) - 1
            starts = stop_M[first] - axis.length_M[first]
            sides.append(list(zip(starts.tolist(), stop_M[last].tolist(), strict=True)))
        wardmetrics.core_methods.eval_segments(*sides, 0.0, float(stop_M[-1]))
        wardmetrics.core_methods.eval_events(*sides)


def measure(repeats: int = 5) -> dict[str, Comparison]:
    """Print a table; return a day's share of the aim, and how much faster than ward-metrics the project is.

    The latter is measured on a stream that both can do.
    """
    print(f"{'stream':>8}{'step':>8}{'windows':>10}{'stretches':>11}{'CPU s, median (lowest to highest)':>38}")
    found: dict[str, Comparison] = {}
    for step_s in (1.0, 0.1, 0.02):
        tables = stream(_DAY_H, step_s)
        stretches = len(lay(*tables).length_M)
        _, own = in_turn({"own": lambda tables=tables: scored(*tables)}, repeats)["own"]
        sides = {
            "har": f"{len(tables[0])} windows, {stretches} stretches: {_spread(own)} CPU s",
            "aim": f"{_MOST_S:g} s",
        }
        name = f"event scores of a day, a window every {step_s:g} s"
        found[name] = compare(own, [_MOST_S] * len(own), f"of the {_MOST_S:g} s that they may take", **sides)
        print(f"{_DAY_H:6g} h{step_s:6g} s{len(tables[0]):10}{stretches:11}{_spread(own):>38}")
    tables = stream(_COMPARED_H, 1.0)
    times = in_turn({"own": lambda: scored(*tables), "theirs": lambda: by_ward_metrics(*tables)}, 1)
    (_, own), (_, theirs) = times["own"], times["theirs"]
    figures = {
        "plain": f"ward-metrics, frames and events alone: {_spread(theirs)} CPU s",
        "har": f"{_spread(own)} CPU s",
    }
    print(f"{_COMPARED_H:g} h, step 1 s: {figures['har']}; {figures['plain']}\n")
    found["event scores"] = compare(theirs, own, "times as fast as ward-metrics, processor time", **figures)
    return found


def _spread(seconds: list[float]) -> str:
    """Return the median, with the lowest and the highest."""
    return f"{statistics.median(seconds):.3f} ({min(seconds):.3f} to {max(seconds):.3f})"


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="timings of each")
    measure(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
