"""What layers are asked: which channels gravity is read from, and what an answer rests on."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from har.norms.diagnostics import Moments
from har.training.datamodule import HarDataModule
from har.training.recoverables import Questions, gravity
from har.training.samples import Sample, spread
from har.windows.store import Store


@pytest.fixture(scope="module")
def data(data_root: Path) -> HarDataModule:
    """A data module, set up. Not to be changed."""
    found = HarDataModule("spar", window_s=2.0, step_s=0.5, root=str(data_root))
    found.setup()
    return found


def with_channels(store: Store, *sensors: str, site: str = "wrist") -> Store:
    """The store under other channels, three axes of each sensor."""
    channels = [{"sensor": sensor, "site": site, "axis": axis} for sensor in sensors for axis in "xyz"]
    return dataclasses.replace(store, manifest={"preparation": {"channels": channels}})


def test_gravity_is_read_from_every_kind_of_accelerometer_at_one_site(data: HarDataModule) -> None:
    x_NTC = torch.randn(5, 10, 6)
    both = gravity(x_NTC, with_channels(data.store, "accelerometer", "wireless-accelerometer"))
    assert both is not None
    unit = [torch.nn.functional.normalize(x_NTC[:, :, own].double().mean(1), dim=1) for own in ([0, 1, 2], [3, 4, 5])]
    torch.testing.assert_close(both, torch.cat(unit, dim=1))


def test_gravity_is_read_from_the_slow_part_where_the_recipe_divides_accelerations(data: HarDataModule) -> None:
    x_NTC = torch.randn(5, 10, 6)
    slow = gravity(x_NTC, with_channels(data.store, "body-acceleration", "gravity"))
    assert slow is not None
    torch.testing.assert_close(slow, torch.nn.functional.normalize(x_NTC[:, :, 3:].double().mean(1), dim=1))


@pytest.mark.parametrize("sensors", [("gyroscope",), ("body-acceleration", "magnetometer")])
def test_gravity_is_absent_and_not_zero_where_nothing_measures_it(
    data: HarDataModule, sensors: tuple[str, ...]
) -> None:
    store = with_channels(data.store, *sensors)
    sample = spread(store, data.train, 60)
    questions = Questions.of(sample, store)
    answers = questions.answers(Moments.of(sample.x_NTC.permute(0, 2, 1)))
    assert set(answers) == {"probe.amplitude", "probe.subject", "probe.activity"}


def test_two_axes_are_no_direction(data: HarDataModule) -> None:
    channels = [{"sensor": "accelerometer", "site": "wrist", "axis": axis} for axis in "xy"]
    store = dataclasses.replace(data.store, manifest={"preparation": {"channels": channels}})
    assert gravity(torch.randn(3, 10, 2), store) is None


def test_an_answer_says_on_how_many_windows_it_rests(data: HarDataModule) -> None:
    sample = spread(data.store, data.train, 10**6)
    basis = Questions.of(sample, data.store).basis()
    assert basis["probe.windows"] == len(sample.label_N)
    assert 0 < basis["probe.subject_windows"] <= len(sample.label_N)
    assert basis["probe.subject_chance"] == 1 / len(data.fold.train)
    assert basis["probe.activity_chance"] == 1 / len(data.activities)


def test_input_of_the_network_tells_gravity_and_amplitude_of_unseen_subjects(data: HarDataModule) -> None:
    sample = spread(data.store, data.train, 10**6)
    answers = Questions.of(sample, data.store).answers(Moments.of(sample.x_NTC.permute(0, 2, 1)))
    assert answers["probe.gravity"] > 0.9
    assert answers["probe.amplitude"] > 0.5


def test_one_subject_alone_is_asked_nothing_that_needs_others(data: HarDataModule) -> None:
    sample = spread(data.store, data.train, 10**6)
    own = sample.subject_N == sample.subject_N[0]
    alone = Sample(**{name: value[own] for name, value in vars(sample).items()})
    answers = Questions.of(alone, data.store).answers(Moments.of(alone.x_NTC.permute(0, 2, 1)))
    assert answers == {}
