"""MiniRocket against numbers of aeon, and against loops over samples and kernels."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
import torch

from har.errors import UsageError
from har.learners.minirocket import MiniRocket, MiniRocketFeatures, spread_of_dilations
from har.norms.plan import NormPlan
from tests.learners import minirocket_of_aeon as aeon
from tests.learners.small import Few

NONE = NormPlan(placement="none")
OF_AEON = json.loads(aeon.FILE.read_text(encoding="utf-8"))


def built(channels: int, samples: int, **settings: int) -> MiniRocketFeatures:
    network = MiniRocket(**settings).build(channels, samples, NONE)
    assert isinstance(network, MiniRocketFeatures)
    return network


def convolution(x_TC: np.ndarray, kernel: int, dilation: int, channels: np.ndarray) -> np.ndarray:
    """One kernel over one window, sample by sample, zeros beyond the ends."""
    heavy = list(itertools.combinations(range(9), 3))[kernel]
    found_T = np.zeros(len(x_TC))
    for sample in range(len(x_TC)):
        for place in range(9):
            at = sample + (place - 4) * dilation
            if 0 <= at < len(x_TC):
                found_T[sample] += (2 if place in heavy else -1) * x_TC[at, channels].astype(np.float64).sum()
    return found_T


def shares(x_TC: np.ndarray, network: MiniRocketFeatures) -> list[float]:
    """The features of one window, one after the other."""
    found, thresholds = [], iter(network.thresholds.tolist())
    for number, (dilation, count) in enumerate(zip(network.dilations, network.counts, strict=True)):
        for kernel in range(84):
            h_T = convolution(x_TC, kernel, dilation, network.chosen[number, kernel].numpy())
            inner = (number + kernel) % 2 == 1
            h_T = h_T[4 * dilation : len(h_T) - 4 * dilation] if inner else h_T
            found += [float((h_T > next(thresholds)).mean()) for _ in range(count)]
    return found


def test_features_are_those_of_aeon() -> None:
    network = built(aeon.CHANNELS, aeon.SAMPLES, features=aeon.FEATURES)
    assert network.dilations == OF_AEON["dilations"]
    assert network.counts == OF_AEON["thresholds_of_each_dilation"]
    network.thresholds.copy_(torch.tensor(OF_AEON["thresholds"], dtype=torch.float64))
    for kernel, channels in enumerate(OF_AEON["channels_of_each_kernel"]):
        network.chosen[kernel // 84, kernel % 84, channels] = True
    features_ND = network(torch.from_numpy(aeon.waves()[-aeon.SHOWN :]))
    np.testing.assert_allclose(features_ND, OF_AEON["features"], atol=2e-6)


@pytest.mark.parametrize(("channels", "samples"), [(1, 9), (2, 33)])
def test_features_are_those_of_loops(channels: int, samples: int) -> None:
    network = built(channels, samples, features=84 * 3)
    network.fit(Few(torch.randn(20, samples, channels)), 3)
    fresh_NTC = torch.randn(2, samples, channels)
    for x_TC, found_D in zip(fresh_NTC.numpy(), network(fresh_NTC), strict=True):
        np.testing.assert_allclose(found_D, shares(x_TC, network), atol=1e-6)


def test_each_threshold_is_a_quantile_of_a_kernel_over_one_training_window() -> None:
    network = built(3, 33, features=84 * 4)
    x_NTC = torch.randn(5, 33, 3)
    network.fit(Few(x_NTC), 0)
    fractions = [(number * (5**0.5 + 1) / 2) % 1 for number in range(1, network.features + 1)]
    first = 84 * network.counts[0]  # of the second dilation
    for kernel in (0, 83):
        own = network.chosen[1, kernel].numpy()
        place = first + kernel * network.counts[1]
        possible = [
            np.quantile(convolution(x_TC, kernel, network.dilations[1], own), fractions[place])
            for x_TC in x_NTC.numpy()
        ]
        assert np.abs(np.array(possible) - network.thresholds[place].item()).min() < 1e-9


def test_a_constant_window_is_decided_by_no_rounding() -> None:
    """Inside it every kernel gives exactly 0, which exceeds no threshold of 0."""
    network = built(2, 40, features=84)
    network.chosen.fill_(True)
    inner_NTK = network.convolved(torch.full((1, 40, 2), 9.81) + torch.tensor([0.1, 1e-3]), 0)[:, 4:-4]
    assert not inner_NTK.any()


@pytest.mark.parametrize(("samples", "each", "most"), [(9, 3, 32), (200, 119, 32), (128, 5, 32), (151, 119, 4)])
def test_dilations_reach_from_one_sample_over_the_whole_window(samples: int, each: int, most: int) -> None:
    dilations, counts = spread_of_dilations(samples, each, most)
    assert dilations == sorted(set(dilations))
    assert dilations[0] == 1
    assert 8 * dilations[-1] <= samples - 1
    assert len(dilations) <= most
    assert sum(counts) == each


def test_channels_and_thresholds_are_a_function_of_the_seed() -> None:
    networks = []
    for seed in (1, 1, 2):
        networks.append(built(5, 40, features=84))
        networks[-1].fit(Few(torch.randn(10, 40, 5, generator=torch.Generator().manual_seed(0))), seed)
    one, same, other = networks
    assert torch.equal(one.thresholds, same.thresholds)
    assert torch.equal(one.chosen, same.chosen)
    assert not torch.equal(one.chosen, other.chosen)
    number = one.chosen.sum(-1)
    assert number.min() == 1
    assert number.max() > 1


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"8 samples is too short .* at least 9"):
        built(1, 8)
    with pytest.raises(UsageError, match="features 83"):
        MiniRocket(features=83)
    with pytest.raises(UsageError, match="dilations 0"):
        MiniRocket(dilations=0)
