"""How long runs take: for the time that a study has left, and to start the longest first.

A worker that begins the longest run last leaves the others idle until the end. Runs within a factor of two of the
longest keep the order of the plan, fold by fold, so that what is there after an interruption is paired.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from har.errors import UsageError
from har.study.runs import PlannedRun
from har.study.states import State, read_record

# Seconds of an optimiser step, of each window in it and of the rest of a run (indexing, prediction), for an estimate
# before any run has ended: three convolutions of 64 filters, windows of 200 samples, an evaluation every 50 steps, as
# measured with two workers of one thread each on a 2-core cloud machine (11 s for 600 steps of 64, 0.7 s for 20).
STEP_S, WINDOW_S = 0.004, 0.00022
REST_S = 0.4
ADDED_S = 1.1  # of a run that gets one more inference: 46 s for the forty of the main study
_USUAL_MULTIPLY_ADDS = 1.67e6  # of that network, per window (`har.learners.cost`)


def usual_s(run: PlannedRun, multiply_adds: float = _USUAL_MULTIPLY_ADDS) -> float:
    """Return the seconds of a run where the constants were measured.

    Args:
        run: The run.
        multiply_adds: Of its network, per window in inference.
    """
    window_s = WINDOW_S * multiply_adds / _USUAL_MULTIPLY_ADDS
    return REST_S + float(run.config["trainer"]["max_steps"] * (STEP_S + window_s * run.config["data"]["batch_size"]))


class Lengths:
    """The seconds of runs where the constants were measured, by what their networks compute.

    Every distinct network is built and counted once. One that cannot be built, and learners that are fitted at once,
    of which no steps are known, count as the usual network.
    """

    def __init__(self) -> None:
        self._multiply_adds: dict[str, float] = {}

    def usual_s(self, run: PlannedRun) -> float:
        """Return the seconds of a run, on prepared data."""
        shape = json.dumps([run.config["model"]["learner"], run.config["data"].get("window_s")])
        if shape not in self._multiply_adds:
            self._multiply_adds[shape] = _count(run)
        return usual_s(run, self._multiply_adds[shape])


def longest_first(
    to_do: Sequence[tuple[PlannedRun, State]], known: Mapping[str, float], lengths: Lengths
) -> list[tuple[PlannedRun, State]]:
    """Put runs in the order in which they are to be started.

    Args:
        to_do: Runs with their states, in the order of the plan.
        known: Variant to the seconds that its finished runs took, on average; for the others steps, batch and the
            network's multiply-adds tell.
        lengths: What tells them.

    Returns:
        The same, much longer ones first.
    """
    taken = [(known[run.variant], lengths.usual_s(run)) for run, _ in to_do if run.variant in known]
    slower = sum(seconds for seconds, _ in taken) / sum(guess_s for _, guess_s in taken) if taken else 1.0

    def length_s(run: PlannedRun, state: State) -> float:
        if state is State.LACKING:
            return ADDED_S
        return known[run.variant] if run.variant in known else slower * lengths.usual_s(run)

    longest_s = max((length_s(run, state) for run, state in to_do), default=0.0)
    return sorted(to_do, key=lambda pair: math.floor(math.log2(longest_s / length_s(*pair))))


def seconds_by_variant(runs: Sequence[PlannedRun]) -> dict[str, float]:
    """Return the mean seconds of the finished runs of each variant, from their records."""
    found: dict[str, list[float]] = {}
    for run in runs:
        seconds = (read_record(run.folder) or {}).get("seconds")
        if seconds:
            found.setdefault(run.variant, []).append(float(seconds))
    return {variant: sum(seconds) / len(seconds) for variant, seconds in found.items()}


def _count(run: PlannedRun) -> float:
    """Build a run's network and count its multiply-adds per window."""
    import torch  # heavy, as what follows

    from har.learners.cost import describe
    from har.training.cli import parts
    from har.windows.prepare import open_store
    from har.windows.segment import samples_of

    try:
        module, data, _ = parts(run.config)
        if module.learner.at_once:
            return _USUAL_MULTIPLY_ADDS
        store = open_store(data.data_set, data.root)
        samples, channels = samples_of(data.spec.window_s, store.rate_hz), list(store.channels)
        recipe = {"samples": samples, "channels": channels, "activities": ["a", "b"]}
        module.build(recipe, torch.zeros(len(channels)), torch.ones(len(channels)))
    except UsageError:
        return _USUAL_MULTIPLY_ADDS  # a rehearsal refuses it, with the name of its variant
    return float(max(describe(module.network, len(channels), samples, store.rate_hz).multiply_adds, 1))
