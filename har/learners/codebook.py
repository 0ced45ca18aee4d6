"""The codebook of Li et al. (2018): windows as counts of words, which are typical sub-sequences of training windows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from har.errors import UsageError, unknown
from har.learners.fitted import FittedFeatures, FittedLearner, Windows
from har.learners.settings import require_positive, require_samples
from har.norms.plan import NormPlan
from har.seeds import derive_seed

ASSIGNMENTS = ("hard", "soft")
_BATCH = 4096  # sub-sequences that k-means looks at in a step
_STARTS = 3  # first words that k-means tries


class Codebook(FittedLearner):
    """How often each word of a codebook is met in a window, or how near its sub-sequences come to each word.

    Li, Shirahama, Nisar, Köping & Grzegorzek 2018, Sensors 18(2):679. Every `length` samples in a row, from each
    `step`-th sample on, are a sub-sequence x; words w are k-means of sub-sequences of training windows. A window's
    feature of a word is the mean over its sub-sequences of

        hard   1 where the word is the nearest one, 0 elsewhere
        soft   k(x, w) / Σ_v k(x, v), with k(x, w) = exp(−|x − w|²/(2σ²))

    (soft: codeword uncertainty of van Gemert et al. 2010, IEEE PAMI 32(7):1271), so the features of a codebook sum
    to 1, and soft is hard for σ → 0. The paper has, in raw units, 24 samples, 128 words of each sensor and σ = 256 on
    OPPORTUNITY; 16 samples, 2048 words of the three axes together and σ = 4 on UniMiB-SHAR; step 1 and a linear SVM.

    Args:
        words: Words of each codebook.
        length: Samples of a sub-sequence.
        step: Samples from one sub-sequence of a window to the next.
        joint: One codebook of sub-sequences of all channels together, instead of one of each channel.
        assignment: ``hard`` or ``soft``.
        sigma: σ in units of the scaled signal; when null, of each codebook the mean distance of the sub-sequences that
            it was fitted on to their nearest word.
        fitted_on: The most sub-sequences, drawn at random by the seed, that k-means is given.

    Raises:
        UsageError: When a setting is out of range.
    """

    def __init__(
        self,
        words: int = 128,
        length: int = 24,
        step: int = 1,
        joint: bool = False,
        assignment: str = "soft",
        sigma: float | None = None,
        fitted_on: int = 20_000,
    ) -> None:
        for name, value, example in (("words", words, 128), ("length", length, 24), ("step", step, 1)):
            require_positive("Codebook", name, value, example)
        if assignment not in ASSIGNMENTS:
            raise unknown("assignment", assignment, ASSIGNMENTS, "learner Codebook")
        if sigma is not None and not sigma > 0:
            raise UsageError(f"Codebook sigma {sigma} is not positive.", "null takes it from the training windows.")
        if fitted_on < words:
            raise UsageError(
                f"Codebook fitted_on {fitted_on} is fewer sub-sequences than {words} words.", "20000 is the default."
            )
        self.words, self.length, self.step, self.joint = words, length, step, joint
        self.assignment, self.sigma, self.fitted_on = assignment, sigma, fitted_on

    def build(self, channels: int, samples: int, norm: NormPlan) -> FittedFeatures:
        """Build the network; see `Learner.build`."""
        require_samples("Codebook", samples, self.length, f"length {self.length}")
        return CodebookFeatures(self, channels, samples)


class CodebookFeatures(FittedFeatures):
    """The network of a `Codebook`; feature d is of word d % words of codebook d // words.

    Args:
        settings: The learner's settings.
        channels: Sensor channels C.
        samples: Samples T of a window.
    """

    words: Tensor
    sigma: Tensor

    def __init__(self, settings: Codebook, channels: int, samples: int) -> None:
        super().__init__()
        self.settings = settings
        books, values = (1, channels * settings.length) if settings.joint else (channels, settings.length)
        self.features = books * settings.words
        self.receptive_field = samples
        self.places = (samples - settings.length) // settings.step + 1
        self.multiply_adds = self.places * self.features * values
        self.values = self.places * (3 * settings.words + 2 * books * values)
        self.register_buffer("words", torch.zeros(books, settings.words, values))
        self.register_buffer("sigma", torch.ones(books))

    def computed(self, x_NTC: Tensor) -> Tensor:
        """Return features_ND of a few windows; see `FittedFeatures.computed`."""
        sequences = self._sequences(x_NTC)
        return torch.cat([self._counted(x_NPV, book) for book, x_NPV in enumerate(sequences)], dim=1)

    def _sequences(self, x_NTC: Tensor) -> list[Tensor]:
        """Return the sub-sequences of each codebook, x_NPV: (windows, places, values), a channel's samples together."""
        x_NPCL = x_NTC.unfold(1, self.settings.length, self.settings.step)
        return [x_NPCL.flatten(2)] if self.settings.joint else list(x_NPCL.unbind(2))

    def _counted(self, x_NPV: Tensor, book: int) -> Tensor:
        """Return the share of each word of a codebook, (windows, words)."""
        squared_NPW = self._squared_distances(x_NPV, book)
        if self.settings.assignment == "soft":
            return torch.softmax(-squared_NPW / (2 * self.sigma[book] ** 2), dim=2).mean(1)
        nearest_NP = squared_NPW.argmin(2)
        shares = torch.full_like(nearest_NP, 1 / nearest_NP.shape[1], dtype=x_NPV.dtype)
        return torch.zeros_like(squared_NPW[:, 0]).scatter_add(1, nearest_NP, shares)

    def _squared_distances(self, x_NPV: Tensor, book: int) -> Tensor:
        """Return |x − w|² of sub-sequences and words of a codebook, (windows, places, words)."""
        word_WV = self.words[book]
        middle_V = word_WV.mean(0)  # distances do not depend on it, and what is far from 0 would cancel
        x_NPV, word_WV = x_NPV - middle_V, word_WV - middle_V
        products_NPW = x_NPV @ word_WV.T
        return ((x_NPV**2).sum(2, keepdim=True) - 2 * products_NPW + (word_WV**2).sum(1)).clamp(min=0)

    @torch.no_grad()
    def fit(self, windows: Windows, seed: int) -> None:
        """Find the words of every codebook, and σ where it is not given; see `FittedFeatures.fit`."""
        from sklearn.cluster import MiniBatchKMeans  # 2 s, which using a codebook does without

        for book, x_QV in enumerate(self._drawn(windows, seed)):
            self._require_enough(x_QV, book)
            random = derive_seed(seed, "codebook", book)
            means = MiniBatchKMeans(self.settings.words, batch_size=_BATCH, n_init=_STARTS, random_state=random)
            means.fit(x_QV)
            self.words[book] = torch.from_numpy(means.cluster_centers_)
            nearest_Q = self._squared_distances(torch.from_numpy(x_QV)[:, None], book).amin((1, 2))
            self.sigma[book] = self.settings.sigma or nearest_Q.sqrt().mean()

    def _drawn(self, windows: Windows, seed: int) -> list[npt.NDArray[np.float32]]:
        """Return sub-sequences of each codebook, x_QV, drawn at random without one being drawn twice."""
        generator = np.random.Generator(np.random.PCG64(derive_seed(seed, "sub-sequences")))
        there = len(windows) * self.places
        number_Q = generator.choice(there, min(self.settings.fitted_on, there), replace=False)
        window_Q, place_Q = np.divmod(np.sort(number_Q), self.places)
        of_book: list[list[Tensor]] = [[] for _ in self.words]
        first = 0
        for x_NTC in windows.batches():
            here_Q = (window_Q >= first) & (window_Q < first + len(x_NTC))
            for chosen, x_NPV in zip(of_book, self._sequences(x_NTC), strict=True):
                chosen.append(x_NPV[window_Q[here_Q] - first, place_Q[here_Q]])
            first += len(x_NTC)
        return [torch.cat(chosen).numpy() for chosen in of_book]

    def _require_enough(self, x_QV: npt.NDArray[np.float32], book: int) -> None:
        """Refuse fewer different sub-sequences than words, and as many where their distance to a word is to be σ."""
        different = len(np.unique(x_QV, axis=0))
        where = "all channels together" if self.settings.joint else f"channel {book} (counted from 0)"
        if different < self.settings.words:
            raise UsageError(
                f"the training windows have {different} different sub-sequence{'s' * (different > 1)} of {where}, "
                f"fewer than the {self.settings.words} words of the codebook.",
                "Use fewer words, more training windows, or a data set without constant channels.",
            )
        if different == self.settings.words and self.settings.assignment == "soft" and self.settings.sigma is None:
            raise UsageError(
                f"the codebook has a word for each of the {different} different sub-sequences of {where} that it is "
                "fitted on, so their distance to the nearest word, which is to be its sigma, is 0.",
                "Use fewer words, a larger fitted_on, or give sigma.",
            )
