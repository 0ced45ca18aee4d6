"""From a raw recording, in its source's units and clocks, to recordings at an exact rate in the store's units.

What happens to a stream, in this order: the rows that advance its clock are chosen; short gaps are filled and long
ones cut it into pieces; where all streams have a piece, they are taken at the instants of one grid, that of the first
stream; labels follow by time; gravity and magnitudes are computed last. T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card
from har.datasets.recipe import Recipe, problems_of
from har.datasets.recording import UNLABELLED, RawRecording, Recording, Stream
from har.errors import DataError, UsageError
from har.windows import resample
from har.windows.channels import Channels, chosen_channels, computed
from har.windows.clock import Clock, check_rates, measured_rate, nominal_clock, read_clock
from har.windows.gaps import ROUNDING, pieces_of
from har.windows.plausible import Vector, lengths_of

_MOST_MEASURED = 10_000  # samples of a recording whose vectors' lengths are taken: amply for a median


@dataclasses.dataclass(frozen=True)
class Plan:
    """A recipe for a card, checked.

    Attributes:
        card: The data set.
        recipe: What is done to it.
        rate_hz: Of the store.
        channels: Taken and made.
    """

    card: Card
    recipe: Recipe
    rate_hz: float
    channels: Channels

    @classmethod
    def of(cls, card: Card, recipe: Recipe | None = None) -> Plan:
        """Check a recipe against a card.

        Args:
            card: The data set.
            recipe: None for the card's own.

        Raises:
            UsageError: Something about the recipe is impossible; all of it is named.
        """
        recipe = card.preparation if recipe is None else recipe
        problems = problems_of(recipe, card.rate_hz)
        if problems:
            raise UsageError(f"{card.name} cannot be prepared so: {'; '.join(problems)}.", "Correct the recipe.")
        rate_hz = card.rate_hz if recipe.rate_hz is None else recipe.rate_hz
        return cls(card, recipe, rate_hz, chosen_channels(card, recipe))

    def described(self) -> dict[str, Any]:
        """Return what a model must be fed, for manifest and checkpoints."""
        return {
            "rate_hz": self.rate_hz,
            "channels": self.channels.described(),
            "filters": self._filters(),
            "recipe": dataclasses.asdict(self.recipe),
        }

    def _filters(self) -> list[dict[str, Any]]:
        """Return the filters that every sample goes through."""
        filters: list[dict[str, Any]] = []
        if self.rate_hz != self.card.rate_hz:
            stop_hz = min(self.rate_hz, self.card.rate_hz) / 2
            filters.append(
                {
                    "kind": "resampling, linear-phase low-pass",
                    "passband_hz": resample.PASSBAND * stop_hz,
                    "stopband_hz": stop_hz,
                    "attenuation_db": resample.ATTENUATION_DB,
                    "causal": False,
                }
            )
        if self.recipe.gravity is not None:
            filters.append({"kind": "gravity, Butterworth low-pass", **dataclasses.asdict(self.recipe.gravity)})
        return filters


@dataclasses.dataclass(frozen=True)
class Treated:
    """What became of one raw recording.

    Attributes:
        recordings: In the order of time; none where no sample could be used.
        counts: What was done to how many samples, see `har.windows.account`.
        measured_hz: Rates that the clocks of the streams show; empty without timestamps.
        reason: Why there is no recording; empty where there is one.
        lengths: Of its vectors in each recording, see `har.windows.plausible`.
    """

    recordings: list[Recording]
    counts: Counter[str]
    measured_hz: list[float]
    reason: str = ""
    lengths: list[dict[Vector, float]] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class _Track:
    """A stream ready to be taken: for each epoch of its clock, its pieces; its columns; the channels they become."""

    epochs: list[list[resample.Source]]
    columns: list[int]


def prepare_recording(plan: Plan, raw: RawRecording) -> Treated:
    """Prepare one recording.

    Args:
        plan: The card and its recipe.
        raw: What the reader found.

    Returns:
        Its recordings, float32, and an account of what was done.

    Raises:
        DataError: Streams contradict each other or the card, or values are infinite; the place is named.
    """
    try:
        return _prepare(plan, raw)
    except DataError as error:
        raise DataError(f"{plan.card.name}, {raw.place}: {error.what}", error.hint) from None


def _prepare(plan: Plan, raw: RawRecording) -> Treated:
    """Prepare one recording; errors do not name it yet."""
    counts: Counter[str] = Counter()
    if raw.lacks:
        return Treated([], counts, [], f"there is no file {', '.join(raw.lacks)}")
    _require_shapes(raw)
    clocks = [_clock(plan.card, stream) for stream in raw.streams]
    rates = [measured_rate(clock) for clock in clocks]
    check_rates(rates, plan.card.rate_hz)
    tracks = [
        track
        for stream, clock, rate_hz in zip(raw.streams, clocks, rates, strict=True)
        if (track := _track(plan, stream, clock, rate_hz, counts)) is not None
    ]
    _require_channels(plan, tracks)
    _require_epochs([clocks[0].epochs, *(len(track.epochs) for track in tracks)])
    recordings, lengths = [], []
    spans, reason = _spans(tracks)
    counts["rows_without_counterpart"] += _left_over(tracks, [chosen for _, chosen in spans])
    for epoch, chosen in spans:
        signal_TC, time_s = _joined(plan, tracks, chosen, counts)
        if len(time_s) == 0:
            continue
        label_T = _labels(clocks[0], raw.label_T, epoch, time_s, plan.recipe.max_gap_s)
        counts["labels_out_of_reach"] += int(np.count_nonzero(label_T == _OUT_OF_REACH))
        label_T[label_T == _OUT_OF_REACH] = UNLABELLED
        lengths.append(lengths_of(signal_TC[:: math.ceil(len(signal_TC) / _MOST_MEASURED)], plan.channels.taken))
        made_TC = computed(plan.channels, plan.recipe, plan.rate_hz, signal_TC).astype(np.float32, order="C")
        begin_s = float(time_s[0] - clocks[0].time_s[0])
        recordings.append(Recording(raw.subject, raw.trial, made_TC, label_T, raw.extra, begin_s))
    measured_hz = [rate_hz for rate_hz in rates if rate_hz is not None]
    return Treated(recordings, counts, measured_hz, "" if recordings else reason, lengths)


def _require_shapes(raw: RawRecording) -> None:
    """Refuse arrays that do not belong together."""
    for stream in raw.streams:
        shape = stream.signal_TC.shape
        if len(shape) != 2 or shape[1] != len(stream.channels):
            raise DataError(f"a signal of shape {shape} for {len(stream.channels)} channels.", "Correct the reader.")
    rows = len(raw.streams[0].signal_TC)
    if raw.label_T.shape != (rows,):
        raise DataError(f"{rows} rows with labels of shape {raw.label_T.shape}.", "Correct the card or the reader.")


def _clock(card: Card, stream: Stream) -> Clock:
    """Return the clock of a stream."""
    if stream.time_s is None:
        return nominal_clock(len(stream.signal_TC), card.rate_hz)
    return read_clock(stream.time_s)


def _track(plan: Plan, stream: Stream, clock: Clock, rate_hz: float | None, counts: Counter[str]) -> _Track | None:
    """Return the taken channels of a stream in the store's units, in pieces; None where none is taken."""
    names = [channel.name for channel in plan.channels.taken]
    columns = [i for i, name in enumerate(names) if name in stream.channels]
    if not columns:
        return None
    signal_TC = np.empty((len(columns), len(clock.row_T))).T  # channel by channel in memory, as all steps go through it
    for i, factor in enumerate(plan.channels.factors()[columns]):  # in float64, rounded once in the end
        source_T = stream.signal_TC[:, stream.channels.index(names[columns[i]])]
        np.multiply(source_T if clock.is_exact else source_T[clock.row_T], factor, out=signal_TC[:, i])
    if not np.isfinite(signal_TC).all() and np.isinf(signal_TC).any():
        row, column = np.argwhere(np.isinf(signal_TC))[0]
        raise DataError(f"an infinite value in row {clock.row_T[row]} of {names[columns[column]]}.", "Mend the source.")
    counts.update(clock.counts)
    pieces, done = pieces_of(clock, signal_TC, plan.recipe.max_gap_s)
    counts.update(done)
    epochs: list[list[resample.Source]] = [[] for _ in range(clock.epochs)]
    for piece in pieces:
        source = resample.source_of(piece, plan.card.rate_hz, rate_hz)
        counts["interpolated_rows"] += source.filled_rows
        epochs[piece.epoch].append(source)
    return _Track(epochs, columns)


