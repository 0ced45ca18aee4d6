"""Clocks: which rows bring new time, what rate they show, and when a clock says nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import DataError
from har.windows.clock import check_rates, measured_rate, nominal_clock, read_clock


def plain_walk(time_s):
    """The rule, row by row."""
    kept, epochs, counts = [], [], {"missing": 0, "duplicated": 0, "backward": 0, "resets": 0}
    before = newest = None
    for row, time in enumerate(time_s):
        if not np.isfinite(time):
            counts["missing"] += 1
            continue
        if before is not None and time - before < -1.0:
            counts["resets"] += 1
            newest = None
        before = time
        if newest is not None and time <= newest:
            counts["duplicated" if time == newest else "backward"] += 1
            continue
        newest = time
        kept.append(row)
        epochs.append(counts["resets"])
    return kept, epochs, counts


times = st.lists(st.one_of(st.integers(0, 40).map(lambda tenth: tenth / 10), st.just(float("nan"))), max_size=30)


@settings(max_examples=300)
@given(times)
def test_rows_are_chosen_as_a_plain_walk_chooses_them(time_s):
    kept, epochs, counts = plain_walk(time_s)
    if counts["duplicated"] and 10 * counts["duplicated"] >= 4 * (len(time_s) - counts["missing"]):
        with pytest.raises(DataError, match="the clock is too coarse"):
            read_clock(np.array(time_s))
        return
    clock = read_clock(np.array(time_s, np.float64))
    assert clock.row_T.tolist() == kept
    assert clock.epoch_T.tolist() == epochs
    assert list(clock.counts.values()) == list(counts.values())
    assert clock.epochs == counts["resets"] + 1
    rising = np.diff(clock.time_s)[np.diff(clock.epoch_T) == 0]
    assert (rising > 0).all()


def test_a_late_packet_is_left_out_and_a_clock_set_anew_begins_an_epoch():
    clock = read_clock(np.array([10.0, 10.1, 10.05, 10.2, 3.0, 3.1, 3.1]))
    assert clock.row_T.tolist() == [0, 1, 3, 4, 5]
    assert clock.epoch_T.tolist() == [0, 0, 0, 1, 1]
    assert clock.counts == {
        "missing_timestamps": 0,
        "duplicated_timestamps": 1,
        "backward_timestamps": 1,
        "clock_resets": 1,
    }


def test_a_clock_in_whole_seconds_at_50_hz_is_refused():
    with pytest.raises(DataError, match="98 of 100 rows repeat a timestamp"):
        read_clock(np.repeat([0.0, 1.0], 50))


@pytest.mark.parametrize("rate_hz", [19.86, 30.0, 99.63])
def test_the_rate_is_measured_whatever_is_missing_and_however_coarse_the_clock(rate_hz):
    time_s = np.round(np.arange(5000) / rate_hz, 3)  # milliseconds: the median step of 30 Hz is 33 ms, 30.3 Hz
    kept = np.ones(5000, bool)
    kept[[7, 8, 100]] = False
    kept[1000:1400] = False
    assert measured_rate(read_clock(time_s[kept])) == pytest.approx(rate_hz, rel=1e-3)


def test_no_rate_is_measured_without_timestamps_or_with_few():
    assert measured_rate(nominal_clock(100, 50)) is None
    assert measured_rate(read_clock(np.arange(10) / 50)) is None
    assert measured_rate(read_clock(np.arange(11) / 50)) == pytest.approx(50)


def test_steps_over_a_reset_are_no_steps():
    one = np.arange(20) / 50
    assert measured_rate(read_clock(np.concatenate([one + 100, one]))) == pytest.approx(50)


@pytest.mark.parametrize(("repeated", "refused"), [(40, True), (39, False)])
def test_a_clock_that_repeats_two_fifths_of_its_times_is_refused(repeated, refused):
    time_s = np.sort(np.concatenate([np.arange(100 - repeated), np.arange(repeated)])) / 50
    if refused:
        with pytest.raises(DataError, match="40 of 100 rows repeat a timestamp"):
            read_clock(time_s)
    else:
        assert read_clock(time_s).counts["duplicated_timestamps"] == repeated


@pytest.mark.parametrize("factor", [1000, 1e-3, 10, 0.1, 1.31, 0.69])
def test_a_rate_that_no_clock_error_explains_is_refused(factor):
    with pytest.raises(DataError, match=r"the card says 20 Hz, the clock shows .* Hz"):
        check_rates([20 * factor], 20)


@pytest.mark.parametrize("rate_hz", [None, 19.86, 25, 15])
def test_a_rate_that_is_merely_another_is_taken(rate_hz):
    check_rates([rate_hz], 20)


def test_one_stream_at_the_cards_rate_is_enough_unless_another_has_a_wrong_unit():
    check_rates([40.0, None, 20.0], 20)
    check_rates([], 20)
    with pytest.raises(DataError, match=r"the clock shows 0\.02 Hz"):
        check_rates([20.0, 0.02], 20)
