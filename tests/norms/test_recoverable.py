"""What can be read from activations: against scikit-learn, in folds that cannot leak, on norms with a known loss."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import Ridge
from sklearn.metrics import balanced_accuracy_score
from torch import Tensor

from har.norms.diagnostics import Moments
from har.norms.layers import KINDS, AllSensors
from har.norms.recoverable import (
    amplitude,
    by_block,
    by_subject,
    features,
    recovered_classes,
    recovered_values,
)

SAMPLES = 40


def problem(seed: int, windows: int, dimensions: int) -> tuple[Tensor, torch.Generator]:
    generator = torch.Generator().manual_seed(seed)
    mixing_DD = torch.randn(dimensions, dimensions, generator=generator).double()
    return torch.randn(windows, dimensions, generator=generator).double() @ mixing_DD, generator


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1), st.integers(30, 90), st.integers(1, 12), st.integers(1, 3), st.integers(2, 4))
def test_values_are_read_as_scikit_learns_ridge_reads_them(seed: int, windows: int, d: int, m: int, folds: int) -> None:
    x_ND, generator = problem(seed, windows, d)
    x_ND += 5
    y_NM = x_ND[:, :1] + torch.randn(windows, m, generator=generator).double() * 2 + 30
    fold_N = torch.randint(folds, (windows,), generator=generator)
    fold_N[:12] = torch.arange(12) % folds  # none is empty
    found = recovered_values(x_ND, y_NM, fold_N)
    residual = total = 0.0
    for fold in range(folds):
        inside, outside = fold_N != fold, fold_N == fold
        model = Ridge(alpha=float(inside.sum()) * 0.1**2, solver="svd").fit(x_ND[inside].numpy(), y_NM[inside].numpy())
        said_NM = torch.from_numpy(model.predict(x_ND[outside].numpy())).reshape(-1, m)
        residual += float((y_NM[outside] - said_NM).square().sum())
        total += float((y_NM[outside] - y_NM[inside].mean(0)).square().sum())
    assert found is not None
    assert found == pytest.approx(1 - residual / total, rel=1e-8, abs=1e-10)


@settings(max_examples=25)
@given(st.integers(0, 2**31 - 1), st.integers(2, 5), st.integers(2, 10))
def test_classes_are_read_as_scikit_learns_discriminants_read_them(seed: int, classes: int, d: int) -> None:
    """A penalty τ² is its shrinkage s where τ² = s/(1 − s)·(trace of the covariance)/D; classes count alike here."""
    x_ND, generator = problem(seed, 40 * classes, d)
    label_N = torch.randint(classes, (len(x_ND),), generator=generator)
    label_N[: 9 * classes] = torch.arange(9 * classes) % classes
    fold_N = torch.arange(len(x_ND)) // classes % 3
    x_ND += torch.randn(classes, d, generator=generator).double()[label_N] + 5
    found = recovered_classes(x_ND, label_N * 2 + 5, fold_N)
    said_N = torch.empty_like(label_N)
    for fold in range(3):
        inside, outside = fold_N != fold, fold_N == fold
        said_N[outside] = shrunk(x_ND[inside], label_N[inside], x_ND[outside])
    assert found is not None
    assert found == pytest.approx(balanced_accuracy_score(label_N, said_N))


def shrunk(x_ND: Tensor, label_N: Tensor, at_ND: Tensor) -> Tensor:
    """Predictions of scikit-learn's discriminants with the shrinkage that stands for τ = 0.1, but with equal priors."""
    count_K = label_N.bincount()
    within = sum(n * torch.cov(x_ND[label_N == k].T, correction=0) for k, n in enumerate(count_K)) / len(x_ND)
    ratio = 0.1**2 * x_ND.shape[1] / float(within.trace())
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=ratio / (1 + ratio))
    model.fit(x_ND.numpy(), label_N.numpy())
    # its covariance is (1 − s)·(S + τ²), so all its scores are larger by one factor, apart from the priors
    said_NK = at_ND.numpy() @ model.coef_.T + model.intercept_
    if len(count_K) == 2:  # the difference of both alone
        said_NK = np.hstack([-said_NK, said_NK]) / 2
    return torch.from_numpy(np.argmax(said_NK - np.log(count_K.numpy() / len(x_ND)), axis=1))