def _require_channels(plan: Plan, tracks: list[_Track]) -> None:
    """Refuse streams that do not have each channel once."""
    columns = sorted(column for track in tracks for column in track.columns)
    names = [channel.name for channel in plan.channels.taken]
    wrong = [name for i, name in enumerate(names) if columns.count(i) != 1]
    if wrong:
        raise DataError(f"channel {wrong[0]} is not in exactly one stream.", "Correct the card or the reader.")


def _require_epochs(epochs: list[int]) -> None:
    """Refuse clocks of which one was set anew more often than another."""
    if len(set(epochs)) > 1:
        raise DataError(
            f"one of its clocks was set anew {min(epochs) - 1} times, another one {max(epochs) - 1} times: which of "
            "their times belong together is not known.",
            "Prepare the sensors one by one (--sensors, --sites), or mend the timestamps.",
        )


def _spans(tracks: list[_Track]) -> tuple[list[tuple[int, list[resample.Source]]], str]:
    """Return where all streams have a piece: the epoch and one piece a stream; and why there may be none."""
    found: list[tuple[int, list[resample.Source]]] = []
    for epoch, together in enumerate(zip(*(track.epochs for track in tracks), strict=True)):
        at = [0] * len(together)
        while all(i < len(pieces) for i, pieces in zip(at, together, strict=True)):
            chosen = [pieces[i] for i, pieces in zip(at, together, strict=True)]
            start_s, stop_s = _common_s(chosen)
            if start_s <= stop_s + resample.ROUNDING / chosen[0].rate_hz:
                found.append((epoch, chosen))
            first_to_end = int(np.argmin([piece.time_s[-1] for piece in chosen]))
            at[first_to_end] += 1
    if all(any(track.epochs) for track in tracks):
        return found, "its streams have no time in common"
    return found, "no row has a value in every channel"


