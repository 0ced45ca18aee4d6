"""Streaming preparation against preparation of whole recordings, on any clock and in pushes of any size."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.interpolate import Akima1DInterpolator

from har.datasets.recipe import Gravity, Recipe
from har.deploy.arrivals import Arrivals
from har.deploy.causal import Segment, delay_s, makima, require_causal
from har.deploy.facts import Facts
from har.errors import DataError, UsageError
from har.windows.channels import computed
from har.windows.clock import read_clock
from har.windows.gaps import pieces_of
from har.windows.resample import polyphase
from har.windows.signal import Plan
from tests.windows.test_channels import body_card

LIVE = Recipe(gravity=Gravity(causal=True), magnitude=("gyroscope",), sites=("hip",))
PARTS = Recipe(gravity=Gravity(causal=True, keep_total=False), magnitude=("body-acceleration",), sites=("hip",))
STEPS_MS = [20, 20, 20, 20, 0, -15, 40, 700, -5000, None]


def facts_of(recipe=LIVE, rate_hz=50.0):
    card = body_card(rate_hz=rate_hz)
    preparation = Plan.of(card, recipe).described()
    facts = Facts("body", ["a", "b"], rate_hz, 100, 1.0, preparation, {}, {}, {}, None, {})
    return Facts.read(facts.text(), Path("model"))


def pushed(segment, time_s, signal_TC, cuts):
    bounds = sorted({0, len(time_s), *(cut % len(time_s) for cut in cuts)})
    parts = [segment.push(time_s[a:b], signal_TC[a:b]) for a, b in itertools.pairwise(bounds)]
    return np.concatenate(parts)


def signal_of(facts, rows, seed):
    random = np.random.default_rng(seed)
    return np.cumsum(random.normal(0, 0.3, (rows, len(facts.inputs))), axis=0) + random.normal(0, 5, len(facts.inputs))


def test_channels_to_be_given_are_those_that_the_recipe_was_made_of():
    for recipe in (Recipe(), LIVE, PARTS, Recipe(sensors=("accelerometer",), magnitude=("accelerometer",))):
        plan = Plan.of(body_card(rate_hz=50.0), recipe)
        facts = facts_of(recipe)
        assert facts.recipe == recipe
        assert facts.channels.made == plan.channels.made
        assert {channel.name for channel in facts.inputs} == {channel.name for channel in plan.channels.taken}
        signal_TC = np.random.default_rng(0).normal(0, 1, (400, len(facts.inputs)))
        names = [channel.name for channel in facts.inputs]
        in_card_order = signal_TC[:, [names.index(channel.name) for channel in plan.channels.taken]]
        expected = computed(plan.channels, recipe, 50.0, in_card_order)
        np.testing.assert_array_equal(computed(facts.channels, recipe, 50.0, signal_TC), expected)
        assert all(channel.unit in ("m/s²", "rad/s") for channel in facts.inputs)


@settings(max_examples=25)
@given(
    st.sampled_from([50.0, 100.0, 64.0, 25.0, 20.0, 200.0]),
    st.sampled_from([LIVE, PARTS, Recipe()]),
    st.lists(st.integers(0, 10_000), max_size=12),
    st.integers(200, 700),
    st.integers(0, 99),
)
def test_a_stream_in_any_pushes_is_preparation_of_the_whole(rate_hz, recipe, cuts, rows, seed):
    facts = facts_of(recipe)
    signal_TC, time_s = signal_of(facts, rows, seed), 17.0 + np.arange(rows) / rate_hz
    live_TC = pushed(Segment(facts, rate_hz, 17.0), time_s, signal_TC, cuts)
    ratio = {50.0: (1, 1), 100.0: (1, 2), 64.0: (25, 32), 25.0: (2, 1), 20.0: (5, 2), 200.0: (1, 4)}[rate_hz]
    whole_TC = computed(facts.channels, recipe, 50.0, polyphase(signal_TC, *ratio))
    assert len(live_TC) >= len(whole_TC) - np.ceil(delay_s(facts, rate_hz) * 50.0) - 1
    np.testing.assert_allclose(live_TC, whole_TC[: len(live_TC)], rtol=1e-5, atol=1e-5)


def test_the_delay_is_half_of_the_low_pass_and_none_at_the_models_rate():
    facts = facts_of()
    assert delay_s(facts, 50.0) == 0
    assert 0.3 < delay_s(facts, 100.0) < 0.45
    segment, time_s = Segment(facts, 100.0, 0.0), np.arange(300) / 100.0
    made = [len(segment.push(time_s[i : i + 1], np.ones((1, len(facts.inputs))))) for i in range(300)]
    first = int(np.argmax(np.cumsum(made) > 0))
    assert time_s[first] == pytest.approx(delay_s(facts, 100.0), abs=0.011)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 10_000), max_size=8), st.sampled_from([50.0, 47.123, 33.3]), st.integers(0, 99))
def test_jitter_and_holes_do_not_depend_on_pushes_and_stay_near_the_movement(cuts, rate_hz, seed):
    random = np.random.default_rng(seed)
    facts = facts_of(Recipe(sites=("hip",)))
    time_s = (np.arange(400) + random.uniform(-0.3, 0.3, 400)) / rate_hz
    time_s = time_s[random.random(400) > 0.03]
    signal_TC = np.sin(2 * np.pi * 1.0 * time_s[:, None] + np.arange(6))
    origin_s = float(time_s[0])
    live_TC = pushed(Segment(facts, rate_hz, origin_s), time_s, signal_TC, cuts)
    whole_TC = Segment(facts, rate_hz, origin_s).push(time_s, signal_TC)
    np.testing.assert_allclose(live_TC, whole_TC, atol=1e-6)
    at_s = origin_s + np.arange(len(live_TC)) / 50.0
    error_TC = live_TC - np.sin(2 * np.pi * 1.0 * at_s[:, None] + np.arange(6))
    assert len(live_TC) > 0.8 * 400 / rate_hz * 50.0
    # 50 Hz: a tenth of a period beside the instant is 1.3 % at 1 Hz; holes of three samples are straight lines.
    assert np.sqrt(np.mean(np.square(error_TC[30:]))) < 0.02


def test_interpolation_is_scipys_modified_akima():
    random = np.random.default_rng(3)
    time_s = np.cumsum(random.uniform(0.001, 1, 40))
    signal_TC = random.normal(0, 1, (40, 3))
    signal_TC[10:20] = 2.0  # flat: all slopes are 0
    at_s = np.sort(random.uniform(time_s[0], time_s[-1], 200))
    before = np.searchsorted(time_s, at_s, side="right") - 1
    expected = Akima1DInterpolator(time_s, signal_TC, axis=0, method="makima")(at_s)
    np.testing.assert_allclose(makima(time_s, signal_TC, at_s, before), expected, atol=1e-12)


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([20, 20, 20, 20, 0, -15, 40, 700, -5000, None]), min_size=1, max_size=60),
    st.integers(1, 9),
)
def test_arrivals_follow_the_rules_of_preparation(steps_ms, size):
    missing = np.array([step is None for step in steps_ms])
    time_s = np.cumsum([0 if step is None else step for step in steps_ms]) / 1000.0
    value_TC = np.arange(len(time_s), dtype=float)[:, None]
    value_TC[missing] = np.nan
    arrivals = Arrivals(facts_of(), 50.0)
    arrivals._steps = None  # these times are no clock's
    found = [
        (arrived.is_new, time, value)
        for first in range(0, len(time_s), size)
        for arrived in arrivals.push(value_TC[first : first + size], time_s[first : first + size])
        for time, value in zip(arrived.time_s, arrived.signal_TC[:, 0], strict=True)
    ]
    whole = np.where(missing, np.nan, time_s)
    advancing = [row for row in range(len(whole)) if row in set(_advancing(whole))]
    assert [value for _, _, value in found] == advancing
    assert arrivals.counts["incomplete"] == missing.sum()


def _advancing(time_s):
    """Rows that advance a clock, by the loop that anybody would write."""
    newest = seen = -np.inf
    for row, time in enumerate(time_s):
        if np.isnan(time):
            continue
        if time - seen < -1.0:
            newest = -np.inf
        seen = time
        if time > newest:
            newest = time
            yield row


def test_gaps_and_clocks_set_anew_begin_segments_as_they_end_recordings():
    time_s = np.array([0, 20, 40, 600, 620, 640, 100, 120, 5000, 2000, 2020, 2020, 2040]) / 1000.0
    signal_TC = np.ones((len(time_s), 12))
    arrivals = Arrivals(facts_of(), 50.0)
    begins = [float(found.time_s[0]) for found in arrivals.push(signal_TC, time_s)]
    pieces, counts = pieces_of(clock := read_clock(time_s), signal_TC[: len(clock.row_T)], 0.5)
    assert begins == [float(piece.time_s[0]) for piece in pieces] == [0.0, 0.6, 5.0, 2.0]
    assert counts["gaps"] == 3
    assert dict(arrivals.counts) == {"incomplete": 0, "duplicated": 1, "late": 2, "gaps": 2, "clock_resets": 1}


def test_a_clock_of_another_rate_is_refused():
    arrivals = Arrivals(facts_of(), 50.0)
    with pytest.raises(DataError, match="show 100 Hz, not 50 Hz"):
        arrivals.push(np.ones((200, 12)), np.arange(200) / 100.0)
    arrivals = Arrivals(facts_of(), 50.0)
    with pytest.raises(DataError, match=r"show 0\.05 Hz"):
        arrivals.push(np.ones((200, 12)), np.arange(200) * 20.0)


def test_a_recipe_that_is_not_causal_is_refused_with_the_way_out():
    facts = facts_of(dataclasses.replace(LIVE, gravity=Gravity(causal=False)))
    with pytest.raises(UsageError, match="backwards") as error:
        require_causal(facts)
    assert "--gravity causal" in error.value.hint
    require_causal(facts_of(LIVE))
    require_causal(facts_of(Recipe()))
