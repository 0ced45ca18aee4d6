"""Windows: against a reference that looks at every sample of every window."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from har.errors import UsageError
from har.windows import segment
from har.windows.segment import (
    WindowSpec,
    every_window,
    gather,
    missing_activities,
    samples_of,
    window_counts,
    window_index,
)
from tests.fakes.stores import memory_store

ACTIVITIES = ("walk", "other", "sit")  # "other" is the null activity, in the middle, so that labels move


def reference(store, samples, step, spec):
    """Return (start, recording, activity, purity) of every window, by looking at each sample."""
    found = []
    for recording in store.recordings.itertuples():
        rows = store.label_T[recording.start : recording.stop].tolist()
        names = [store.activities[label] if label >= 0 else None for label in rows]
        null = {"keep": store.null, "unlabelled": "null"}.get(spec.null)
        names = [name or null for name in names]
        for begin in range(len(names)):
            window = names[begin : begin + samples]
            if begin % step or len(window) < samples:
                continue
            name = {"last": window[-1], "centre": window[samples // 2], "majority": majority(window, store)}[
                spec.label_rule
            ]
            purity = window.count(name) / samples
            left_out = name is None or (spec.null == "drop" and name == store.null)
            if left_out or name not in (spec.activities or [*store.activities, "null"]) or purity < spec.min_purity:
                continue
            found.append((recording.start + begin, recording.recording, name, purity))
    return found


def majority(window, store):
    """Return the most frequent name; the first of the data set's activities where several are."""
    count = Counter(window)
    return min(count, key=lambda name: (-count[name], [*store.activities, "null", None].index(name)))


@st.composite
def stores(draw):
    """Draw a store of one to four recordings of two subjects, with long and short runs of labels."""
    runs = st.lists(st.tuples(st.integers(-1, 2), st.integers(1, 8)), min_size=1, max_size=6)
    drawn = draw(st.lists(st.tuples(st.sampled_from("ab"), runs), min_size=1, max_size=4))
    recordings = [(subject, [label for label, n in pieces for _ in range(n)]) for subject, pieces in drawn]
    return memory_store(recordings, ACTIVITIES, null=draw(st.sampled_from([None, "other"])))


specs = st.builds(
    WindowSpec,
    window_s=st.integers(1, 9).map(lambda n: n / 10),
    step_s=st.integers(1, 6).map(lambda n: n / 10),
    label_rule=st.sampled_from(["majority", "last", "centre"]),
    min_purity=st.sampled_from([0.0, 0.5, 2 / 3, 1.0]),
    null=st.sampled_from(["drop", "keep", "unlabelled"]),
    activities=st.sampled_from([None, ("sit",), ("sit", "walk")]),
)


@settings(max_examples=300)
@given(stores(), specs, st.sampled_from([1, 4, 1 << 22]))
@example(memory_store([("a", [0, 2, 0, 2, -1, -1])], ACTIVITIES), WindowSpec(0.4, 0.1), 1 << 22)
def test_windows_labels_and_purity_are_those_of_the_reference(store, spec, rows_at_a_time):
    assume(spec.null != "unlabelled" or store.null is None)
    samples, step = round(spec.window_s * 10), round(spec.step_s * 10)
    if samples > (store.recordings["stop"] - store.recordings["start"]).max():
        with pytest.raises(UsageError, match="longer than every recording"):
            window_index(store, spec)
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segment, "_ROWS", rows_at_a_time)
        index = window_index(store, spec)
    expected = reference(store, samples, step, spec)
    found = zip(index.start, index.recording, (index.activities[label] for label in index.label), strict=True)
    assert list(found) == [row[:3] for row in expected]
    np.testing.assert_array_equal(index.purity, np.array([row[3] for row in expected], np.float16))
    assert (index.start.dtype, index.recording.dtype) == (np.int64, np.int32)
    assert (index.label.dtype, index.purity.dtype) == (np.int16, np.float16)
    first = store.recordings["start"].to_numpy()[index.recording]
    assert ((index.start >= first) & (index.start + samples <= store.recordings["stop"][index.recording])).all()


