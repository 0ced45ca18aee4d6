"""Gaps: short ones are straight lines in time, nothing is ever invented over a long one or at an end."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.windows.clock import nominal_clock, read_clock
from har.windows.gaps import pieces_of

NAN = np.nan


def cut(signal, max_gap_s, time_s=None):
    signal_TC = np.array(signal, np.float64)
    signal_TC = signal_TC[:, None] if signal_TC.ndim == 1 else signal_TC
    clock = nominal_clock(len(signal_TC), 10) if time_s is None else read_clock(np.array(time_s, np.float64))
    return pieces_of(clock, signal_TC, max_gap_s)


def test_a_stream_without_gaps_is_one_piece_that_copies_nothing():
    signal_TC = np.arange(12.0).reshape(6, 2)
    (piece,), counts = pieces_of(nominal_clock(6, 10), signal_TC, 0.5)
    assert np.shares_memory(piece.signal_TC, signal_TC)
    assert piece.row_T.tolist() == list(range(6))
    assert set(counts.values()) == {0}


def test_a_short_gap_is_a_straight_line_in_time():
    (piece,), counts = cut([0, NAN, NAN, 10], 0.5, time_s=[0, 0.1, 0.15, 0.4])
    np.testing.assert_allclose(piece.signal_TC[:, 0], [0, 2.5, 3.75, 10])
    assert counts == {"missing_values": 2, "interpolated_values": 2, "rows_in_gaps": 0, "gaps": 0}


def test_a_gap_of_the_limit_is_filled_and_a_longer_one_cuts():
    (piece,), _ = cut([1, NAN, NAN, 4], 0.3)
    np.testing.assert_allclose(piece.signal_TC[:, 0], [1, 2, 3, 4])
    (one, other), counts = cut([1, NAN, NAN, 4], 0.29)
    assert (one.row_T.tolist(), other.row_T.tolist()) == ([0], [3])
    assert counts == {"missing_values": 2, "interpolated_values": 0, "rows_in_gaps": 2, "gaps": 1}


def test_missing_values_at_the_ends_are_cut_off_however_few():
    (piece,), counts = cut([NAN, 1, 2, NAN], 5)
    assert piece.row_T.tolist() == [1, 2]
    assert counts == {"missing_values": 2, "interpolated_values": 0, "rows_in_gaps": 2, "gaps": 0}


def test_a_gap_in_one_channel_cuts_all():
    pieces, counts = cut([[0, 0], [1, NAN], [2, NAN], [3, 3]], 0.2)
    assert [piece.row_T.tolist() for piece in pieces] == [[0], [3]]
    assert counts["rows_in_gaps"] == 2


def test_missing_rows_cut_where_the_clock_jumps():
    pieces, counts = cut([0, 1, 2, 3], 0.5, time_s=[0, 0.1, 0.7, 0.8])
    assert [piece.row_T.tolist() for piece in pieces] == [[0, 1], [2, 3]]
    assert counts["gaps"] == 1


def test_nothing_is_interpolated_from_one_epoch_to_the_next():
    pieces, counts = cut([5, 6, NAN, 8], 100, time_s=[10, 10.1, 3, 3.1])
    assert [(piece.epoch, piece.row_T.tolist()) for piece in pieces] == [(0, [0, 1]), (1, [3])]
    assert counts["interpolated_values"] == 0


def test_without_a_limit_only_the_ends_are_lost():
    (piece,), counts = cut([NAN, 0, NAN, NAN, NAN, 4, NAN], None)
    np.testing.assert_allclose(piece.signal_TC[:, 0], [0, 1, 2, 3, 4])
    assert counts["rows_in_gaps"] == 2


def test_a_channel_that_is_missing_throughout_leaves_nothing():
    pieces, counts = cut([[0, NAN], [1, NAN]], None)
    assert pieces == []
    assert counts == {"missing_values": 2, "interpolated_values": 0, "rows_in_gaps": 2, "gaps": 0}


@settings(max_examples=200)
@given(st.data())
def test_pieces_are_what_a_plain_reading_of_the_rule_gives(data):
    rows, channels = data.draw(st.integers(1, 25)), data.draw(st.integers(1, 3))
    steps = data.draw(st.lists(st.integers(1, 6), min_size=rows, max_size=rows))
    time_s = np.cumsum(steps) / 10
    missing = np.array(data.draw(st.lists(st.booleans(), min_size=rows * channels, max_size=rows * channels)))
    signal_TC = np.where(missing, NAN, np.arange(rows * channels) ** 1.5).reshape(rows, channels)
    limit_s = data.draw(st.sampled_from([0.1, 0.3, 0.6, None]))
    limit = np.inf if limit_s is None else limit_s + 1e-9

    expected = np.full((rows, channels), NAN)
    for c in range(channels):
        known = np.flatnonzero(~np.isnan(signal_TC[:, c]))
        expected[known, c] = signal_TC[known, c]
        for a, b in itertools.pairwise(known):
            if time_s[b] - time_s[a] <= limit:
                expected[a : b + 1, c] = np.interp(time_s[a : b + 1], time_s[[a, b]], signal_TC[[a, b], c])
    complete = [row for row in range(rows) if not np.isnan(expected[row]).any()]
    groups = []
    for row in complete:
        if groups and time_s[row] - time_s[groups[-1][-1]] <= limit:
            groups[-1].append(row)
        else:
            groups.append([row])

    pieces, counts = pieces_of(read_clock(time_s), signal_TC.copy(), limit_s)
    assert [piece.row_T.tolist() for piece in pieces] == groups
    for piece, group in zip(pieces, groups, strict=True):
        np.testing.assert_allclose(piece.signal_TC, expected[group])
        np.testing.assert_array_equal(piece.time_s, time_s[group])
    assert counts["missing_values"] == missing.sum()
    assert counts["rows_in_gaps"] == rows - len(complete)


@pytest.mark.parametrize("rows", [0, 1])
def test_streams_of_nothing_and_of_one_row_are_no_special_case(rows):
    pieces, counts = cut(np.zeros((rows, 1)), 0.5)
    assert len(pieces) == rows
    assert counts["gaps"] == 0
