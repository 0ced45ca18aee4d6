"""Vectors in another unit than they are said to have, and what is not to be doubted."""

import numpy as np
import pytest

from har.datasets.card import Channel
from har.windows.plausible import lengths_of, looks_like
from tests.conftest import fresh


def vector(sensor="accelerometer", unit="m/s²", name="acc", axes="xyz"):
    return [Channel(f"{name}_{axis}", sensor, "wrist", axis, unit) for axis in axes]


@pytest.mark.parametrize(
    ("sensor", "unit", "length", "other"),
    [
        ("accelerometer", "m/s²", 1.0, "g"),
        ("accelerometer", "m/s²", 1000.0, "mg"),
        ("accelerometer", "m/s²", 9.81, None),
        ("accelerometer", "m/s²", 3.0, None),
        ("accelerometer", "m/s²", 0.1, None),
        ("accelerometer", "g", 9.81, "m/s²"),
        ("accelerometer", "g", 1000.0, "mg"),
        ("accelerometer", "g", 1.0, None),
        ("accelerometer", "mg", 1.0, "g"),
        ("accelerometer", "mg", 9.81, "m/s²"),
        ("accelerometer", "mg", 1000.0, None),
        ("accelerometer", "a.u.", 1.0, None),
        ("gyroscope", "rad/s", 60.0, "°/s"),
        ("gyroscope", "rad/s", 1.0, None),
        ("gyroscope", "°/s", 60.0, None),
        ("gyroscope", "°/s", 1.0, None),
    ],
)
def test_a_median_length_betrays_a_unit(sensor, unit, length, other):
    assert looks_like(sensor, unit, length) == other


@pytest.mark.parametrize(
    ("units", "to_si"),
    [(("m/s²", "rad/s"), (1, 1)), (("g", "°/s"), (9.80665, np.pi / 180)), (("mg", "a.u."), (0.00980665, 1))],
)
def test_lengths_are_medians_of_whole_vectors_by_sensor_and_site_in_the_units_of_the_source(units, to_si):
    source_TC = fresh().normal(size=(101, 6))
    channels = [*vector(axes="zyx", unit=units[0]), *vector("gyroscope", units[1], "gyro")]
    assert lengths_of(source_TC * np.repeat(to_si, 3), channels) == {
        ("accelerometer", "wrist", units[0]): pytest.approx(np.sort(np.sqrt((source_TC[:, :3] ** 2).sum(1)))[50]),
        ("gyroscope", "wrist", units[1]): pytest.approx(np.sort(np.sqrt((source_TC[:, 3:] ** 2).sum(1)))[50]),
    }


@pytest.mark.parametrize(
    "channels",
    [
        vector(axes="xy"),
        [*vector(axes="xy"), *vector(axes="z", unit="g")],
        vector(sensor="linear-acceleration"),
        *(
            vector(name=name)
            for name in ("lin_acc", "linear_acceleration", "useracceleration", "acc_linear", "body_acc")
        ),
    ],
)
def test_lone_axes_and_accelerations_without_gravity_are_not_judged(channels):
    assert lengths_of(np.ones((10, len(channels))), channels) == {}


@pytest.mark.parametrize("name", ["acc", "inclined", "acc_user1", "upper_body_acc"])
def test_names_that_say_nothing_of_gravity_are_judged(name):
    assert lengths_of(np.ones((10, 3)), vector(name=name))


def test_a_second_spelling_of_the_unit_is_the_same_unit():
    assert list(lengths_of(np.ones((10, 3)), vector(unit="m/s2"))) == [("accelerometer", "wrist", "m/s²")]
