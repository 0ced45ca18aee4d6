"""Raw recordings to recordings: units, clocks, gaps, several streams, labels by time, and an account of it all."""

import itertools
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.datasets.card import Channel
from har.datasets.recipe import Gravity, Recipe
from har.datasets.recording import RawRecording, Stream
from har.errors import DataError, UsageError
from har.windows.account import COUNTED, Preparation
from har.windows.signal import Plan, prepare_recording
from tests.fakes.stores import plain_card

BOTH = ("acc_x", "gyro_x")


def raw(*streams, labels=None, **changes):
    rows = len(streams[0].signal_TC)
    label_T = np.zeros(rows, np.int16) if labels is None else np.array(labels, np.int16)
    return RawRecording(**{"subject": "7", "trial": "a", "streams": streams, "label_T": label_T, **changes})


def stream(signal, time_s=None, channels=BOTH):
    signal_TC = np.array(signal, np.float64)
    signal_TC = np.stack([signal_TC] * len(channels), axis=1) if signal_TC.ndim == 1 else signal_TC
    return Stream(channels, signal_TC, None if time_s is None else np.array(time_s, np.float64))


def treat(recording, recipe=None, **card):
    return prepare_recording(Plan.of(plain_card(**{"activities": "abc", **card}), recipe or Recipe()), recording)


def test_g_becomes_standard_gravity_and_radians_stay():
    signal_TC = np.array([[1.0, 1.0], [-0.123456789, 29.5]])
    (made,) = treat(raw(Stream(BOTH, signal_TC))).recordings
    assert made.signal_TC.dtype == np.float32
    np.testing.assert_array_equal(made.signal_TC, (signal_TC * [9.80665, 1]).astype(np.float32))


def test_columns_follow_the_card_and_not_the_stream():
    (made,) = treat(raw(stream([[1, 2], [3, 4]], channels=("gyro_x", "acc_x")))).recordings
    np.testing.assert_allclose(made.signal_TC, [[2 * 9.80665, 1], [4 * 9.80665, 3]], rtol=1e-6)


def test_a_recording_to_which_nothing_is_done_keeps_its_rows_labels_and_names():
    given_rows = raw(stream(np.arange(20)), labels=[0, 1] * 10, extra={"side": "left"})
    treated = treat(given_rows)
    (made,) = treated.recordings
    np.testing.assert_array_equal(made.label_T, given_rows.label_T)
    assert (made.subject, made.trial, made.extra, made.begin_s) == ("7", "a", {"side": "left"}, 0.0)
    assert {key: count for key, count in treated.counts.items() if count} == {"rows_as_they_were": 20}
    assert treated.measured_hz == []


@settings(max_examples=100)
@given(
    rows=st.integers(1, 120),
    rate_hz=st.sampled_from([2.5, 4.0, 5.0, 8.0, 10.0, 12.5, 20.0, 33.3]),
    begin_s=st.sampled_from([0.0, 1e9, -3.25]),
    timestamps=st.booleans(),
)
def test_the_number_of_samples_is_that_of_the_instants_and_each_has_the_label_nearest_in_time(
    rows, rate_hz, begin_s, timestamps
):
    labels = np.random.default_rng(rows).integers(-1, 3, rows)
    time_s = begin_s + np.arange(rows) / 10
    given_rows = raw(stream(np.ones(rows), time_s if timestamps else None), labels=labels)
    (made,) = treat(given_rows, Recipe(rate_hz=rate_hz)).recordings
    assert len(made.label_T) == int((rows - 1) / 10 * rate_hz + 1e-6) + 1
    for k, label in enumerate(made.label_T):
        distance = np.abs(np.arange(rows) / 10 - k / rate_hz)
        assert label in labels[distance <= distance.min() + 1e-6]
    np.testing.assert_allclose(made.signal_TC, [[9.80665, 1]] * len(made.label_T), rtol=1e-6)