def test_a_class_that_the_fitting_windows_lack_is_never_said() -> None:
    label_N, fold_N = torch.tensor([0, 1] * 20 + [2] * 10), torch.tensor([0, 0, 1, 1] * 10 + [1] * 10)
    x_ND = 5.0 * torch.nn.functional.one_hot(label_N, 3).double()
    found = recovered_classes(x_ND, label_N, fold_N)
    assert found is not None
    assert found == pytest.approx(2 / 3)


def test_a_penalty_is_the_noise_that_features_are_read_with() -> None:
    x_ND, generator = problem(3, 300, 4)
    y_N1 = x_ND[:, :1] + torch.randn(300, 1, generator=generator).double()
    noisy_ND = x_ND.repeat(2000, 1) + 0.5 * torch.randn(600_000, 4, generator=generator).double()
    by_noise = Ridge(alpha=1e-9).fit(noisy_ND, y_N1.repeat(2000, 1))
    by_penalty = Ridge(alpha=300 * 0.5**2).fit(x_ND, y_N1)
    np.testing.assert_allclose(by_noise.coef_, by_penalty.coef_, atol=0.01)


@settings(max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=9), st.integers(1, 6))
def test_no_subject_stands_in_two_folds_and_none_is_left_out(counts: list[int], folds: int) -> None:
    subject_N = torch.repeat_interleave(torch.arange(len(counts)) * 3, torch.tensor(counts))
    fold_N = by_subject(subject_N, folds)
    assert set(fold_N.tolist()) == set(range(min(folds, len(counts))))
    for subject in subject_N.unique():
        assert len(fold_N[subject_N == subject].unique()) == 1


@settings(max_examples=60)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), min_size=1, max_size=12),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(2, 5),
)
def test_blocks_share_no_sample(plan: list[tuple[int, int]], samples: int, step: int, folds: int) -> None:
    subject, recording, start = [], [], []
    for number, (owner, windows) in enumerate(plan):
        begin = 1000 * number
        subject += [owner] * windows
        recording += [number] * windows
        start += [begin + step * place for place in range(windows)]
    subject_N, recording_N, start_N = (
        torch.tensor(values, dtype=torch.int64) for values in (subject, recording, start)
    )
    fold_N = by_block(subject_N, recording_N, start_N, samples, folds)
    covered: dict[int, int] = {}
    for fold, begin in zip(fold_N.tolist(), start_N.tolist(), strict=True):
        for sample in range(begin, begin + samples) if fold >= 0 else ():
            assert covered.setdefault(sample, fold) == fold


def test_recordings_are_dealt_out_whole_where_each_subject_has_enough() -> None:
    recording_N = torch.arange(12).repeat_interleave(10)
    subject_N = recording_N // 4
    start_N = torch.arange(120) * 5
    fold_N = by_block(subject_N, recording_N, start_N, 10, 4)
    assert torch.equal(fold_N, recording_N % 4)
    in_time = by_block(subject_N, recording_N, start_N, 10, 5)  # more folds than recordings
    assert all(set(in_time[recording_N == r].tolist()) == {-1, 0, 1, 2, 3, 4} for r in range(12))
    assert int((in_time < 0).sum()) == 12 * 4  # one window beside each cut, no more


def test_windows_that_are_left_out_play_no_part() -> None:
    x_ND, _ = problem(1, 90, 3)
    y_N1, label_N = x_ND[:, :1] + 1, torch.arange(90) % 2
    fold_N = torch.arange(90) % 4 - 1
    kept = fold_N >= 0
    x_ND[~kept], y_N1[~kept] = math.nan, math.nan
    assert recovered_values(x_ND, y_N1, fold_N) == recovered_values(x_ND[kept], y_N1[kept], fold_N[kept])
    assert recovered_classes(x_ND, label_N, fold_N) == recovered_classes(x_ND[kept], label_N[kept], fold_N[kept])


def test_what_cannot_be_judged_is_absent_and_not_zero() -> None:
    x_ND, _ = problem(1, 30, 3)
    two, one = torch.arange(30) % 2, torch.zeros(30).long()
    assert recovered_values(x_ND, x_ND, one) is None  # nobody who has not seen these windows
    assert recovered_classes(x_ND, two, one) is None
    assert recovered_values(x_ND, torch.ones(30, 2), two) is None  # nothing varies
    assert recovered_classes(x_ND, one, two) is None


