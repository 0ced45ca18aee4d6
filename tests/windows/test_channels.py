"""Channels: selections, gravity against its transfer function, magnitudes, and names that a manifest explains."""

import numpy as np
import pytest
from scipy.signal import butter, freqz_sos, lfilter

from har.datasets.card import Channel
from har.datasets.recipe import Gravity, Recipe
from har.errors import UsageError
from har.windows.channels import chosen_channels, computed, gravity_of
from tests.fakes.stores import plain_card


def body_card(**changes):
    channels = tuple(
        Channel(f"{site}_{name}_{axis}", sensor, site, axis, unit)
        for site in ("wrist", "hip")
        for name, sensor, unit in (("acc", "accelerometer", "g"), ("gyro", "gyroscope", "°/s"))
        for axis in "xyz"
    )
    return plain_card(channels=channels, **changes)


def names(channels):
    return [channel.name for channel in channels.made]


@pytest.mark.parametrize(
    ("recipe", "prefix"),
    [
        (Recipe(), ("",)),
        (Recipe(sites=("hip",)), ("hip",)),
        (Recipe(sensors=("gyroscope",)), ("wrist_gyro", "hip_gyro")),
        (Recipe(sensors=("gyroscope", "accelerometer"), sites=("hip", "wrist")), ("",)),
        (Recipe(sensors=("accelerometer",), sites=("hip",)), ("hip_acc",)),
        (Recipe(channels=("hip_gyro_x", "wrist_acc_y")), ("wrist_acc_y", "hip_gyro_x")),
    ],
)
def test_selections_keep_the_cards_order(recipe, prefix):
    card = body_card()
    expected = [channel.name for channel in card.channels if channel.name.startswith(prefix)]
    assert names(chosen_channels(card, recipe)) == expected


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (Recipe(sensors=("gyroscop",)), "sensor 'gyroscop' is not known"),
        (Recipe(sites=("wirst",)), "Did you mean 'wrist'"),
        (Recipe(channels=("hip_gyro_w",)), "Did you mean 'hip_gyro_"),
        (Recipe(sites=("hip",), channels=("wrist_acc_x",)), "a site of hip and a name of wrist_acc_x"),
        (Recipe(sensors=("gyroscope",), gravity=Gravity()), "no channel taken is of an accelerometer"),
        (Recipe(sensors=("gyroscope",), magnitude=("accelerometer",)), "sensor 'accelerometer' is not known"),
        (Recipe(channels=("hip_acc_x", "hip_acc_y"), magnitude=("accelerometer",)), "its axes are x, y"),
    ],
)
def test_what_is_not_there_is_named(recipe, message):
    with pytest.raises(UsageError) as caught:
        chosen_channels(body_card(), recipe)
    assert message in str(caught.value)


def test_a_made_channel_of_a_name_that_is_taken_is_refused():
    card = plain_card(
        channels=(
            Channel("acc", "accelerometer", "hip", "x", "g"),
            Channel("body_acc", "thermometer", "hip", "x", "°C"),
        )
    )
    with pytest.raises(UsageError, match="makes a second channel 'body_acc'"):
        chosen_channels(card, Recipe(gravity=Gravity()))


def test_gravity_and_body_acceleration_stand_behind_the_channels_and_add_up_to_the_total():
    recipe = Recipe(sites=("hip",), gravity=Gravity())
    channels = chosen_channels(body_card(), recipe)
    assert names(channels) == [
        *(f"hip_acc_{axis}" for axis in "xyz"),
        *(f"hip_gyro_{axis}" for axis in "xyz"),
        *(f"body_hip_acc_{axis}" for axis in "xyz"),
        *(f"gravity_hip_acc_{axis}" for axis in "xyz"),
    ]
    signal_TC = np.random.default_rng(5).normal(size=(400, 6))
    made_TC = computed(channels, recipe, 50.0, signal_TC)
    np.testing.assert_array_equal(made_TC[:, :6], signal_TC)
    np.testing.assert_array_equal(made_TC[:, 9:], gravity_of(signal_TC[:, :3], 50.0, Gravity()))
    np.testing.assert_allclose(made_TC[:, 6:9] + made_TC[:, 9:], signal_TC[:, :3], atol=1e-12)


def test_the_total_can_be_replaced_by_its_parts():
    recipe = Recipe(channels=("hip_acc_x", "hip_gyro_x"), gravity=Gravity(keep_total=False))
    channels = chosen_channels(body_card(), recipe)
    assert names(channels) == ["hip_gyro_x", "body_hip_acc_x", "gravity_hip_acc_x"]
    signal_TC = np.random.default_rng(6).normal(size=(100, 2))
    made_TC = computed(channels, recipe, 50.0, signal_TC)
    np.testing.assert_array_equal(made_TC[:, 0], signal_TC[:, 1])
    np.testing.assert_allclose(made_TC[:, 1] + made_TC[:, 2], signal_TC[:, 0], atol=1e-12)


