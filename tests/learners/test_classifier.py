"""Fixed input scaling against NumPy, and its relation to batch normalisation of the input."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from har.errors import UsageError
from har.learners.classifier import SCALINGS, Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.initialise import initialise
from har.norms.plan import NormPlan

CHANNELS = ["acc_x", "acc_y", "gyro_x"]


def data() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x_NTC = torch.randn(20, 30, 3, dtype=torch.float64) * torch.tensor([1.0, 4.0, 0.2]) + torch.tensor([9.8, 0.0, -3.0])
    return x_NTC, x_NTC.mean((0, 1)), x_NTC.var((0, 1), correction=0)


def test_channel_scaling_is_the_z_score_of_each_channel() -> None:
    x_NTC, mean_C, variance_C = data()
    scaled = InputScaling("channel", mean_C, variance_C, CHANNELS)(x_NTC.float()).double()
    torch.testing.assert_close(scaled.mean((0, 1)), torch.zeros(3).double(), rtol=0, atol=1e-5)
    torch.testing.assert_close(scaled.std((0, 1), correction=0), torch.ones(3).double(), rtol=0, atol=1e-5)


def test_scalar_scaling_is_the_z_score_of_all_values_together() -> None:
    x_NTC, mean_C, variance_C = data()
    scaled = InputScaling("scalar", mean_C, variance_C, CHANNELS)(x_NTC.float())
    expected = (x_NTC.numpy() - x_NTC.numpy().mean()) / x_NTC.numpy().std()
    np.testing.assert_allclose(scaled.numpy(), expected, rtol=0, atol=1e-5)


def test_no_scaling_changes_no_bit() -> None:
    x_NTC, mean_C, variance_C = data()
    assert torch.equal(InputScaling("none", mean_C, variance_C, CHANNELS)(x_NTC.float()), x_NTC.float())


def test_a_constant_channel_is_refused_where_it_would_be_divided_by_zero() -> None:
    mean_C, variance_C = torch.zeros(3), torch.tensor([1.0, 0.0, 1.0])
    with pytest.raises(UsageError, match="acc_y is constant"):
        InputScaling("channel", mean_C, variance_C, CHANNELS)
    InputScaling("scalar", mean_C, variance_C, CHANNELS)
    InputScaling("none", mean_C, variance_C, CHANNELS)


def test_an_unknown_scaling_names_the_nearest() -> None:
    with pytest.raises(UsageError) as error:
        InputScaling("chanel", torch.zeros(3), torch.ones(3), CHANNELS)
    assert "'channel'" in error.value.hint
    assert SCALINGS == ("none", "scalar", "channel")


@pytest.mark.parametrize(("placement", "scaling"), [("input", "channel"), ("input_scalar", "scalar")])
def test_input_bn_equals_the_fixed_scaling_when_its_statistics_are_exact(placement: str, scaling: str) -> None:
    """With population statistics, γ = 1, β = 0 and ε → 0 a batch norm of the input is the fixed z-score."""
    x_NTC, mean_C, variance_C = data()
    norm = NormPlan(placement=placement, epsilon=1e-12).layer(0, 3, 30, 1)
    assert norm is not None
    norm.double()
    for buffer, value in (("running_mean", mean_C), ("running_var", variance_C)):
        bn = norm.scalar if placement == "input_scalar" else norm
        total = variance_C.mean() + mean_C.var(correction=0)
        scalar = {"running_mean": mean_C.mean().view(1), "running_var": total.view(1)}[buffer]
        getattr(bn, buffer).copy_(scalar if placement == "input_scalar" else value)
    normalised = norm.eval()(x_NTC.permute(0, 2, 1).unsqueeze(-1)).squeeze(-1).transpose(1, 2)
    fixed = InputScaling(scaling, mean_C, variance_C, CHANNELS)(x_NTC.float())
    torch.testing.assert_close(normalised.float(), fixed, rtol=0, atol=1e-5)


def test_scaling_travels_with_the_weights() -> None:
    x_NTC, mean_C, variance_C = data()

    def network(mean: torch.Tensor, variance: torch.Tensor, seed: int) -> Classifier:
        features = CNN(filters=[4], kernel=3, pool=[2]).build(3, 30, NormPlan())
        classifier = Classifier(InputScaling("channel", mean, variance, CHANNELS), features, 5)
        initialise(classifier, seed)
        return classifier.eval()

    trained, empty = network(mean_C, variance_C, 1), network(torch.zeros(3), torch.ones(3), 2)
    assert not torch.allclose(trained(x_NTC.float()), empty(x_NTC.float()))
    empty.load_state_dict(trained.state_dict())
    assert torch.equal(trained(x_NTC.float()), empty(x_NTC.float()))
    assert trained(x_NTC.float()).shape == (20, 5)