@settings(max_examples=100)
@given(stores(), specs)
def test_every_window_and_short_recording_that_is_left_out_is_counted(store, spec):
    assume(spec.null != "unlabelled" or store.null is None)
    lengths = (store.recordings["stop"] - store.recordings["start"]).to_numpy()
    samples, step = round(spec.window_s * 10), round(spec.step_s * 10)
    if samples > lengths.max():
        return
    index = window_index(store, spec)
    possible = sum((length - samples) // step + 1 for length in lengths if length >= samples)
    left_out = dict(index.left_out)
    assert left_out.pop("short recordings") == np.count_nonzero(lengths < samples)
    assert len(index) + sum(left_out.values()) == possible


def test_the_last_exact_window_is_kept():
    store = memory_store([("a", [0] * 10)])
    assert window_index(store, WindowSpec(0.4, 0.3)).start.tolist() == [0, 3, 6]
    assert window_index(store, WindowSpec(1.0, 0.3)).start.tolist() == [0]


def test_a_tie_goes_to_the_first_activity_also_against_unlabelled():
    store = memory_store([("a", [1, 0, 1, 0, -1, -1, 1, 1])])
    index = window_index(store, WindowSpec(0.4, 0.4))
    assert [index.activities[label] for label in index.label] == ["walk", "sit"]


def test_the_centre_of_an_even_window_is_the_later_middle_sample():
    store = memory_store([("a", [0, 0, 1, 0])])
    assert window_index(store, WindowSpec(0.4, 0.4, label_rule="centre")).label.tolist() == [1]


def test_dropping_the_null_activity_renumbers_the_others():
    store = memory_store([("a", [0, 0, 1, 1, 2, 2, -1, -1])], ACTIVITIES, null="other")
    dropped = window_index(store, WindowSpec(0.2, 0.2))
    assert dropped.activities == ["walk", "sit"]
    assert dropped.label.tolist() == [0, 1]
    kept = window_index(store, WindowSpec(0.2, 0.2, null="keep"))
    assert kept.activities == list(ACTIVITIES)
    assert kept.label.tolist() == [0, 1, 2, 1]


def test_time_without_a_label_becomes_an_activity_where_no_other_means_null():
    store = memory_store([("a", [0, 0, -1, -1, 2, 2])], ACTIVITIES)
    index = window_index(store, WindowSpec(0.2, 0.2, null="unlabelled"))
    assert (index.activities, index.label.tolist()) == ([*ACTIVITIES, "null"], [0, 3, 2])
    with pytest.raises(UsageError, match="has the null activity 'other' already"):
        window_index(memory_store([("a", [0, 0])], ACTIVITIES, null="other"), WindowSpec(0.2, 0.2, null="unlabelled"))


def test_activities_choose_and_order_the_labels():
    store = memory_store([("a", [0, 0, 1, 1, 2, 2])], ACTIVITIES)
    index = window_index(store, WindowSpec(0.2, 0.2, activities=("sit", "walk")))
    assert index.activities == ["sit", "walk"]
    assert index.label.tolist() == [1, 0]
    assert index.left_out["other activities"] == 1


def test_subjects_choose_recordings():
    store = memory_store([("a", [0] * 4), ("b", [1] * 4), ("a", [0] * 4)])
    assert window_index(store, WindowSpec(0.4, 0.4), ["a"]).recording.tolist() == [0, 2]
    assert len(window_index(store, WindowSpec(0.4, 0.4), [])) == 0


def test_a_subject_with_short_recordings_only_is_seen():
    store = memory_store([("a", [0] * 9), ("b", [1] * 3)])
    index = window_index(store, WindowSpec(0.4, 0.4), ["b"])
    assert len(index) == 0
    assert index.left_out["short recordings"] == 1
    counts = window_counts(store, window_index(store, WindowSpec(0.4, 0.4)))
    assert counts.to_dict("index") == {"a": {"walk": 2, "sit": 0}, "b": {"walk": 0, "sit": 0}}


def test_activities_without_a_window_are_named():
    store = memory_store([("a", [0] * 4)], ACTIVITIES)
    assert missing_activities(window_index(store, WindowSpec(0.4, 0.4))) == ["other", "sit"]


BAD_SPECS = {
    "label rule 'major' is not known": WindowSpec(0.4, 0.4, label_rule="major"),
    "Did you mean 'majority'": WindowSpec(0.4, 0.4, label_rule="majorty"),
    "null policy 'kep' is not known": WindowSpec(0.4, 0.4, null="kep"),
    "min_purity 1.5 is not a share": WindowSpec(0.4, 0.4, min_purity=1.5),
    "activity 'sitt' is not known (data set plain)": WindowSpec(0.4, 0.4, activities=("sitt",)),
    "'other' is asked for, but it is the null": WindowSpec(0.4, 0.4, activities=("other", "sit")),
    "an empty list or a repeated name": WindowSpec(0.4, 0.4, activities=("sit", "sit")),
    "activities []: an empty list": WindowSpec(0.4, 0.4, activities=()),
    "longest recording has 0.9 s": WindowSpec(1.0, 0.4),
    "0.45 s at 10 Hz is 4.5 samples": WindowSpec(0.45, 0.4),
    "0.0 s at 10 Hz is 0 samples": WindowSpec(0.4, 0.0),
}


@pytest.mark.parametrize("message", BAD_SPECS)
def test_an_impossible_window_is_an_error(message):
    store = memory_store([("a", [0] * 9)], ACTIVITIES, null="other")
    with pytest.raises(UsageError) as caught:
        window_index(store, BAD_SPECS[message])
    assert message in str(caught.value)


def test_an_unknown_subject_names_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'anna'"):
        window_index(memory_store([("anna", [0] * 9)]), WindowSpec(0.4, 0.4), ["ana"])


def test_seconds_become_samples_only_where_they_are_whole():
    assert samples_of(4, 50) == 200
    assert samples_of(2.56, 50) == 128
    assert samples_of(1 / 3, 30) == 10
    with pytest.raises(UsageError) as caught:
        samples_of(2.55, 50)
    assert "0.0 s" not in caught.value.hint
    assert "2.54 s (127 samples) or 2.56 s (128 samples)" in caught.value.hint


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), 0.001, 1e-9])
def test_a_duration_of_no_sample_is_refused(seconds):
    with pytest.raises(UsageError, match=r"Take a whole number of them: 0\.02 s \(1 sample\)"):
        samples_of(seconds, 50)


