"""What stands behind the features: a linear layer that is trained with them, or a classifier that is fitted at once.

| kind | what | tried on validation subjects |
|---|---|---|
| `softmax` | a linear layer, trained with the features by cross-entropy | |
| `linear_svm` | linear support vector machines, one activity against the rest (scikit-learn's LinearSVC) | `c` |
| `ridge` | ridge regression on ±1, one activity against the rest (as RidgeClassifier) | `alpha` |
| `boosted_trees` | gradient boosting on histograms (HistGradientBoostingClassifier) | `iterations` |

What is tried is fitted on training windows, from the most regular to the least, and the first of equally good ones is
taken: ties go to the smallest C, the largest α, the fewest iterations. Whoever fits decides what is good
(`har.training.at_once`); nothing here sees validation or test windows.

All of them end as tensors and give one number of each activity; where there are two activities and scikit-learn has a
single decision d, the numbers are −d and d (−d/2 and d/2 of trees, whose softmax is then scikit-learn's probability).
The softmax of decisions of `linear_svm` and `ridge` is no calibrated probability.
"""

from __future__ import annotations

import dataclasses
import itertools
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from har.errors import UsageError, unknown
from har.learners.base import Learner
from har.learners.trees import Trees, boosted, tensors_of

DEFAULTS: dict[str, dict[str, Any]] = {
    "softmax": {},
    "linear_svm": {"c": [2.0**power for power in range(-6, 6)], "standardise": False, "most_iterations": 10_000},
    "ridge": {"alpha": [10.0**power for power in range(5, -4, -1)], "standardise": True},
    "boosted_trees": {
        "iterations": list(range(10, 201, 10)),
        "learning_rate": 0.1,
        "leaves": 31,
        "depth": 8,
        "least_windows": 20,
    },
}
_TRIED = {"linear_svm": "c", "ridge": "alpha", "boosted_trees": "iterations"}
_BLOCK = 1024  # columns or rows that are turned into float64 at once


@dataclasses.dataclass(frozen=True)
class Material:
    """What a head is fitted on.

    Attributes:
        features_ND: float32 (training windows, features).
        label_N: int64 (training windows,), index into the activities; each of them is there.
        activities: Number of activities K.
    """

    features_ND: npt.NDArray[np.float32]
    label_N: npt.NDArray[np.int64]
    activities: int


@dataclasses.dataclass(frozen=True)
class Candidate:
    """One fitted head.

    Attributes:
        tried: What it was fitted with, such as ``{"c": 0.25}``.
        state: The tensors of the head's module.
        doubt: What is doubtful about the fit in a sentence, or "".
    """

    tried: dict[str, float]
    state: dict[str, Tensor]
    doubt: str = ""


