"""Vectors in another unit than they are said to have, and what is not to be doubted."""

import numpy as np
import pytest

from har.datasets.card import Channel
from har.windows.plausible import lengths_of, looks_like
from tests.conftest import fresh


def vector(sensor="accelerometer", unit="m/s²", name="acc", axes="xyz"):
    return [Channel(f"{name}_{axis}", sensor, "wrist", axis, unit) for axis in axes]


@pytest.mark.parametrize(
    ("sensor", "length", "unit"),
    [
        ("accelerometer", 1.0, "g"),
        ("accelerometer", 1000.0, "mg"),
        ("accelerometer", 9.81, None),
        ("accelerometer", 3.0, None),
        ("accelerometer", 0.1, None),
        ("gyroscope", 60.0, "°/s"),
        ("gyroscope", 1.0, None),
    ],
)
def test_a_median_length_betrays_a_unit(sensor, length, unit):
    assert looks_like(sensor, length) == unit


def test_lengths_are_medians_of_whole_vectors_by_sensor_and_site():
    rng = fresh()
    signal_TC = rng.normal(size=(101, 6))
    lengths = lengths_of(signal_TC, [*vector(axes="zyx"), *vector("gyroscope", "rad/s", "gyro")])
    assert lengths == {
        ("accelerometer", "wrist"): pytest.approx(np.sort(np.sqrt((signal_TC[:, :3] ** 2).sum(1)))[50]),
        ("gyroscope", "wrist"): pytest.approx(np.sort(np.sqrt((signal_TC[:, 3:] ** 2).sum(1)))[50]),
    }


@pytest.mark.parametrize(
    "channels",
    [
        vector(unit="g"),
        vector(unit="mg"),
        vector(axes="xy"),
        vector(sensor="linear-acceleration"),
        *(
            vector(name=name)
            for name in ("lin_acc", "linear_acceleration", "useracceleration", "acc_linear", "body_acc")
        ),
    ],
)
def test_other_units_lone_axes_and_accelerations_without_gravity_are_not_judged(channels):
    assert lengths_of(np.ones((10, len(channels))), channels) == {}


@pytest.mark.parametrize("name", ["acc", "inclined", "acc_user1", "upper_body_acc"])
def test_names_that_say_nothing_of_gravity_are_judged(name):
    assert lengths_of(np.ones((10, 3)), vector(name=name))


def test_a_second_spelling_of_the_unit_is_the_same_unit():
    assert lengths_of(np.ones((10, 3)), vector(unit="m/s2"))
