"""Augmentations: each does to the signal what its name says, by its own generator, and to training windows alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from har.errors import UsageError
from har.training.augment import Augmentation, Augmenter, rotations
from har.training.cli import resolve
from har.training.run import run
from tests.conftest import SEED
from tests.training.test_run import trace


def triad(sensor: str, name: str, site: str = "wrist") -> list[dict[str, Any]]:
    return [{"name": f"{name}_{axis}", "sensor": sensor, "site": site, "axis": axis} for axis in "xyz"]


WRIST = [*triad("accelerometer", "acc"), *triad("gyroscope", "gyro")]
WITH_PULSE = [*WRIST, {"name": "pulse", "sensor": "heart-rate", "site": "wrist", "axis": None}]


def augmenter(settings: Augmentation, channels: list[dict[str, Any]] = WRIST, seed: int = SEED) -> Augmenter:
    count = len(channels)
    return Augmenter(settings, channels, torch.arange(count) + 10.0, torch.arange(count) + 1.0, seed)


def windows(count: int = 400, samples: int = 40, channels: int = 6) -> torch.Tensor:
    return torch.randn(count, samples, channels)


def test_rotations_are_those_of_their_rotation_vectors_and_their_angles_have_the_deviation() -> None:
    turns = rotations(4000, 15.0, torch.Generator().manual_seed(SEED)).double().numpy()
    again = Rotation.from_matrix(turns)  # scipy's own reading of a matrix; it would repair one that is no rotation
    np.testing.assert_allclose(again.as_matrix(), turns, atol=1e-6)
    degrees = np.rad2deg(again.magnitude())
    assert np.sqrt((degrees**2).mean()) == pytest.approx(15.0, rel=0.06)
    assert np.abs(again.as_rotvec().mean(axis=0)).max() < np.deg2rad(15.0) / 15  # no axis is preferred


def test_one_turn_for_all_sensors_of_a_site_and_another_for_another_site() -> None:
    channels = [*triad("accelerometer", "a"), *triad("gyroscope", "g"), *triad("accelerometer", "b", "ankle")]
    same_NT3 = windows(channels=3)
    turned = augmenter(Augmentation(rotation_deg=30), channels)(same_NT3.repeat(1, 1, 3), 0)
    wrist_acc, wrist_gyro, ankle = turned.split(3, dim=2)
    assert torch.equal(wrist_acc, wrist_gyro)
    assert (wrist_acc - ankle).abs().amax() > 0.1
    torch.testing.assert_close(ankle.norm(dim=2), same_NT3.norm(dim=2))
    assert not torch.equal(wrist_acc[0] @ torch.linalg.pinv(same_NT3[0]), wrist_acc[1] @ torch.linalg.pinv(same_NT3[1]))


def test_what_has_no_axes_stays_when_the_rest_is_turned_and_mirrored() -> None:
    x_NTC = windows(channels=7)
    changed = augmenter(Augmentation(rotation_deg=30, mirror="y"), WITH_PULSE)(x_NTC, 0)
    assert torch.equal(changed[..., 6], x_NTC[..., 6])
    assert not torch.equal(changed[..., :6], x_NTC[..., :6])


@pytest.mark.parametrize(("axis", "signs"), [("x", "-++ +--"), ("y", "+-+ -+-"), ("z", "++- --+")])
def test_a_mirror_turns_a_polar_vector_on_its_axis_and_an_axial_one_on_the_others(axis: str, signs: str) -> None:
    x_NTC = windows()
    ratio_NC = (augmenter(Augmentation(mirror=axis))(x_NTC, 3) / x_NTC)[:, 0]
    sign_C = torch.tensor([1.0 if sign == "+" else -1.0 for sign in signs.replace(" ", "")])
    mirrored_N = (ratio_NC == sign_C).all(dim=1)
    assert ((ratio_NC == 1).all(dim=1) | mirrored_N).all()
    assert 0.35 < mirrored_N.float().mean() < 0.65


def test_a_mirrored_movement_is_one_that_a_mirrored_body_could_make() -> None:
    """A rate of rotation and the velocity that it gives a point keep v = ω × r in the mirror."""
    rate_T3, arm_T3 = torch.randn(50, 3), torch.randn(50, 3)
    channels = [*triad("accelerometer", "v"), *triad("accelerometer", "r"), *triad("gyroscope", "w")]
    x_TC = torch.cat([torch.linalg.cross(rate_T3, arm_T3), arm_T3, rate_T3], dim=1)
    for changed in augmenter(Augmentation(mirror="x"), channels)(x_TC.repeat(20, 1, 1), 0):
        speed, arm, rate = changed.split(3, dim=1)
        torch.testing.assert_close(speed, torch.linalg.cross(rate, arm))


def test_a_tempo_moves_a_wave_and_keeps_the_middle() -> None:
    samples = 101
    line_NTC = torch.arange(samples, dtype=torch.float32)[None, :, None].expand(500, -1, 6) - 50  # a ramp through zero
    changed = augmenter(Augmentation(time_warp=0.2))(line_NTC, 0)[..., 0]
    tempo_N = changed[:, 51]  # slope at the middle
    assert torch.log(tempo_N).std() == pytest.approx(0.2, rel=0.15)
    expected_NT = (tempo_N[:, None] * line_NTC[0, :, 0]).clamp(-50, 50)
    torch.testing.assert_close(changed, expected_NT, rtol=0, atol=2e-3)


def test_gain_is_one_factor_a_window_and_jitter_has_each_channels_own_size() -> None:
    ones = torch.ones(4000, 3, 6)
    gained = augmenter(Augmentation(gain=0.1))(ones, 0)
    assert torch.equal(gained, gained[:, :1, :1].expand_as(gained))
    assert gained[:, 0, 0].std() == pytest.approx(0.1, rel=0.1)
    assert gained.mean() == pytest.approx(1.0, abs=0.01)
    noise = augmenter(Augmentation(jitter=0.5))(ones, 0) - 1
    torch.testing.assert_close(noise.std(dim=(0, 1)), 0.5 * torch.arange(1.0, 7.0), rtol=0.05, atol=0)


def test_a_silenced_channel_is_at_its_mean_throughout_the_window() -> None:
    x_NTC = windows(2000, 5)
    changed = augmenter(Augmentation(channel_dropout=0.3))(x_NTC, 0)
    silent_NC = (changed == torch.arange(6) + 10.0).all(dim=1)
    kept_NTC = torch.where(silent_NC[:, None], x_NTC, changed)
    assert torch.equal(kept_NTC, x_NTC)
    assert silent_NC.float().mean() == pytest.approx(0.3, abs=0.02)


def test_draws_are_a_function_of_seed_and_step_and_leave_the_input_alone() -> None:
    settings = Augmentation(0.1, 10, "x", 0.1, 0.1, 0.1)
    x_NTC = windows(20)
    before = x_NTC.clone()
    first = augmenter(settings)(x_NTC, 5)
    torch.rand(3)  # another draw from the default generator changes nothing
    assert torch.equal(augmenter(settings)(x_NTC, 5), first)
    assert not torch.equal(augmenter(settings)(x_NTC, 6), first)
    assert not torch.equal(augmenter(settings, seed=SEED + 1)(x_NTC, 5), first)
    assert torch.equal(x_NTC, before)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"gain": -0.1}, "gain -0.1 is no strength"),
        ({"jitter": float("nan")}, "jitter nan"),
        ({"channel_dropout": 1.0}, "not in"),
        ({"mirror": "w"}, "axis of the mirror"),
    ],
)
def test_impossible_values_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Augmentation(**values)


def test_a_turn_without_axes_is_refused() -> None:
    with pytest.raises(UsageError, match="neither turned nor mirrored"):
        augmenter(Augmentation(rotation_deg=5), WRIST[:2])


def test_training_windows_are_changed_and_others_are_not(small: dict[str, Any], tmp_path: Path) -> None:
    """With a vanishing learning rate every evaluation is that of the initial weights, augmented or not."""
    still = {**small, "model.learning_rate": 1e-12, "model.norm.placement": "none", "trainer.max_steps": 10}
    plain = trace(run(resolve([], still), tmp_path / "plain"))
    changed = trace(run(resolve([], {**still, "model.augmentation.gain": 0.5}), tmp_path / "changed"))
    assert changed[0]["validation_loss"] == pytest.approx(plain[0]["validation_loss"], abs=1e-6)
    assert changed[0]["train_loss"] != pytest.approx(plain[0]["train_loss"], abs=1e-6)
