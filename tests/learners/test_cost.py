"""Costs against closed forms of each learner, and the warning of long recurrences."""

from __future__ import annotations

import copy

import pytest
import torch

from har.learners.autoencoder import Autoencoder
from har.learners.base import Learner
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.cost import LONG_RECURRENCE, describe, long_recurrences
from har.learners.mlp import MLP
from har.learners.recurrent import LSTM, DeepConvLSTM, Hybrid
from har.learners.registry import LEARNERS
from har.learners.residual import ResidualCNN
from har.learners.shared_cnn import SharedCNN
from har.norms.plan import NormPlan

C, T, K = 3, 40, 5


def classifier(learner: Learner, norm: NormPlan = NormPlan(placement="none")) -> Classifier:  # noqa: B008
    scaling = InputScaling("none", torch.zeros(C), torch.ones(C), list("abc"))
    return Classifier(scaling, learner.build(C, T, norm), K)


# Learner, parameters without the head, multiply-adds without the head, features, samples that are read.
CASES = [
    (
        CNN([4, 6], 3, [2, 1]),
        (C * 3 * 4 + 4) + (4 * 3 * 6 + 6),
        38 * 4 * C * 3 + 17 * 6 * 4 * 3,
        6,
        (1 + 2) * 2 + 2,
    ),
    (
        SharedCNN([4, 6], [5, 3], [2, 3], [8]),
        (5 * 4 + 4) + (4 * 3 * 6 + 6) + (5 * C * 6 * 8 + 8),
        36 * C * 4 * 5 + 16 * C * 6 * 4 * 3 + 5 * C * 6 * 8,
        8,
        ((5 * 3) + 2) * 2 + 4,
    ),
    (MLP([8, 6]), (T * C * 8 + 8) + (8 * 6 + 6), T * C * 8 + 8 * 6, 6, T),
    (
        LSTM([4, 6], [8]),
        4 * (C * 4 + 4 * 4 + 2 * 4) + 4 * (4 * 6 + 6 * 6 + 2 * 6) + (6 * 8 + 8),
        T * 4 * 4 * (C + 4) + T * 4 * 6 * (4 + 6) + 6 * 8,
        8,
        T,
    ),
    (
        Hybrid([4], [5], [2], [6], []),
        (5 * 4 + 4) + 4 * (C * 4 * 6 + 6 * 6 + 2 * 6),
        36 * C * 4 * 5 + 18 * 4 * 6 * (C * 4 + 6),
        6,
        T,
    ),
    (
        DeepConvLSTM([4, 6], 3, [5]),
        (3 * 4 + 4) + (4 * 3 * 6 + 6) + 4 * (C * 6 * 5 + 5 * 5 + 2 * 5),
        38 * C * 4 * 3 + 36 * C * 6 * 4 * 3 + 36 * 4 * 5 * (C * 6 + 5),
        5,
        T,
    ),
    (
        ResidualCNN(4, 3, [2], [2, 1]),
        (C * 3 * 4 + 4) + 2 * (4 * 3 * 4 + 4),
        38 * 4 * C * 3 + (15 + 11) * 4 * 4 * 3,
        4,
        (1 + 8) * 2 + 2,
    ),
    (Autoencoder(8), (T * C * 8 + 8) + (8 * T * C + T * C), T * C * 8, 8, T),
]


@pytest.mark.parametrize(
    ("learner", "parameters", "products", "features", "samples"), CASES, ids=lambda value: type(value).__name__
)
def test_costs_are_those_of_the_closed_forms(
    learner: Learner, parameters: int, products: int, features: int, samples: int
) -> None:
    network = classifier(learner)
    before = copy.deepcopy(network.state_dict())
    cost = describe(network, C, T, rate_hz=50.0)
    assert cost.parameters == parameters + features * K + K
    assert cost.multiply_adds == products + features * K
    assert cost.receptive_field_s == samples / 50
    assert network.training
    assert not any(layer._forward_hooks for layer in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_every_learner_has_a_closed_form() -> None:
    assert {type(case[0]) for case in CASES} == set(LEARNERS)


def test_norms_have_parameters_and_no_multiply_adds() -> None:
    bare, normed = (describe(classifier(MLP([8]), NormPlan(placement=p)), C, T, 50.0) for p in ("none", "input"))
    assert normed.multiply_adds == bare.multiply_adds
    assert normed.parameters == bare.parameters + 2 * C


def test_ten_seconds_at_200_hz_through_an_lstm_say_what_they_cost() -> None:
    network = LSTM([4, 6], []).build(C, 2000, NormPlan(placement="input_scalar"))
    (sentence,) = long_recurrences(network, torch.zeros(1, 2000, C), batch=64)
    step = 3 * 64 * 2000 * (4 * 4 * (C + 4) + 4 * 6 * (4 + 6))
    assert "2 LSTM layers work through 2000 samples" in sentence
    assert f"{step / 1e6:.0f} million multiply-adds for a training step of 64 windows" in sentence
    assert "--rate-hz" in sentence


@pytest.mark.parametrize(
    "learner", [MLP([4]), Hybrid([2], [3], [8], [4], []), LSTM([4], [])], ids=lambda value: type(value).__name__
)
def test_only_what_reaches_an_lstm_counts_as_long(learner: Learner) -> None:
    samples = LONG_RECURRENCE + (0 if isinstance(learner, LSTM) else 1000)
    network = learner.build(C, samples, NormPlan(placement="none"))
    assert long_recurrences(network, torch.zeros(1, samples, C), batch=64) == []
