"""MiniRocket: shares of time in which fixed convolutions exceed thresholds that training windows give."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from har.errors import UsageError
from har.learners.fitted import FittedFeatures, FittedLearner, Windows
from har.learners.settings import require_positive, require_samples
from har.norms.plan import NormPlan
from har.seeds import derive_seed

LENGTH = 9  # samples that a kernel sees
HEAVY = np.array(list(itertools.combinations(range(LENGTH), 3)))  # places of each kernel's three weights of 2
KERNELS = len(HEAVY)
_MOST_CHANNELS = 9  # that a kernel adds up
_GOLDEN = (math.sqrt(5) + 1) / 2


class MiniRocket(FittedLearner):
    """MiniRocket of Dempster, Schmidt & Webb 2021 (KDD, arXiv 2012.08791), for any number of channels.

    84 kernels of nine weights, three of them 2 and six −1, are laid over the window with a number of dilations between
    1 and (T − 1)/8. Each kernel adds up channels that are drawn at random for it and the dilation (as its authors do
    with several channels). A feature is the share of samples where the result exceeds a threshold, which is a quantile
    of the same convolution of one training window, drawn at random. Half of the kernels read zeros beyond the window's
    ends, as in the paper; it is the one learner here that does. There are ``features // 84`` thresholds a kernel, in
    all, so 10000 makes 9996 features. Stands before the head `ridge`, as its authors have it.

    Convolutions are computed in float64, in which a sum of nine float32 is exact: no rounding decides whether a sample
    of a constant signal exceeds a threshold.

    Args:
        features: Number of features, rounded down to a multiple of 84.
        dilations: The most dilations.

    Raises:
        UsageError: When a setting is out of range.
    """

    def __init__(self, features: int = 10_000, dilations: int = 32) -> None:
        if features < KERNELS:
            raise UsageError(
                f"MiniRocket features {features} are fewer than its {KERNELS} kernels.", "10000 is the default."
            )
        require_positive("MiniRocket", "dilations", dilations, 32)
        self.features = features
        self.dilations = dilations

    def build(self, channels: int, samples: int, norm: NormPlan) -> FittedFeatures:
        """Build the network; see `Learner.build`."""
        require_samples("MiniRocket", samples, LENGTH, f"kernels of {LENGTH} samples")
        return MiniRocketFeatures(self, channels, samples)


class MiniRocketFeatures(FittedFeatures):
    """The network of a `MiniRocket`; features are in the order of dilation, kernel, threshold.

    Args:
        settings: The learner's settings.
        channels: Sensor channels C.
        samples: Samples T of a window.
    """

    thresholds: Tensor
    chosen: Tensor
    weight: Tensor

    def __init__(self, settings: MiniRocket, channels: int, samples: int) -> None:
        super().__init__()
        self.dilations, self.counts = spread_of_dilations(samples, settings.features // KERNELS, settings.dilations)
        self.channels = channels
        self.features = KERNELS * sum(self.counts)
        self.receptive_field = samples
        self.multiply_adds = samples * (KERNELS * LENGTH * channels * len(self.dilations) + self.features)
        self.values = samples * (LENGTH * channels + KERNELS * (1 + max(self.counts)))
        self.register_buffer("thresholds", torch.zeros(self.features, dtype=torch.float64))
        self.register_buffer("chosen", torch.zeros(len(self.dilations), KERNELS, channels, dtype=torch.bool))
        weight_KL = torch.full((KERNELS, LENGTH), -1.0, dtype=torch.float64)
        weight_KL[torch.arange(KERNELS)[:, None], torch.from_numpy(HEAVY)] = 2.0
        self.register_buffer("weight", weight_KL, persistent=False)

    def computed(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of a few windows; see `FittedFeatures.computed`."""
        found, first = [], 0
        for number, (dilation, count) in enumerate(zip(self.dilations, self.counts, strict=True)):
            size = KERNELS * count
            threshold_KI = self.thresholds[first : first + size].reshape(KERNELS, count)
            first += size
            beside = (LENGTH - 1) // 2 * dilation  # samples at each end where a kernel reaches beyond the window
            pair = []
            for kernels in (slice(0, None, 2), slice(1, None, 2)):
                h_NTK = self.convolved(x_NTC, number, kernels)
                if kernels.start != number % 2:  # half of the kernels stay inside the window
                    h_NTK = h_NTK[:, beside : h_NTK.shape[1] - beside]
                # All thresholds at once: one by one they would make an exported network of thousands of nodes.
                pair.append((h_NTK[..., None] > threshold_KI[kernels]).to(x_NTC.dtype).mean(1))
            found.append(torch.stack(pair, dim=2).flatten(1))
        return torch.cat(found, dim=1)

    def convolved(self, x_NTC: Tensor, number: int, kernels: slice = slice(None)) -> Tensor:
        """Return h_NTK, float64 (windows, samples, kernels), of a dilation by its number, zeros beyond the ends."""
        dilation = self.dilations[number]
        beside = (LENGTH - 1) // 2 * dilation
        samples = x_NTC.shape[1]
        padded = functional.pad(x_NTC.double(), (0, 0, beside, beside))
        shifted = [padded[:, place * dilation : place * dilation + samples] for place in range(LENGTH)]
        # Every kernel as weights of each place and channel; those of channels that it does not add up are 0.
        weight_KLC = self.weight[kernels, :, None] * self.chosen[number][kernels, None]
        return torch.cat(shifted, dim=2) @ weight_KLC.flatten(1).T

    @torch.no_grad()
    def fit(self, windows: Windows, seed: int) -> None:
        """Draw the channels of every kernel, and take thresholds of training windows; see `FittedFeatures.fit`."""
        generator = np.random.Generator(np.random.PCG64(derive_seed(seed, "minirocket")))
        shape = (len(self.dilations), KERNELS)
        self.chosen.copy_(torch.from_numpy(_drawn_channels(generator, shape, self.channels)))
        window_JK = generator.integers(len(windows), size=shape)
        fraction_D = (np.arange(1, self.features + 1) * _GOLDEN) % 1  # spread evenly, however many of them are taken
        first = 0
        for number, count in enumerate(self.counts):
            different_M, place_K = np.unique(window_JK[number], return_inverse=True)
            h_KT = self._of_own_window(windows.taken(different_M), place_K, number)
            fraction_KI = fraction_D[first : first + KERNELS * count].reshape(KERNELS, count)
            taken = [np.quantile(h_T, fraction_I) for h_T, fraction_I in zip(h_KT, fraction_KI, strict=True)]
            self.thresholds[first : first + KERNELS * count] = torch.from_numpy(np.concatenate(taken))
            first += KERNELS * count

    def _of_own_window(self, x_MTC: Tensor, place_K: npt.NDArray[np.int64], number: int) -> npt.NDArray[np.float64]:
        """Return h_KT, each kernel's convolution of the one window that was drawn for it."""
        h_MTK = self.convolved(x_MTC, number)
        h_KT: npt.NDArray[np.float64] = h_MTK[torch.from_numpy(place_K), :, torch.arange(KERNELS)].numpy()
        return h_KT


