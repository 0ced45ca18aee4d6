"""A model on a live stream: equal to what is predicted of the whole, at bounded memory, in any pushes."""

import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import har
from har.datasets.recipe import Gravity
from har.datasets.registry import get_card
from har.deploy.smoothing import Smoothing
from har.deploy.stream import ActivityStream
from har.errors import UsageError
from tests.deploy.made import made_run, prepared

_HAPT = Path(__file__).parents[3] / "shared" / "datasets" / "HAPT.zip"


def signals(store, most=4):
    """Some recordings of a store, the longest first."""
    rows = store.recordings.assign(length=store.recordings["stop"] - store.recordings["start"])
    rows = rows.sort_values("length", ascending=False)[:most]
    return [np.array(store.signal_TC[a:b]) for a, b in zip(rows["start"], rows["stop"], strict=True)]


def decided(stream, signal_TC, time_s=None, size=1):
    steps = []
    for first in range(0, len(signal_TC), size):
        part = slice(first, first + size)
        steps += stream.push(signal_TC[part], None if time_s is None else time_s[part])
    assert stream.end() == []  # every decision has come with the sample that completed it
    return steps


def compare(steps, frame, offset_s=0.0):
    """Hold the steps of a stream against a table of predictions."""
    assert len(steps) == len(frame) > 0
    np.testing.assert_allclose([step.start_s - offset_s for step in steps], frame["start_s"], atol=1e-9)
    np.testing.assert_allclose([step.end_s - offset_s for step in steps], frame["end_s"], atol=1e-9)
    expected_NK = frame.filter(like="probability:").to_numpy()
    np.testing.assert_allclose([step.probability_K for step in steps], expected_NK, atol=1e-5)
    sure = np.ptp(np.sort(expected_NK, axis=1)[:, -2:], axis=1) > 1e-4
    activities = np.array([step.activity for step in steps])
    assert (activities == frame["activity"])[sure].all()


@settings(max_examples=25)
@given(rate_hz=st.one_of(st.sampled_from([49.97, 50.0, 100.0]), st.floats(10, 200).map(lambda rate: round(rate, 2))))
def test_the_samples_that_a_first_window_needs_are_enough_and_no_more_than_that(run, spar, rate_hz):
    model, signal_TC = har.load(run), np.array(spar.signal_TC[:1000])
    needed = ActivityStream(model, rate_hz).needed
    for count, windows in ((needed - 1, 0), (needed, 1)):
        stream = ActivityStream(model, rate_hz)
        assert len([*stream.push(signal_TC[:count]), *stream.end()]) == windows


def test_at_the_models_rate_a_stream_of_real_recordings_is_the_offline_prediction(model, spar):
    for signal_TC in signals(spar, 2):
        for size in (1, 37):
            compare(decided(ActivityStream(model, 50), signal_TC, size=size), model.predict(signal_TC, 50))
        time_s = 1.7e9 + np.round(np.arange(len(signal_TC)) / 50, 3)
        compare(decided(ActivityStream(model, 50), signal_TC, time_s, 50), model.predict(signal_TC, 50), 1.7e9)


@pytest.mark.parametrize("rate_hz", [100.0, 33.0, 20.0])
def test_at_another_rate_a_stream_is_streaming_prediction_which_is_offline_but_for_the_end(model, spar, rate_hz):
    signal_TC = signals(spar, 1)[0]
    live, offline = model.predict(signal_TC, rate_hz, streaming=True), model.predict(signal_TC, rate_hz)
    stream = ActivityStream(model, rate_hz)
    compare(decided(stream, signal_TC, np.arange(len(signal_TC)) / rate_hz, 7), live)
    missing = len(offline) - len(live)
    assert 0 <= missing <= np.ceil(stream.delay_s / 0.5) + 1
    shared = offline[: len(live)].filter(like="probability:").to_numpy()
    np.testing.assert_allclose(live.filter(like="probability:"), shared, atol=1e-5)


@pytest.fixture(scope="module")
def hapt(tmp_path_factory):
    if not _HAPT.is_file():
        pytest.skip("needs ../shared/datasets")
    folder = tmp_path_factory.mktemp("hapt")
    with zipfile.ZipFile(_HAPT) as archive:
        chosen = [n for n in archive.namelist() if "RawData/" in n or n.endswith(("activity_labels.txt", "README.txt"))]
        archive.extractall(folder / "raw", chosen)
    card = get_card("hapt")
    recipe = dataclasses.replace(card.preparation, gravity=Gravity(causal=True))
    return prepared(card, folder, source=folder / "raw", recipe=recipe, name="hapt-live")


def test_a_stream_of_hapt_with_causal_gravity_is_the_offline_prediction(hapt, tmp_path):
    model = har.load(made_run(tmp_path / "run", hapt, window_s=2.56, step_s=1.28))
    raw_TC = signals(hapt, 1)[0][:20_000, :6]  # the channels that are given stand first
    compare(decided(ActivityStream(model, 50), raw_TC, size=50), model.predict(raw_TC, 50))
    compare(decided(ActivityStream(model, 100), raw_TC, size=50), model.predict(raw_TC, 100, streaming=True))