def _common_s(chosen: list[resample.Source]) -> tuple[float, float]:
    """Return when all streams have begun, and when the first of them ends."""
    return max(float(piece.time_s[0]) for piece in chosen), min(float(piece.time_s[-1]) for piece in chosen)


def _left_over(tracks: list[_Track], spans: list[list[resample.Source]]) -> int:
    """Return how many rows lie at times at which another stream has none; rows of one stream all have their place."""
    if len(tracks) == 1:
        return 0
    rows = sum(len(piece.own_s) for track in tracks for pieces in track.epochs for piece in pieces)
    for chosen in spans:
        start_s, stop_s = _common_s(chosen)
        for piece in chosen:
            reach_s = resample.GRID_TOLERANCE / piece.rate_hz
            bounds = np.searchsorted(piece.own_s, [start_s - reach_s, stop_s + reach_s])
            rows -= int(bounds[1] - bounds[0])
    return rows


def _joined(
    plan: Plan, tracks: list[_Track], chosen: list[resample.Source], counts: Counter[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the signal of one span on the grid of the first stream, and its instants; both may be empty."""
    origin_s = float(chosen[0].time_s[0])
    start_s, stop_s = _common_s(chosen)
    first = math.ceil((start_s - origin_s) * plan.rate_hz - resample.ROUNDING)
    last = math.floor((stop_s - origin_s) * plan.rate_hz + resample.ROUNDING)
    time_s = origin_s + np.arange(first, last + 1) / plan.rate_hz
    if len(tracks) == 1:
        signal_TC, own_T = _taken(chosen[0], time_s, plan.rate_hz)
    else:
        signal_TC, own_T = np.empty((len(time_s), len(plan.channels.taken))), np.ones(len(time_s), bool)
        for track, piece in zip(tracks, chosen, strict=True):
            signal_TC[:, track.columns], are_own_T = _taken(piece, time_s, plan.rate_hz)
            own_T &= are_own_T
    own = int(np.count_nonzero(own_T))
    counts.update(rows_as_they_were=own, rows_resampled=len(time_s) - own)
    return signal_TC, time_s


def _taken(
    piece: resample.Source, time_s: NDArray[np.float64], rate_hz: float
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return a piece at instants of the grid, and which of them are rows of the source; `sample` needs one at least."""
    if len(time_s) == 0:
        return np.empty((0, piece.signal_TC.shape[1])), np.ones(0, bool)
    signal_TC, is_own = resample.sample(piece, float(time_s[0]), rate_hz, len(time_s))
    if not is_own:
        return signal_TC, np.zeros(len(time_s), bool)
    return signal_TC, ~resample.filled(piece, float(time_s[0]), len(time_s))


_OUT_OF_REACH = -2
# Of a step: of rows at equal distances, rounding makes either one the nearer. Timestamps of this century in seconds are
# rounded to 2e-7 s, at 50 Hz a hundred-thousandth of a step.
_TIE = 1e-4


def _labels(
    clock: Clock, label_T: NDArray[np.int16], epoch: int, at_s: NDArray[np.float64], max_gap_s: float | None
) -> NDArray[np.int16]:
    """Return the label of the row nearest in time, the earlier of two; `_OUT_OF_REACH` where that is beyond a gap.

    Args:
        clock: Of the stream that the labels belong to.
        label_T: int16, one for each row of that stream.
        epoch: Of the clock.
        at_s: float64 (samples,), rising.
        max_gap_s: The limit of the recipe.
    """
    of_epoch = slice(*np.searchsorted(clock.epoch_T, [epoch, epoch + 1]))
    known_s, label_T = clock.time_s[of_epoch], label_T[clock.row_T[of_epoch]]
    if len(known_s) == 0:
        return np.full(len(at_s), _OUT_OF_REACH, np.int16)
    if np.array_equal(known_s, at_s):  # the usual case, in a tenth of the time
        return label_T.astype(np.int16)
    after = np.minimum(np.searchsorted(known_s, at_s), len(known_s) - 1)
    before = np.maximum(after - 1, 0)
    later_s = (at_s - known_s[before]) - (known_s[after] - at_s)  # by how much the row after is the nearer
    nearest = np.where(later_s <= _TIE * (known_s[after] - known_s[before]), before, after)
    labels = label_T[nearest].astype(np.int16)
    if max_gap_s is not None:
        labels[np.abs(known_s[nearest] - at_s) > max_gap_s * ROUNDING] = _OUT_OF_REACH
    return labels