@settings(max_examples=100)
@given(st.data())
def test_no_sample_is_invented_across_a_gap(data):
    rows = data.draw(st.integers(2, 60))
    steps = data.draw(st.lists(st.sampled_from([0.05, 0.1, 0.12, 0.3, 0.7, 2.0]), min_size=rows, max_size=rows))
    time_s = np.cumsum(steps)
    rate_hz = data.draw(st.sampled_from([5.0, 10.0, 25.0]))
    with mock.patch("har.windows.signal.check_rates"):  # such steps show any rate
        treated = treat(raw(stream(np.ones(rows), time_s)), Recipe(rate_hz=rate_hz))
    ends = [0, *(np.flatnonzero(np.diff(time_s) > 0.5 + 1e-9) + 1), rows]
    pieces = [(time_s[a], time_s[b - 1]) for a, b in itertools.pairwise(ends)]
    assert len(treated.recordings) == len(pieces)
    for made, (first, last) in zip(treated.recordings, pieces, strict=True):
        begin = time_s[0] + made.begin_s
        end = begin + (len(made.label_T) - 1) / rate_hz
        assert first - 0.006 <= begin <= end <= last + 0.006  # timestamps on a grid may be off by 5 % of its period
        assert last - end < 1 / rate_hz + 0.006
    assert treated.counts["gaps"] == len(pieces) - 1


@pytest.mark.parametrize("origin_s", [None, 0.0, 1_700_000_000.0])
def test_of_two_rows_at_equal_distances_the_earlier_gives_the_label(origin_s):
    time_s = None if origin_s is None else origin_s + np.arange(3000) / 50
    labels = np.arange(3000) % 3
    (made,) = treat(raw(stream(np.ones(3000), time_s), labels=labels), Recipe(rate_hz=20.0), rate_hz=50.0).recordings
    assert made.label_T.tolist() == labels[np.arange(1200) * 5 // 2].tolist()  # 2.5 rows a sample: 2, 7, 12, …


def test_rows_that_were_filled_are_no_rows_of_the_source():
    treated = treat(raw(stream(np.arange(28.0), np.delete(np.arange(30) / 10, [7, 8]))))
    assert treated.counts["rows_as_they_were"] == 28
    assert treated.counts["rows_resampled"] == 2
    assert treated.counts["interpolated_rows"] == 2


def test_a_row_with_one_value_that_was_filled_is_no_row_of_the_source():
    signal = np.stack([np.arange(30.0)] * 2, axis=1)
    signal[12, 1] = np.nan
    for time_s in (None, np.arange(30) / 10):
        counts = treat(raw(stream(signal, time_s))).counts
        assert (counts["rows_as_they_were"], counts["rows_resampled"], counts["interpolated_values"]) == (29, 1, 1)
    both = raw(
        stream(signal[:, 0], np.arange(30) / 10, ["acc_x"]), stream(signal[:, 1], np.arange(30) / 10, ["gyro_x"])
    )
    counts = treat(both).counts
    assert (counts["rows_as_they_were"], counts["rows_resampled"]) == (29, 1)


@settings(max_examples=40)
@given(st.data())
def test_every_row_of_every_stream_has_its_place_in_the_account(data):
    """Rows are in the store, in a gap, or at times at which the other stream has none; each stream by its own clock."""
    parts = [
        data.draw(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 12)), min_size=2, max_size=5)) for _ in "ab"
    ]
    on_T = [np.concatenate([np.arange(a + b) < a for a, b in own]) for own in parts]  # rows, then a hole, and so on
    time_s = [np.flatnonzero(there) / 10 for there in on_T]
    streams = [stream(np.ones(len(own)), own, [name]) for own, name in zip(time_s, BOTH, strict=True)]
    with mock.patch("har.windows.signal.check_rates"):
        treated = treat(raw(*streams), Recipe(max_gap_s=0.5))
    grids = []
    for own in time_s:  # the instants at which a stream has a value, its own or one between near rows
        ends = np.flatnonzero(np.diff(own) > 0.5 + 1e-9) + 1
        grids.append([set(range(round(p[0] * 10), round(p[-1] * 10) + 1)) for p in np.split(own, ends)])
    common = set().union(*grids[0]) & set().union(*grids[1])
    outside = sum(round(instant * 10) not in common for own in time_s for instant in own)
    assert treated.counts["rows_without_counterpart"] == outside
    assert sum(len(made.label_T) for made in treated.recordings) == len(common)


def test_rows_before_and_after_the_other_stream_are_counted():
    one, other = np.arange(11) / 10, 0.33 + np.arange(6) / 10
    both = raw(stream(np.ones(11), one, ["acc_x"]), stream(np.ones(6), other, ["gyro_x"]))
    treated = treat(both)
    assert treated.counts["rows_without_counterpart"] == 6  # to 0.3 s and from 0.9 s on
    assert [len(made.label_T) for made in treated.recordings] == [5]  # 0.4 to 0.8 s


