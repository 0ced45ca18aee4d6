"""The codebook against scikit-learn's k-means, and soft assignment against its formula."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.neighbors import NearestNeighbors

from har.errors import UsageError
from har.learners.codebook import Codebook, CodebookFeatures
from har.norms.plan import NormPlan
from tests.learners.small import Few

NONE = NormPlan(placement="none")


def fitted(seed: int = 0, windows: int = 30, **settings: Any) -> CodebookFeatures:
    network = Codebook(**{"words": 6, "length": 5, **settings}).build(2, 20, NONE)
    assert isinstance(network, CodebookFeatures)
    network.fit(Few(moving(windows)), seed)
    return network


def moving(windows: int) -> torch.Tensor:
    """Windows far from 0, as gravity is: words and sub-sequences are large, their differences are not."""
    return torch.randn(windows, 20, 2, generator=torch.Generator().manual_seed(windows)).cumsum(1) + 50


def sequences(x_TC: np.ndarray, joint: bool, step: int) -> list[np.ndarray]:
    places = range(0, len(x_TC) - 4, step)
    whole = np.stack([x_TC[place : place + 5].T for place in places])  # places, channels, samples
    return [whole.reshape(len(whole), -1)] if joint else [whole[:, channel] for channel in range(2)]


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("step", [1, 3])
def test_hard_features_are_shares_of_nearest_words(joint: bool, step: int) -> None:
    network = fitted(joint=joint, step=step, assignment="hard")
    fresh_NTC = moving(8)
    for x_TC, found_D in zip(fresh_NTC.numpy(), network(fresh_NTC), strict=True):
        expected = []
        for words, own in zip(network.words.numpy(), sequences(x_TC, joint, step), strict=True):
            nearest = NearestNeighbors(n_neighbors=1).fit(words).kneighbors(own, return_distance=False)[:, 0]
            expected.append(np.bincount(nearest, minlength=6) / len(own))
        np.testing.assert_allclose(found_D, np.concatenate(expected), atol=1e-6)


@pytest.mark.parametrize("joint", [False, True])
def test_soft_features_are_means_of_normalised_kernels(joint: bool) -> None:
    network = fitted(joint=joint, sigma=1.7)
    fresh_NTC = moving(8)
    for x_TC, found_D in zip(fresh_NTC.double().numpy(), network(fresh_NTC), strict=True):
        expected = []
        for words, own in zip(network.words.double().numpy(), sequences(x_TC, joint, 1), strict=True):
            kernel = rbf_kernel(own, words, gamma=1 / (2 * 1.7**2))
            expected.append((kernel / kernel.sum(1, keepdims=True)).mean(0))
        np.testing.assert_allclose(found_D, np.concatenate(expected), atol=1e-5)


def test_soft_becomes_hard_as_sigma_falls() -> None:
    hard, soft = fitted(assignment="hard"), fitted(sigma=0.01)
    assert torch.equal(hard.words, soft.words)
    torch.testing.assert_close(soft(moving(9)), hard(moving(9)), atol=2e-3, rtol=0)


def test_words_are_means_of_their_own_sub_sequences() -> None:
    """Hardly moved by another round of Lloyd's algorithm over all sub-sequences, which were all drawn."""
    network = fitted(windows=200)
    own = np.concatenate([sequences(x_TC, False, 1)[0] for x_TC in moving(200).numpy()])
    words = network.words[0].numpy()
    nearest = ((own[:, None] - words) ** 2).sum(2).argmin(1)
    moved = np.stack([own[nearest == word].mean(0) for word in range(6)])
    spread = np.sqrt(((own - words[nearest]) ** 2).sum(1).mean())
    assert np.abs(moved - words).max() < 0.3 * spread
    assert network.sigma[0] == pytest.approx(np.sqrt(((own - words[nearest]) ** 2).sum(1)).mean(), rel=1e-4)


def test_words_are_a_function_of_the_seed() -> None:
    assert torch.equal(fitted(1).words, fitted(1).words)
    assert not torch.equal(fitted(1).words, fitted(2).words)


def test_what_is_drawn_is_a_sub_sequence_of_a_window() -> None:
    """One word of one drawn sub-sequence is that sub-sequence, in the windows' own units, for any seed."""
    for seed in range(3):
        network = fitted(seed, words=1, fitted_on=1, assignment="hard")
        for channel in range(2):
            real = np.concatenate([sequences(x_TC, False, 1)[channel] for x_TC in moving(30).numpy()])
            assert np.abs(real - network.words[channel, 0].numpy()).max(1).min() < 1e-4


def test_fewer_sub_sequences_than_words_are_one_error_with_numbers() -> None:
    still = moving(30)
    still[:, :, 1] = 3.0
    network = Codebook(words=6, length=5).build(2, 20, NONE)
    with pytest.raises(UsageError, match=r"1 different sub-sequence of channel 1 .* fewer than the 6 words"):
        network.fit(Few(still), 0)
    with pytest.raises(UsageError, match="16 different sub-sequences of all channels together"):
        fitted(words=17, windows=1, joint=True)


def test_a_word_for_every_sub_sequence_leaves_no_sigma_and_is_refused_where_one_is_wanted() -> None:
    with pytest.raises(UsageError, match=r"a word for each of the 6 different .* channel 0 .* sigma, is 0"):
        fitted(fitted_on=6)
    given, hard = fitted(fitted_on=6, sigma=0.5), fitted(fitted_on=6, assignment="hard")
    assert all(bool(network(moving(4)).isfinite().all()) for network in (given, hard))


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"words": 0}, "words 0"),
        ({"length": 0}, "length 0"),
        ({"step": 0}, "step 0"),
        ({"sigma": 0.0}, "sigma 0"),
        ({"assignment": "fuzzy"}, "fuzzy"),
        ({"fitted_on": 5}, "fitted_on 5"),
        ({"length": 21}, "20 samples is too short .* at least 21"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        Codebook(**{"words": 6, "length": 5, **wrong}).build(2, 20, NONE)