@dataclasses.dataclass(frozen=True)
class Head:
    """Which head stands behind the features.

    Args:
        kind: ``softmax``, trained with the features; or ``linear_svm``, ``ridge`` or ``boosted_trees``, fitted at once
            on the features of the training windows, with what is tried chosen on validation subjects.
        options: Options of the kind, such as ``{c: [0.1, 1.0]}`` of ``linear_svm``: ``c``, ``alpha`` and ``iterations``
            are lists of what is tried; ``standardise`` divides features by their deviation over the training windows;
            ``most_iterations`` bounds those of an SVM's solver; ``leaves``, ``depth`` and ``least_windows`` (in a leaf)
            bound a tree, and ``learning_rate`` is the share that each adds.

    Raises:
        UsageError: When a name is not known or a value impossible.
    """

    kind: str = "softmax"
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check every value."""
        if self.kind not in DEFAULTS:
            raise unknown("head", self.kind, DEFAULTS)
        for name, value in self.options.items():
            if name not in DEFAULTS[self.kind]:
                raise unknown("option", name, DEFAULTS[self.kind], f"head {self.kind}")
            _require_possible(f"head {self.kind}: {name}", value, DEFAULTS[self.kind][name])
        if self.options.get("leaves") == 1:
            raise UsageError("head boosted_trees: a tree of 1 leaf divides nothing.", "A usual number of leaves is 31.")

    @property
    def at_once(self) -> bool:
        """Whether it is fitted at once, when the features are there."""
        return self.kind != "softmax"

    def option(self, name: str) -> Any:
        """Return an option of the kind, or its default."""
        return self.options.get(name, DEFAULTS[self.kind][name])

    @property
    def tried(self) -> list[float]:
        """The values that are tried, the most regular first; empty where nothing is."""
        if not self.at_once:
            return []
        return sorted(self.option(_TRIED[self.kind]), reverse=self.kind == "ridge")

    def require_behind(self, learner: Learner) -> None:
        """Refuse a learner that this head cannot stand behind.

        Raises:
            UsageError: When it is fitted at once and this is trained, or the other way round where that has no form.
        """
        name = type(learner).__name__
        if learner.at_once and not self.at_once:
            raise UsageError(
                f"the features of {name} are fitted at once, so head {self.kind} cannot be trained with them.",
                f"Set model.head.kind to one of {', '.join(_TRIED)}.",
            )
        if not learner.at_once and self.kind == "boosted_trees":
            raise UsageError(
                f"head boosted_trees stands behind features that are fitted at once, and those of {name} are trained.",
                "Use linear_svm or ridge, which are linear as the head is that they are trained with.",
            )

    def build(self, features: int, activities: int) -> nn.Module:
        """Return the head's module, with memory for what it is fitted to.

        Args:
            features: Number of features D.
            activities: Number of activities K.
        """
        if self.kind == "boosted_trees":
            return Trees(activities, int(max(self.tried)), self.option("leaves"), self.option("depth"))
        return nn.Linear(features, activities)

    def candidates(self, material: Material, seed: int) -> Iterator[Candidate]:
        """Fit the head with each value that is tried, the most regular first.

        Args:
            material: Features and labels of the training windows.
            seed: The run's seed.
        """
        if self.kind == "linear_svm":
            return self._svms(material, seed)
        return self._ridges(material) if self.kind == "ridge" else self._boosted(material, seed)

    def _svms(self, material: Material, seed: int) -> Iterator[Candidate]:
        """Fit support vector machines with squared hinge loss, one of each activity, for each C."""
        from sklearn.exceptions import ConvergenceWarning  # 2 s, which using a head does without
        from sklearn.svm import LinearSVC

        mean_D, scale_D = _moments(material.features_ND, self.option("standardise"))
        x_ND = (material.features_ND - mean_D) / scale_D
        for c in self.tried:
            svm = LinearSVC(C=c, max_iter=self.option("most_iterations"), dual="auto", random_state=seed)
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always", ConvergenceWarning)
                svm.fit(x_ND, material.label_N)
            doubt = f"the SVM with C = {c:g} had not converged after {svm.max_iter} iterations." if caught else ""
            yield Candidate({"c": c}, _linear(svm.coef_, svm.intercept_, mean_D, scale_D), doubt)

    def _ridges(self, material: Material) -> Iterator[Candidate]:
        """Fit ridge regressions on ±1 for each α."""
        mean_D, scale_D = _moments(material.features_ND, self.option("standardise"))
        own_NK = np.where(material.label_N[:, None] == np.arange(material.activities), 1.0, -1.0)
        own_NK = own_NK[:, 1:] if material.activities == 2 else own_NK
        centre_D = (material.features_ND.mean(0, dtype=np.float64) - mean_D) / scale_D
        for alpha, weight_DK in ridge_weights(material.features_ND, own_NK, self.tried, scale_D):
            bias_K = own_NK.mean(0) - centre_D @ weight_DK
            yield Candidate({"alpha": alpha}, _linear(weight_DK.T, bias_K, mean_D, scale_D))

    def _boosted(self, material: Material, seed: int) -> Iterator[Candidate]:
        """Grow trees once, and take the first so many iterations of them."""
        options = {name: self.option(name) for name in ("learning_rate", "leaves", "depth", "least_windows")}
        model = boosted(material.features_ND, material.label_N, int(max(self.tried)), seed, **options)
        for iterations in self.tried:
            module = self.build(material.features_ND.shape[1], material.activities)
            state = tensors_of(model, module.state_dict(), int(iterations))
            yield Candidate({"iterations": iterations}, state)


def ridge_weights(
    x_ND: npt.NDArray[np.float32],
    y_NK: npt.NDArray[np.float64],
    alphas: list[float],
    scale_D: npt.NDArray[np.float64],
) -> Iterator[tuple[float, npt.NDArray[np.float64]]]:
    """Yield each α with weight_DK, the least of |y − xw|² + α|w|² of centred y and of centred x over `scale_D`.

    Products of the smaller side are summed once for all α, in blocks: of features, or of windows where these are fewer.

    Args:
        x_ND: float32 (windows, features).
        y_NK: float64 (windows, targets).
        alphas: The values of α.
        scale_D: float64 (features,), what each feature is divided by.
    """
    mean_D = x_ND.mean(0, dtype=np.float64)
    windows, features = x_ND.shape
    y_NK = y_NK - y_NK.mean(0)
    if windows < features:  # w = xᵀ(xxᵀ + α)⁻¹y
        product_NN = np.zeros((windows, windows), order="F")
        blocks = [slice(first, first + _BLOCK) for first in range(0, features, _BLOCK)]
        for own in blocks:
            _add_products(product_NN, (x_ND[:, own] - mean_D[own]) / scale_D[own])
        for alpha in alphas:
            dual_NK = _solved(product_NN, alpha, y_NK)
            parts = [((x_ND[:, own] - mean_D[own]) / scale_D[own]).T @ dual_NK for own in blocks]
            yield alpha, np.concatenate(parts)
        return
    product_DD, target_DK = np.zeros((features, features), order="F"), np.zeros((features, y_NK.shape[1]))
    for first in range(0, windows, _BLOCK):
        x_BD = (x_ND[first : first + _BLOCK] - mean_D) / scale_D
        _add_products(product_DD, x_BD.T)
        target_DK += x_BD.T @ y_NK[first : first + _BLOCK]
    for alpha in alphas:
        yield alpha, _solved(product_DD, alpha, target_DK)


def _add_products(product_MM: npt.NDArray[np.float64], x_MB: npt.NDArray[np.float64]) -> None:
    """Add xxᵀ to the lower triangle of `product_MM`, in place: it may be the largest thing in memory."""
    from scipy.linalg.blas import dsyrk

    dsyrk(1.0, x_MB, beta=1.0, c=product_MM, overwrite_c=1, lower=1)


def _solved(
    product_MM: npt.NDArray[np.float64], alpha: float, right_MK: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return (product + α)⁻¹ right, of a product whose lower triangle alone is there.

    Raises:
        UsageError: When α is lost beside the product, whose rows depend on one another.
    """
    import scipy.linalg

    regular_MM = product_MM.copy(order="F")
    regular_MM[np.diag_indices(len(regular_MM))] += alpha
    try:
        factor = scipy.linalg.cho_factor(regular_MM, lower=True, overwrite_a=True, check_finite=False)
    except scipy.linalg.LinAlgError:
        raise UsageError(
            f"head ridge: alpha {alpha:g} is too small for these features, which depend on one another.",
            f"The smallest of the usual values is {min(DEFAULTS['ridge']['alpha']):g}.",
        ) from None
    found: npt.NDArray[np.float64] = scipy.linalg.cho_solve(factor, right_MK, check_finite=False)
    return found