def test_a_step_over_every_recording_takes_their_first_windows_and_one_without_count_is_refused():
    store = memory_store([("a", [0] * 9), ("b", [1] * 5)], rate_hz=1.0)
    for cut in (window_index(store, WindowSpec(3.0, 2.0**52)), every_window(store, 3.0, 2.0**52)):
        assert cut.start.tolist() == [0, 9]
        assert cut.start.dtype == np.int64
    for seconds in (10**30, 1e30):
        with pytest.raises(UsageError, match=r"1e\+30 s at 1 Hz is 1e\+30 samples, more than any recording has"):
            window_index(store, WindowSpec(3.0, seconds))


@settings(max_examples=100)
@given(st.data(), st.integers(1, 40), st.integers(1, 7), st.booleans())
def test_gathered_windows_are_slices_of_the_signal_in_time_major_order(data, rows, channels, on_disk):
    signal = np.random.default_rng(rows).normal(size=(rows, channels)).astype(np.float32)
    if on_disk:
        signal.flags.writeable = False
    samples = data.draw(st.integers(1, rows))
    starts = np.array(data.draw(st.lists(st.integers(0, rows - samples), max_size=9)), np.int64)
    x_NTC = gather(signal, starts, samples)
    assert x_NTC.shape == (len(starts), samples, channels)
    assert x_NTC.dtype == np.float32
    assert x_NTC.flags.c_contiguous
    assert x_NTC.flags.writeable
    for window, start in zip(x_NTC, starts, strict=True):
        np.testing.assert_array_equal(window, signal[start : start + samples])


def test_gathering_from_a_memory_map_copies(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(20, dtype=np.float32).reshape(10, 2))
    signal = np.load(tmp_path / "x.npy", mmap_mode="r")
    x_NTC = gather(signal, np.array([0, 8]), 2)
    assert type(x_NTC) is np.ndarray
    x_NTC[:] = 0
    assert signal[1, 1] == 3


def test_gathering_does_not_need_a_contiguous_signal():
    signal = np.arange(40, dtype=np.float32).reshape(2, 20).T
    np.testing.assert_array_equal(gather(signal, np.array([3]), 2)[0], signal[3:5])


@pytest.mark.parametrize("start", [-1, 7])
def test_a_window_over_the_end_of_the_signal_is_an_error(start):
    with pytest.raises(IndexError):
        gather(np.zeros((10, 2), np.float32), np.array([start]), 4)


@settings(max_examples=50)
@given(stores(), specs)
def test_windows_without_regard_to_labels_are_a_grid_that_holds_those_with_labels(store, spec):
    assume(spec.null != "unlabelled" or store.null is None)
    subjects = [store.subjects[-1]]
    own = store.recordings[store.recordings["subject"] == subjects[0]]
    samples, step = round(spec.window_s * 10), round(spec.step_s * 10)
    starts = [begin for r in own.itertuples() for begin in range(r.start, r.stop - samples + 1, step)]
    if not starts:
        with pytest.raises(UsageError, match="longer than every recording"):
            every_window(store, spec.window_s, spec.step_s, subjects)
        return
    index = every_window(store, spec.window_s, spec.step_s, subjects)
    assert index.start.tolist() == starts
    assert set(index.label) == {-1}
    assert set(window_index(store, spec, subjects).start) <= set(starts)