def test_recordings_that_a_gap_divided_say_when_they_begin():
    time_s = [5.0, 5.1, 5.2, 9.2, 9.3]
    one, other = treat(raw(stream([0, 1, 2, 3, 4], time_s), labels=[0, 0, 1, 1, 2])).recordings
    assert (one.begin_s, other.begin_s) == (0.0, pytest.approx(4.2))
    assert (one.trial, other.trial) == ("a", "a")
    np.testing.assert_allclose(one.signal_TC[:, 1], [0, 1, 2], atol=1e-6)
    np.testing.assert_allclose(other.signal_TC[:, 1], [3, 4], atol=1e-6)
    assert other.label_T.tolist() == [1, 2]


def test_missing_values_are_interpolated_cut_and_counted():
    signal = np.arange(40, dtype=float)
    signal[[0, 5, 6, 20, 21, 22, 23, 24, 25, 39]] = np.nan
    treated = treat(raw(stream(signal)))
    one, other = treated.recordings
    np.testing.assert_allclose(one.signal_TC[:, 1], np.arange(1, 20), rtol=1e-6)
    np.testing.assert_allclose(other.signal_TC[:, 1], np.arange(26, 39), rtol=1e-6)
    assert (one.begin_s, other.begin_s) == (pytest.approx(0.1), pytest.approx(2.6))
    assert {key: count for key, count in treated.counts.items() if count} == {
        "missing_values": 20,
        "interpolated_values": 4,
        "rows_in_gaps": 8,
        "gaps": 1,
        "rows_as_they_were": 30,
        "rows_resampled": 2,  # in which every value is a straight line's
    }


def test_missing_rows_of_a_grid_are_interpolated_and_counted():
    time_s = np.arange(30) / 10
    kept = np.delete(np.arange(30), [4, 5, 17])
    treated = treat(raw(stream(kept, time_s[kept])))
    (made,) = treated.recordings
    np.testing.assert_allclose(made.signal_TC[:, 1], np.arange(30), rtol=1e-6)
    assert treated.counts["interpolated_rows"] == 3
    assert treated.measured_hz == [pytest.approx(10)]


def test_repeated_and_late_rows_are_left_out_and_counted():
    time_s = [0, 0.1, 0.1, 0.2, 0.15, 0.3, np.nan]
    treated = treat(raw(stream([0, 1, 99, 2, 99, 3, 99], time_s)))
    (made,) = treated.recordings
    np.testing.assert_allclose(made.signal_TC[:, 1], [0, 1, 2, 3], atol=1e-6)
    assert treated.counts["duplicated_timestamps"] == 1
    assert treated.counts["backward_timestamps"] == 1
    assert treated.counts["missing_timestamps"] == 1


def test_a_clock_that_was_set_anew_ends_the_recording():
    time_s = [100, 100.1, 100.2, 3, 3.1]
    one, other = treat(raw(stream(np.arange(5), time_s), labels=[0, 0, 0, 1, 1])).recordings
    assert one.label_T.tolist() == [0, 0, 0]
    assert other.label_T.tolist() == [1, 1]
    np.testing.assert_allclose(other.signal_TC[:, 1], [3, 4])


def two_streams(acc_time_s, gyro_time_s, **changes):
    acc = stream(np.array(acc_time_s) * 2, acc_time_s, ("acc_x",))
    gyro = stream(np.array(gyro_time_s) * 3, gyro_time_s, ("gyro_x",))
    return raw(acc, gyro, **changes)