def test_jitter_repetitions_drops_and_disorder_leave_the_decisions_near(model, spar):
    random = np.random.default_rng(1)
    signal_TC = signals(spar, 1)[0]
    time_s = np.arange(len(signal_TC)) / 50
    kept = np.sort(random.permutation(len(time_s))[: int(0.98 * len(time_s))])
    order = np.sort(np.append(kept, kept[::40]))  # some come twice
    order[100:102] = order[101:99:-1]  # some in disorder
    shifted_s = time_s + random.uniform(-0.004, 0.004, len(time_s))
    stream = ActivityStream(model, 50)
    steps = decided(stream, signal_TC[order], shifted_s[order], 5)
    offline_NK = model.predict(signal_TC, 50).filter(like="probability:").to_numpy()[: len(steps)]
    difference_NK = np.abs(np.stack([step.probability_K for step in steps]) - offline_NK)
    assert np.median(difference_NK) < 0.02
    assert len(steps) >= len(offline_NK) - 1
    assert stream.counts["duplicated"] == len(kept[::40])
    assert stream.counts["late"] <= 1
    assert stream.counts["gaps"] == stream.counts["clock_resets"] == 0


def test_no_window_reaches_over_a_gap_and_smoothing_begins_anew(model, spar):
    signal_TC = signals(spar, 1)[0][:400]
    time_s = np.arange(400) / 50 + np.where(np.arange(400) < 170, 0.0, 5.0)
    steps = decided(ActivityStream(model, 50, smoothing=Smoothing("mean", 100)), signal_TC, time_s, 10)
    starts = [round(step.start_s, 6) for step in steps]
    assert starts == [0.0, 0.5, 1.0, *np.round(8.4 + 0.5 * np.arange(6), 6)]
    behind_gap = model.predict(signal_TC[170:], 50).filter(like="probability:").to_numpy()
    np.testing.assert_allclose(steps[3].probability_K, behind_gap[0], atol=1e-6)
    np.testing.assert_allclose(steps[5].probability_K, behind_gap[:3].mean(0), atol=1e-6)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=25), st.integers(1, 6))
def test_smoothing_is_what_it_says(activities, last):
    probabilities = np.random.default_rng(0).dirichlet(np.ones(4), len(activities)).astype(np.float32)
    probabilities[np.arange(len(activities)), activities] += 1
    mean, majority = Smoothing("mean", last), Smoothing("majority", last)
    for step, probability_K in enumerate(probabilities):
        recent = slice(max(0, step + 1 - last), step + 1)
        number, behind_K = mean.push(probability_K)
        np.testing.assert_allclose(behind_K, probabilities[recent].mean(0), rtol=1e-6)
        assert number == behind_K.argmax()
        number, behind_K = majority.push(probability_K)
        votes = activities[recent]
        most = max(votes.count(vote) for vote in votes)
        assert number == [vote for vote in votes if votes.count(vote) == most][-1]
        assert behind_K[number] == pytest.approx(most / len(votes))


def test_memory_holds_a_window_whatever_came_before(model, spar):
    signal_TC = signals(spar, 1)[0]
    stream = ActivityStream(model, 100)
    sizes = []
    for _ in range(6):
        decided(stream, signal_TC, size=100)
        windows, segment = stream._windows, stream._windows.segment
        kept = sum(map(len, windows.kept_TC)) + len(segment._grid._time_s) + len(segment._low_pass._kept_TC)
        kept += sum(len(waiting_TC) for waiting_TC, _ in stream._waiting)
        sizes.append(kept)
    assert max(sizes) < 100 + 100 + 200


@pytest.mark.parametrize(("options", "message"), [({"rate_hz": -1}, "no rate"), ({"step_s": 0.003}, "whole number")])
def test_an_impossible_stream_is_refused(model, options, message):
    with pytest.raises(UsageError, match=message):
        ActivityStream(model, **{"rate_hz": 50, **options})
    with pytest.raises(UsageError, match="Give every channel"):
        ActivityStream(model, 50).push(np.zeros((2, 5)))
    with pytest.raises(UsageError, match="one time for each"):
        ActivityStream(model, 50).push(np.zeros((2, 6)), [0.0])
    for first, then in (([0.0, 0.02], None), (None, [0.04, 0.06])):
        stream = ActivityStream(model, 50)
        stream.push(np.full((2, 6), 9.0), first)
        with pytest.raises(UsageError, match="with times and without"):
            stream.push(np.full((2, 6), 9.0), then)


@pytest.mark.parametrize("rate_hz", [50.0, 100.0])
@pytest.mark.parametrize("with_times", [True, False])
def test_a_decision_comes_with_the_very_sample_that_completes_its_window(model, spar, rate_hz, with_times):
    signal_TC = np.repeat(signals(spar, 1)[0], 2, axis=0)[:700]
    time_s = np.arange(len(signal_TC)) / rate_hz
    stream = ActivityStream(model, rate_hz)
    came = []
    for i in range(len(signal_TC)):
        steps = stream.push(signal_TC[i : i + 1], time_s[i : i + 1] if with_times else None)
        came += [(step.end_s, time_s[i]) for step in steps]
    # the last instant of a window is one period of the model before its end
    expected = [end_s - 1 / 50 + stream.delay_s for end_s, _ in came]
    np.testing.assert_allclose([came_s for _, came_s in came], expected, atol=0.5 / rate_hz)
