"""Resampling: what the new rate can hold stays, what it cannot hold is gone, and no instant is off."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import freqz

from har.windows.gaps import Piece
from har.windows.resample import low_pass, on_grid, polyphase, sample, source_of

RATIOS = [(1, 2), (2, 5), (4, 5), (5, 4), (2, 1), (1, 7), (100, 99), (147, 160)]


def piece(time_s, value):
    time_s = np.asarray(time_s, np.float64)
    signal_TC = np.asarray(value, np.float64).reshape(len(time_s), -1)
    return Piece(0, np.arange(len(time_s)), time_s, signal_TC, np.zeros(len(time_s), bool))


def wave(time_s, frequency_hz):
    return np.sin(2 * np.pi * frequency_hz * np.asarray(time_s) + 0.3)


def decibels(value, reference):
    return 20 * np.log10(np.sqrt(np.mean(np.square(value))) / np.sqrt(np.mean(np.square(reference))))


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_the_filter_keeps_60_db_in_both_bands(up, down):
    frequency, response = freqz(low_pass(up, down), worN=1 << 17)
    share = frequency / np.pi * max(up, down)  # of the lower Nyquist frequency
    gain = np.abs(response)
    assert 20 * np.log10(gain[share >= 1].max()) < -60
    assert np.abs(gain[share <= 0.8] - 1).max() < 10 ** (-60 / 20)


@pytest.mark.parametrize(("up", "down"), RATIOS)
def test_a_regular_wave_below_the_new_nyquist_frequency_stays_and_one_above_it_goes(up, down):
    rate_hz, time_s = 100 * up / down, np.arange(3000) / 100
    for share in (0.1, 0.5, 0.8):
        frequency_hz = share * min(rate_hz, 100) / 2
        changed = polyphase(wave(time_s, frequency_hz)[:, None], up, down)[:, 0]
        inside = slice(len(changed) // 4, -len(changed) // 4)
        expected = wave(np.arange(len(changed)) / rate_hz, frequency_hz)
        assert decibels((changed - expected)[inside], expected[inside]) < -54  # passband and images, 60 dB each
    if up < down and rate_hz * 1.02 < 100:
        for frequency_hz in (rate_hz / 2 * 1.01, rate_hz / 2 * 1.5 if rate_hz < 66 else 49.9):
            changed = polyphase(wave(time_s, frequency_hz)[:, None], up, down)[:, 0]
            assert decibels(changed[len(changed) // 4 : -len(changed) // 4], wave(time_s, frequency_hz)) < -60


@settings(max_examples=60)
@given(st.integers(1, 300), st.sampled_from(RATIOS), st.floats(-20, 20))
def test_a_constant_stays_constant_and_no_sample_lies_behind_the_last(rows, ratio, level):
    up, down = ratio
    changed = polyphase(np.full((rows, 2), level), up, down)
    assert changed.shape == (math.floor((rows - 1) * up / down) + 1, 2)
    np.testing.assert_allclose(changed, level, atol=1e-9)


def test_an_equal_rate_is_the_samples_themselves():
    signal_TC = np.random.default_rng(1).normal(size=(50, 3))
    source = source_of(piece(np.arange(50) / 30, signal_TC), 30.0, 30.001)
    taken, is_own = sample(source, source.time_s[0], 30.0, 50)
    assert is_own
    np.testing.assert_array_equal(taken, signal_TC)


@pytest.mark.parametrize("digits", [3, 6, 12])
def test_a_grid_written_coarsely_is_still_that_grid(digits):
    time_s = np.round(1234.56789 + np.arange(5000) / 30, digits)
    origin_s, index_T = on_grid(time_s, 30.0)
    assert index_T.tolist() == list(range(5000))
    assert origin_s == pytest.approx(1234.56789, abs=10.0**-digits)


def test_a_clock_that_drifts_is_no_grid():
    assert on_grid(np.arange(5000) / 19.86, 20.0) is None
    assert on_grid(np.arange(5000) / 20 * 1.0001, 20.0) is None
    jitter = np.random.default_rng(2).uniform(-0.2, 0.2, 500)
    assert on_grid(np.arange(500) / 20 + jitter / 20, 20.0) is None


def test_two_rows_of_one_instant_of_the_grid_are_no_grid():
    assert on_grid(np.array([0, 0.001, 0.05, 0.1]), 20.0) is None


def test_a_hole_in_a_grid_is_filled_by_a_straight_line():
    source = source_of(piece(np.array([0, 1, 4, 5]) / 10, [0, 1, 4, 9]), 10.0, 10.0)
    assert source.is_regular
    assert source.filled_rows == 2
    np.testing.assert_allclose(source.signal_TC[:, 0], [0, 1, 2, 3, 4, 9])
    np.testing.assert_allclose(source.time_s, np.arange(6) / 10)


def test_a_hole_between_irregular_rows_is_filled_by_a_straight_line():
    source = source_of(piece([0, 0.08, 0.38, 0.5], [0, 1, 4, 0]), 10.0, None)
    assert not source.is_regular
    assert source.filled_rows == 2
    np.testing.assert_allclose(source.time_s, [0, 0.08, 0.18, 0.28, 0.38, 0.5])
    np.testing.assert_allclose(source.signal_TC[:, 0], [0, 1, 2, 3, 4, 0])


def jittered(rate_hz, seconds, jitter=0.2):
    rows = int(rate_hz * seconds)
    time_s = (np.arange(rows) + np.random.default_rng(3).uniform(-jitter, jitter, rows)) / rate_hz
    return time_s - time_s[0]


@pytest.mark.parametrize(("share", "below_db"), [(0.1, -48), (0.2, -36), (0.4, -22)])
def test_irregular_rows_at_their_own_rate_are_interpolated(share, below_db):
    """`share` is of the Nyquist frequency; the bounds are those stated in docs, a straight line loses 10 dB more."""
    time_s = jittered(50.3, 60)
    source = source_of(piece(time_s, wave(time_s, share * 25)), 50.0, 50.3)
    count = math.floor(time_s[-1] * 50) + 1
    taken, is_own = sample(source, 0.0, 50.0, count)
    expected = wave(np.arange(count) / 50, share * 25)
    assert not is_own
    assert decibels(taken[:, 0] - expected, expected) < below_db
    line = np.interp(np.arange(count) / 50, time_s, wave(time_s, share * 25))
    assert decibels(taken[:, 0] - expected, line - expected) < -6


def test_irregular_rows_at_a_lower_rate_lose_what_it_cannot_hold():
    time_s = jittered(100.2, 60)
    count = math.floor(time_s[-1] * 20) + 1
    for frequency_hz, error_db in ((1.0, -50), (4.0, -45), (8.0, -35)):
        source = source_of(piece(time_s, wave(time_s, frequency_hz)), 100.0, 100.2)
        taken, _ = sample(source, 0.0, 20.0, count)
        expected = wave(np.arange(count) / 20, frequency_hz)
        inside = slice(30, -30)
        assert decibels((taken[:, 0] - expected)[inside], expected) < error_db
    for frequency_hz in (10.5, 12.0, 19.0):
        source = source_of(piece(time_s, wave(time_s, frequency_hz)), 100.0, 100.2)
        taken, _ = sample(source, 0.0, 20.0, count)
        plain = wave(np.arange(count) / 20, frequency_hz)
        assert decibels(taken[30:-30, 0], plain) < -30  # what is left are errors of the interpolation


def test_rows_that_nearly_coincide_do_not_make_the_signal_overshoot():
    rng = np.random.default_rng(4)
    time_s = np.sort(np.concatenate([np.arange(500) / 50, np.arange(0, 500, 20) / 50 + 1e-5]))
    value = rng.uniform(-1, 1, len(time_s))
    source = source_of(piece(time_s, value), 50.0, 50.0)
    taken, _ = sample(source, 0.0, 200.0, 1900)
    assert np.abs(taken).max() < 1.5


def test_a_ratio_of_rates_that_is_no_simple_one_is_interpolated():
    time_s = np.arange(4000) / 100
    source = source_of(piece(time_s, wave(time_s, 1.0)), 100.0, None)
    taken, is_own = sample(source, 0.0, 33.3333, 1000)
    expected = wave(np.arange(1000) / 33.3333, 1.0)
    assert not is_own
    assert decibels((taken[:, 0] - expected)[50:-50], expected) < -50


def test_a_regular_piece_is_taken_from_the_instant_asked_for():
    value = np.arange(100.0)
    source = source_of(piece(np.arange(100) / 10, value), 10.0, None)
    taken, is_own = sample(source, 2.0, 10.0, 5)
    assert is_own
    np.testing.assert_array_equal(taken[:, 0], [20, 21, 22, 23, 24])
    between, is_own = sample(source, 2.05, 10.0, 5)
    assert not is_own
    np.testing.assert_allclose(between[:, 0], [20.5, 21.5, 22.5, 23.5, 24.5])


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_pieces_of_a_few_rows_are_no_special_case(rows):
    source = source_of(piece(np.arange(rows) / 10, np.full(rows, 9.81)), 10.0, None)
    for rate_hz in (3.0, 10.0, 25.0):
        taken, _ = sample(source, 0.0, rate_hz, 1)
        np.testing.assert_allclose(taken, [[9.81]])
    irregular = source_of(piece(np.arange(rows) / 10.7, np.full(rows, 9.81)), 10.0, None)
    np.testing.assert_allclose(sample(irregular, 0.0, 3.0, 1)[0], [[9.81]])