def test_streams_are_joined_by_time_on_the_grid_of_the_first():
    acc_time_s, gyro_time_s = np.arange(50) / 10, np.arange(60) / 12.5 + 0.333
    (made,) = treat(two_streams(acc_time_s, gyro_time_s, labels=np.arange(50) // 10 % 3)).recordings
    expected_s = np.arange(4, 50) / 10  # the first instant of the first stream that lies in the second
    assert made.begin_s == pytest.approx(0.4)
    np.testing.assert_allclose(made.signal_TC[:, 0], expected_s * 2 * 9.80665, rtol=1e-6)
    np.testing.assert_allclose(made.signal_TC[:, 1], expected_s * 3, rtol=1e-5)
    np.testing.assert_array_equal(made.label_T, np.arange(4, 50) // 10 % 3)


def test_a_gap_in_either_stream_ends_the_recording():
    acc_time_s = np.delete(np.arange(100) / 10, slice(20, 30))
    gyro_time_s = np.delete(np.arange(100) / 10 + 0.001, slice(60, 70))
    made = treat(two_streams(acc_time_s, gyro_time_s)).recordings
    assert [len(one.label_T) for one in made] == [19, 30, 29]
    assert [one.begin_s for one in made] == pytest.approx([0.1, 3.0, 7.1])
    for one in made:
        time_s = one.begin_s + np.arange(len(one.label_T)) / 10
        np.testing.assert_allclose(one.signal_TC[:, 0], time_s * 2 * 9.80665, rtol=1e-5)
        np.testing.assert_allclose(one.signal_TC[:, 1], time_s * 3, atol=0.004)


def test_the_order_of_streams_other_than_the_first_makes_no_difference():
    first = stream(np.sin(np.arange(80)), np.arange(80) / 10, ("acc_x",))
    second = stream(np.cos(np.arange(100)), np.arange(100) / 12, ("gyro_x",))
    third = stream(np.cos(np.arange(90)), np.arange(90) / 11 + 0.2, ("gyro_y",))
    card = {"channels": tuple(Channel(name, "s", "p", name[-1], "rad/s") for name in ("acc_x", "gyro_x", "gyro_y"))}
    (one,) = treat(raw(first, second, third), **card).recordings
    (other,) = treat(raw(first, third, second), **card).recordings
    np.testing.assert_array_equal(one.signal_TC, other.signal_TC)


def test_streams_without_a_common_time_leave_nothing_and_say_so():
    treated = treat(two_streams(np.arange(20) / 10, np.arange(20) / 10 + 100))
    assert treated.recordings == []
    assert treated.reason == "its streams have no time in common"


def test_a_stream_that_is_not_selected_gives_its_labels_all_the_same():
    labels = [0] * 25 + [1] * 25
    treated = treat(
        two_streams(np.arange(50) / 10, np.arange(98) / 20 + 0.05, labels=labels), Recipe(channels=("gyro_x",))
    )
    (made,) = treated.recordings
    assert made.signal_TC.shape[1] == 1
    time_s = made.begin_s + np.arange(len(made.label_T)) / 10
    np.testing.assert_array_equal(made.label_T, (time_s > 2.45).astype(int))


def test_a_sample_far_from_any_label_is_unlabelled_and_counted():
    acc_time_s = np.concatenate([np.arange(20), np.arange(60, 80)]) / 10
    treated = treat(two_streams(acc_time_s, np.arange(80) / 10), Recipe(channels=("gyro_x",)))
    (made,) = treated.recordings
    reach = [min(abs(t - at) for at in acc_time_s) <= 0.5 + 1e-9 for t in np.arange(80) / 10]
    np.testing.assert_array_equal(made.label_T, np.where(reach, 0, -1))
    assert treated.counts["labels_out_of_reach"] == reach.count(False)


def test_clocks_that_were_set_anew_apart_are_refused():
    with pytest.raises(
        DataError, match=r"plain, subject 7, trial a: one of its clocks was set anew 0 times, another one 1 times"
    ):
        treat(two_streams([100, 100.1, 3, 3.1], [100, 100.1, 100.2]))


def test_a_label_clock_that_was_set_anew_apart_is_refused_where_its_stream_is_not_selected():
    with pytest.raises(DataError, match="one of its clocks was set anew 0 times, another one 1 times"):
        treat(two_streams([100, 100.1, 3, 3.1], [100, 100.1, 100.2]), Recipe(channels=("gyro_x",)))


def test_clocks_that_were_set_anew_together_are_joined_epoch_by_epoch():
    time_s = np.concatenate([100 + np.arange(20) / 10, np.arange(30) / 10])
    one, other = treat(two_streams(time_s, time_s)).recordings
    np.testing.assert_allclose(one.signal_TC[:, 1], (100 + np.arange(20) / 10) * 3, rtol=1e-6)
    np.testing.assert_allclose(other.signal_TC[:, 1], np.arange(30) / 10 * 3, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("recording", "message"),
    [
        (raw(stream([0, np.inf])), r"an infinite value in row 1 of acc_x"),
        (raw(stream([0.0, 1.0]), labels=[0]), r"2 rows with labels of shape \(1,\)"),
        (raw(Stream(BOTH, np.zeros((2, 3)))), r"a signal of shape \(2, 3\) for 2 channels"),
        (raw(stream([0.0, 1.0], channels=("acc_x",))), "channel gyro_x is not in exactly one stream"),
        (raw(stream([0.0, 1.0]), stream([0.0, 1.0])), "channel acc_x is not in exactly one stream"),
        (raw(stream(np.zeros(20), np.arange(20) * 100)), "the card says 10 Hz, the clock shows 0.01 Hz"),
        (raw(stream(np.zeros(20), np.zeros(20))), "19 of 20 rows repeat a timestamp"),
    ],
)
def test_what_no_recipe_can_mend_is_refused_with_its_place(recording, message):
    with pytest.raises(DataError, match=f"^plain, subject 7, trial a: {message}"):
        treat(recording)


def test_an_impossible_recipe_is_refused_before_anything_is_read():
    with pytest.raises(UsageError, match=r"rate_hz: -1\.0 is not a rate; empty: 'x' is not known"):
        Plan.of(plain_card(), Recipe(rate_hz=-1.0, empty="x"))


def test_the_plan_states_recipe_and_filters():
    described = Plan.of(plain_card(), Recipe(rate_hz=5.0, gravity=Gravity(causal=True))).described()
    assert described["rate_hz"] == 5
    assert described["recipe"]["gravity"] == {"cutoff_hz": 0.3, "order": 3, "causal": True, "keep_total": True}
    resampling, gravity = described["filters"]
    assert (resampling["passband_hz"], resampling["stopband_hz"], resampling["attenuation_db"]) == (2.0, 2.5, 60)
    assert gravity["causal"]
    assert Plan.of(plain_card()).described()["filters"] == []


def test_the_account_adds_up():
    time_s = np.concatenate([np.arange(20), np.arange(40, 60)]) / 10
    signal = np.arange(40, dtype=float)
    signal[3] = np.nan
    raws = [
        raw(stream(np.arange(10)), labels=[0] * 10, files=("a.csv",)),
        raw(stream(signal, time_s), labels=[1] * 39 + [-1], trial="b", files=("b.csv",)),
        raw(stream(np.full(5, np.nan)), labels=[2] * 5, trial="c", subject="10", files=("b.csv",)),
    ]
    preparation = Preparation(Plan.of(plain_card("abc"), Recipe(empty="leave-out")))
    made = list(preparation.recordings(raws))
    assert [len(one.label_T) for one in made] == [10, 20, 20]
    assert preparation.source_counts() == {
        "files": 2,
        "recordings": 3,
        "rows": 55,
        "rows_per_activity": {"a": 10, "b": 39, "c": 5},
        "labelled_rows": 54,
        "unlabelled_rows": 1,
    }
    assert preparation.subjects == ["7", "10"]
    described = preparation.described()
    assert {key: described[key] for key in COUNTED if described[key]} == {
        "rows_as_they_were": 49,
        "rows_resampled": 1,
        "missing_values": 12,
        "interpolated_values": 2,
        "rows_in_gaps": 5,
        "gaps": 1,
    }
    assert described["measured_hz"]["median"] == pytest.approx(10)
    assert described["left_out"] == [{"subject": "10", "trial": "c", "reason": "no row has a value in every channel"}]
    assert [entry["trial"] for entry in described["recordings"]] == ["b", "c"]
    assert described["recordings"][0]["parts"] == 2
    assert described["recordings"][0]["interpolated_values"] == 2


def test_a_recording_that_vanishes_is_refused_unless_the_recipe_leaves_it_out():
    empty = raw(stream(np.full(5, np.nan)))
    with pytest.raises(
        DataError, match=r"subject 7, trial a: nothing is left of it: no row has a value in every channel"
    ):
        list(Preparation(Plan.of(plain_card())).recordings([empty]))


def test_a_recording_that_lacks_a_file_is_counted_and_not_prepared():
    lacking = RawRecording("7", "a", (), np.zeros(0, np.int16), lacks=("gyro.txt",))
    preparation = Preparation(Plan.of(plain_card()))
    assert list(preparation.recordings([lacking, raw(stream(np.arange(5)))]))
    assert preparation.source_counts()["recordings"] == 1
    assert preparation.described()["left_out"] == [
        {"subject": "7", "trial": "a", "reason": "there is no file gyro.txt"}
    ]