def _moments(
    x_ND: npt.NDArray[np.float32], standardise: bool
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return mean_D and deviation_D to scale by; 0 and 1 where that is not asked for, 1 where a feature is constant."""
    features = x_ND.shape[1]
    if not standardise:
        return np.zeros(features), np.ones(features)
    blocks = [x_ND[:, first : first + _BLOCK] for first in range(0, features, _BLOCK)]
    deviation_D = np.concatenate([x_NB.std(0, dtype=np.float64) for x_NB in blocks])
    constant_D = x_ND.max(0) == x_ND.min(0)
    return x_ND.mean(0, dtype=np.float64), np.where(constant_D, 1.0, deviation_D)


def _linear(
    weight_KD: npt.NDArray[np.float64],
    bias_K: npt.NDArray[np.float64],
    mean_D: npt.NDArray[np.float64],
    scale_D: npt.NDArray[np.float64],
) -> dict[str, Tensor]:
    """Return the linear layer that does to features what the weights do to scaled ones."""
    weight_KD = weight_KD / scale_D
    bias_K = bias_K - weight_KD @ mean_D
    if len(weight_KD) == 1:
        weight_KD, bias_K = np.concatenate([-weight_KD, weight_KD]), np.concatenate([-bias_K, bias_K])
    return {"weight": torch.from_numpy(weight_KD).float(), "bias": torch.from_numpy(bias_K).float()}


def _require_possible(what: str, value: Any, default: Any) -> None:
    """Refuse what is no list of different positive numbers, positive number or truth value, as its default is."""
    whole = isinstance(default[0] if isinstance(default, list) else default, int)
    if isinstance(default, bool):
        possible = isinstance(value, bool)
    else:
        values = value if isinstance(default, list) else [value]
        possible = isinstance(values, list) and bool(values) and all(_positive(number, whole) for number in values)
        possible = possible and not any(one == other for one, other in itertools.pairwise(sorted(values)))
    if not possible:
        raise UsageError(f"{what} {value!r} cannot be.", f"A usual value is {default}.")


def _positive(number: Any, whole: bool) -> bool:
    """Tell whether a value is a positive, and if need be a whole, number."""
    return not isinstance(number, bool) and isinstance(number, int if whole else (int, float)) and number > 0