def test_a_magnitude_is_the_length_of_a_vector_at_each_site():
    recipe = Recipe(sensors=("accelerometer",), gravity=Gravity(), magnitude=("accelerometer", "body-acceleration"))
    channels = chosen_channels(body_card(), recipe)
    assert names(channels)[-4:] == [
        "accelerometer_wrist_magnitude",
        "accelerometer_hip_magnitude",
        "body_acceleration_wrist_magnitude",
        "body_acceleration_hip_magnitude",
    ]
    signal_TC = np.random.default_rng(7).normal(size=(300, 6))
    made_TC = computed(channels, recipe, 50.0, signal_TC)
    np.testing.assert_allclose(made_TC[:, -3], np.linalg.norm(signal_TC[:, 3:], axis=1))
    body_TC = signal_TC[:, 3:] - gravity_of(signal_TC[:, 3:], 50.0, Gravity())
    np.testing.assert_allclose(made_TC[:, -1], np.linalg.norm(body_TC, axis=1))


def test_the_manifest_says_what_each_channel_is_made_of():
    recipe = Recipe(sites=("hip",), sensors=("accelerometer",), gravity=Gravity(), magnitude=("accelerometer",))
    described = {entry["name"]: entry for entry in chosen_channels(body_card(), recipe).described()}
    assert described["hip_acc_x"] == {
        "name": "hip_acc_x",
        "sensor": "accelerometer",
        "site": "hip",
        "axis": "x",
        "unit": "m/s²",
        "source_unit": "g",
        "factor": 9.80665,
    }
    assert described["gravity_hip_acc_x"]["made_of"] == ["hip_acc_x"]
    assert described["gravity_hip_acc_x"]["sensor"] == "gravity"
    assert described["gravity_hip_acc_x"]["unit"] == "m/s²"
    assert described["accelerometer_hip_magnitude"]["made_of"] == ["hip_acc_x", "hip_acc_y", "hip_acc_z"]


@pytest.mark.parametrize("frequency_hz", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("causal", [False, True])
def test_gravity_passes_what_the_filters_transfer_function_says(frequency_hz, causal):
    time_s = np.arange(20000) / 50
    low_T = gravity_of(np.sin(2 * np.pi * frequency_hz * time_s)[:, None], 50.0, Gravity(causal=causal))[8000:12000, 0]
    _, response = freqz_sos(butter(3, 0.3, fs=50, output="sos"), worN=[frequency_hz], fs=50)
    gain, phase = np.abs(response[0]), np.angle(response[0])
    wave = np.exp(2j * np.pi * frequency_hz * time_s[8000:12000])
    expected = (wave * gain * np.exp(1j * phase)).imag if causal else wave.imag * gain**2
    np.testing.assert_allclose(low_T, expected, atol=1e-6)


def test_a_causal_filter_does_not_know_the_future_and_the_other_does():
    signal_TC = np.random.default_rng(8).normal(size=(600, 2))
    changed_TC = signal_TC.copy()
    changed_TC[400:] += 5
    causal, both = Gravity(causal=True), Gravity(causal=False)
    np.testing.assert_array_equal(gravity_of(signal_TC, 50, causal)[:400], gravity_of(changed_TC, 50, causal)[:400])
    assert np.abs(gravity_of(signal_TC, 50, both)[:400] - gravity_of(changed_TC, 50, both)[:400]).max() > 0.1


def test_the_causal_filter_is_the_difference_equation_started_at_rest():
    signal_T = 9.81 + np.random.default_rng(9).normal(size=300)
    numerator, denominator = butter(3, 0.3, fs=50)
    settled = np.concatenate([np.full(5000, signal_T[0]), signal_T])
    expected = lfilter(numerator, denominator, settled)[5000:]
    np.testing.assert_allclose(gravity_of(signal_T[:, None], 50, Gravity(causal=True))[:, 0], expected, atol=1e-6)


@pytest.mark.parametrize("rows", [1, 2, 5, 200])
@pytest.mark.parametrize("causal", [False, True])
def test_gravity_of_a_sensor_at_rest_is_what_it_shows(rows, causal):
    low_TC = gravity_of(np.full((rows, 3), 9.81), 50.0, Gravity(causal=causal))
    np.testing.assert_allclose(low_TC, 9.81, rtol=1e-6)


def test_gravity_that_turns_evenly_is_followed_up_to_both_ends():
    line_T = np.linspace(-9.81, 9.81, 500)  # over 10 s
    low_T = gravity_of(line_T[:, None], 50.0, Gravity())[:, 0]
    np.testing.assert_allclose(low_T, line_T, atol=0.1)