@pytest.mark.parametrize("value", [math.inf, math.nan, 1e30])
def test_nothing_is_read_from_activations_that_are_not_finite_in_one_window(value: float) -> None:
    """Squares of 1e30 overflow in float32, as they do shortly before a run diverges."""
    h_NCT1, fold_N = torch.randn(30, 3, SAMPLES, 1), torch.arange(30) % 2
    h_NCT1[7, 1, ::2] = value
    x_ND = features(Moments.of(h_NCT1))
    assert recovered_values(x_ND, torch.randn(30, 2), fold_N) is None
    assert recovered_classes(x_ND, torch.arange(30) % 3, fold_N) is None


def test_nothing_is_read_from_noise() -> None:
    x_ND, generator = problem(5, 2000, 10)
    fold_N = torch.arange(2000) % 5
    values = recovered_values(x_ND, torch.randn(2000, 3, generator=generator), fold_N)
    classes = recovered_classes(x_ND, torch.randint(4, (2000,), generator=generator), fold_N)
    assert values is not None
    assert abs(values) < 0.03
    assert classes is not None
    assert abs(classes - 0.25) < 0.05


def test_a_leak_would_show() -> None:
    """Windows of one subject are alike, labels mean nothing: apart by subject nothing is read, mixed nearly all."""
    generator = torch.Generator().manual_seed(2)
    subject_N = torch.arange(40).repeat_interleave(20)
    x_ND = torch.randn(40, 60, generator=generator)[subject_N] + 0.01 * torch.randn(800, 60, generator=generator)
    y_N1 = torch.randn(40, 1, generator=generator).double()[subject_N]
    apart = recovered_values(x_ND.double(), y_N1, by_subject(subject_N, 5))
    mixed = recovered_values(x_ND.double(), y_N1, torch.arange(800) % 5)
    assert apart is not None
    assert apart < 0.1
    assert mixed is not None
    assert mixed > 0.9


# --- what norms are known to take away --------------------------------------------------------------------------------


def recordings(seed: int = 0) -> tuple[Tensor, Tensor]:
    """400 windows of an accelerometer and their subjects: gravity turned at random, movement from weak to strong."""
    generator = torch.Generator().manual_seed(seed)
    gravity_NC = torch.nn.functional.normalize(torch.randn(400, 3, generator=generator), dim=1) * 9.81
    strength_N11 = torch.exp(torch.rand(400, 1, 1, generator=generator) * 4.6 - 2.3)  # 0.1 to 10 m/s²
    x_NTC = gravity_NC[:, None] + strength_N11 * torch.randn(400, SAMPLES, 3, generator=generator)
    return x_NTC, torch.arange(400) % 10


def read(h_NCT1: Tensor) -> tuple[float, float]:
    """R² of amplitude and of gravity after a layer."""
    x_NTC, subject_N = recordings()
    x_ND, fold_N = features(Moments.of(h_NCT1)), by_subject(subject_N, 5)
    amplitude_N1, gravity_NC = amplitude(x_NTC, x_NTC.std((0, 1))), x_NTC.mean(1)
    scores = [recovered_values(x_ND, target, fold_N) for target in (amplitude_N1, gravity_NC)]
    assert None not in scores
    return scores[0], scores[1]


def windows() -> Tensor:
    return recordings()[0].permute(0, 2, 1).unsqueeze(-1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["batch", "ghost_batch", "batch_renorm", "mabn"])
def test_a_norm_of_the_batch_keeps_amplitude_and_gravity(kind: str, training: bool) -> None:
    layer = KINDS[kind].build(3, SAMPLES, 1e-5, 0.1).train()
    for _ in range(3):
        layer(windows())
    in_amplitude, in_gravity = read(layer.train(training)(windows()))
    assert in_amplitude > 0.95
    assert in_gravity > (0.9 if kind == "ghost_batch" and training else 0.99)  # each chunk has a mean of its own


def test_instance_norm_of_the_input_takes_amplitude_and_gravity() -> None:
    in_amplitude, in_gravity = read(KINDS["instance"].build(3, SAMPLES, 1e-5, 0.1)(windows()))
    assert abs(in_amplitude) < 0.05
    assert abs(in_gravity) < 0.05


def test_layer_norm_of_the_input_takes_less_than_instance_norm_does() -> None:
    """It divides all sensors by one deviation: which way gravity points stays, how strong a movement is goes partly."""
    in_amplitude, in_gravity = read(KINDS["layer"].build(3, SAMPLES, 1e-5, 0.1)(windows()))
    assert 0.5 < in_gravity < 0.95
    assert 0.5 < in_amplitude < 0.95