def spread_of_dilations(samples: int, each: int, most: int) -> tuple[list[int], list[int]]:
    """Return the dilations, and how many thresholds a kernel has with each, spread evenly on a logarithmic scale.

    Args:
        samples: Samples T of a window.
        each: Thresholds of a kernel over all dilations.
        most: The most dilations.
    """
    number = min(each, most)
    exponent = math.log2((samples - 1) / (LENGTH - 1))
    dilation_J, count_J = np.unique(np.logspace(0, exponent, number, base=2).astype(np.int64), return_counts=True)
    count_J = (count_J * (each / number)).astype(np.int64)
    for left in range(each - int(count_J.sum())):
        count_J[left % len(count_J)] += 1
    return dilation_J.tolist(), count_J.tolist()


def _drawn_channels(generator: np.random.Generator, shape: tuple[int, int], channels: int) -> npt.NDArray[np.bool_]:
    """Return which channels each kernel adds up with each dilation; small numbers of them are the most probable."""
    exponent = math.log2(min(channels, _MOST_CHANNELS) + 1)
    count_JK = (2 ** generator.uniform(0, exponent, shape)).astype(np.int64)
    place_JKC = generator.permuted(np.broadcast_to(np.arange(channels), (*shape, channels)), axis=2)
    drawn: npt.NDArray[np.bool_] = place_JKC < count_JK[:, :, None]
    return drawn