@settings(max_examples=10)
@given(st.floats(0.01, 100), st.floats(-20, 20), st.integers(0, 2))
def test_a_fixed_map_of_each_channel_changes_nothing_that_is_read(scale: float, shift: float, channel: int) -> None:
    """So a z-score, and batch norm in inference, keep all there is; turned signs are nothing to a linear reader."""
    h_NCT1 = windows().double()
    mapped = h_NCT1.clone()
    mapped[:, channel] = -scale * (mapped[:, channel] + shift)
    before, after = features(Moments.of(h_NCT1)), features(Moments.of(mapped))
    after[:, channel] *= -1
    moved = (after - before).abs() > 1e-9  # where rounding to two decimals falls to the other side
    assert float(moved.double().mean()) < 0.02
    assert float((after - before).abs().max()) < 0.0101


def test_features_are_means_in_deviations_and_logarithms_to_two_decimals() -> None:
    h_NCT1 = torch.tensor([[3.0, -3.0], [4.0, 12.0]]).view(2, 1, 2, 1)  # means 0 and 8, variances 9 and 16
    found = features(Moments.of(h_NCT1))
    deviation = math.sqrt(12.5 + 16)  # within, and of the means about 4
    level = math.log(4 / 3) / 2
    expected = torch.tensor([[-4 / deviation, -level], [4 / deviation, level]]).double()
    torch.testing.assert_close(found, (expected * 100).round() / 100)


def test_what_epsilon_leaves_of_an_amplitude_is_not_read() -> None:
    """Instance norm leaves 1/√(1 + ε/v): five windows and many are told apart by it, but not to two decimals."""
    _, subject_N = recordings()
    left_ND = features(Moments.of(KINDS["instance"].build(3, SAMPLES, 1e-5, 0.1)(windows())))
    strong_N = (amplitude(recordings()[0], torch.ones(3)).flatten() > 0).long()
    found = recovered_classes(left_ND, strong_N, by_subject(subject_N, 5))
    assert found is not None
    assert found == pytest.approx(0.5, abs=0.02)


def test_all_of_amplitude_and_gravity_is_read_from_the_input() -> None:
    in_amplitude, in_gravity = read(windows())
    assert in_amplitude > 0.95
    assert in_gravity > 0.999


def test_one_norm_of_all_sensors_keeps_both_too() -> None:
    layer = AllSensors(KINDS["batch"].build(1, 3 * SAMPLES, 1e-5, 0.1))
    assert read(layer(windows())) == pytest.approx(read(windows()), abs=1e-3)


def test_channels_that_are_off_or_constant_are_read_as_nothing() -> None:
    h_NCT1 = windows()
    rounded = 1e4 + 1e-3 * torch.randn(400, 3, SAMPLES, 1)  # by one unit of the last place
    dead = torch.cat([h_NCT1, torch.zeros_like(h_NCT1), rounded], dim=1)
    x_ND = features(Moments.of(dead))
    assert x_ND.isfinite().all()
    nothing_ND = x_ND[:, [*range(3, 9), *range(12, 18)]]
    assert float((nothing_ND.abs() > 1e-9).double().mean()) < 0.02  # a step of 0.01 at times
    assert float(nothing_ND.abs().max()) < 0.0201
    assert read(dead) == pytest.approx(read(h_NCT1), abs=1e-6)


def test_amplitude_counts_movement_alone_and_sensors_alike() -> None:
    x_NTC, _ = recordings()
    deviation_C = x_NTC.std((0, 1))
    moved = amplitude(x_NTC + 5, deviation_C)
    torch.testing.assert_close(moved, amplitude(x_NTC, deviation_C), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(amplitude(x_NTC * 7, deviation_C * 7), amplitude(x_NTC, deviation_C))
    x_1TC = torch.tensor([[3.0, 0.0], [-3.0, 0.0]])[None]  # mean square 9 of one, 0 of the other
    assert amplitude(x_1TC, torch.tensor([1.0, 2.0])).item() == pytest.approx(math.log(9 / 2) / 2, abs=1e-5)
    assert amplitude(x_1TC * 0, torch.tensor([1.0, 2.0])).item() == pytest.approx(math.log(1e-3))
