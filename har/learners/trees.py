"""Gradient-boosted trees as tensors: grown by scikit-learn, walked through by torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingClassifier


class Trees(nn.Module):
    """Sums of regression trees, one sum for each activity (Friedman 2001, Annals of Statistics 29(5):1189).

    All trees of all iterations lie side by side in tables of nodes, R = iterations · J, with J trees an iteration: one
    of each activity, or one alone of two activities. A node sends a window to the left where its feature is at most the
    node's threshold; a leaf sends it to itself. Trees that were not grown are a leaf of value 0.

    Args:
        activities: Number of activities K.
        iterations: The most iterations.
        leaves: The most leaves of a tree.
        depth: The most nodes from a root to a leaf, the root not counted.
    """

    start: Tensor

    def __init__(self, activities: int, iterations: int, leaves: int, depth: int) -> None:
        super().__init__()
        self.depth = min(depth, leaves - 1)
        self.columns = 1 if activities == 2 else activities
        shape = (iterations * self.columns, 2 * leaves - 1)
        for name in ("feature", "left", "right"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.int64))
        for name in ("threshold", "value"):
            self.register_buffer(name, torch.zeros(shape, dtype=torch.float64))
        self.register_buffer("start", torch.zeros(self.columns, dtype=torch.float64))

    @property
    def multiply_adds(self) -> int:
        """Comparisons and sums of one window, which are no products, but what a tree costs instead."""
        return self.get_buffer("value").shape[0] * (self.depth + 1)

    def forward(self, features_ND: Tensor) -> Tensor:
        """Return decision_NK, float (windows, activities), of features_ND, float (windows, features)."""
        feature_RM, threshold_RM, left_RM, right_RM, value_RM = (
            self.get_buffer(name) for name in ("feature", "threshold", "left", "right", "value")
        )
        exact_ND = features_ND.double()  # as thresholds are: halfway between two values of float32
        tree_R = torch.arange(len(value_RM), device=features_ND.device)
        node_NR = torch.zeros_like(exact_ND[:, :1], dtype=torch.int64).expand(-1, len(value_RM))
        for _ in range(self.depth):
            own_NR = exact_ND.gather(1, feature_RM[tree_R, node_NR])
            is_left_NR = own_NR <= threshold_RM[tree_R, node_NR]
            node_NR = torch.where(is_left_NR, left_RM[tree_R, node_NR], right_RM[tree_R, node_NR])
        value_NIJ = value_RM[tree_R, node_NR].reshape(-1, len(value_RM) // self.columns, self.columns)
        decision_NJ = value_NIJ.sum(1) + self.start
        if self.columns == 1:
            decision_NJ = torch.cat([-decision_NJ / 2, decision_NJ / 2], dim=1)
        decision_NK: Tensor = decision_NJ.to(features_ND.dtype)
        return decision_NK


def boosted(
    features_ND: npt.NDArray[np.float32], label_N: npt.NDArray[np.int64], iterations: int, seed: int, **options: Any
) -> HistGradientBoostingClassifier:
    """Grow trees on the features of training windows.

    Args:
        features_ND: float32 (windows, features).
        label_N: int64 (windows,).
        iterations: How many.
        seed: The run's seed.
        **options: ``learning_rate``, ``leaves``, ``depth`` and ``least_windows`` of a leaf.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier  # 2 s, which using trees does without

    model = HistGradientBoostingClassifier(
        max_iter=iterations,
        learning_rate=options["learning_rate"],
        max_leaf_nodes=options["leaves"],
        max_depth=options["depth"],
        min_samples_leaf=options["least_windows"],
        early_stopping=False,  # which would hold back windows of training subjects, by chance
        random_state=seed,
    )
    return model.fit(features_ND, label_N)


def tensors_of(
    model: HistGradientBoostingClassifier, empty: Mapping[str, Tensor], iterations: int
) -> dict[str, Tensor]:
    """Return the first iterations of a model as tensors of `Trees`.

    Args:
        model: The model, fitted.
        empty: The tensors of a module without trees, which give the shapes.
        iterations: How many of the model's iterations are taken.
    """
    state = {name: value.clone() for name, value in empty.items()}
    state["start"] = torch.from_numpy(np.asarray(model._baseline_prediction, np.float64).reshape(-1))
    rows = [grown for iteration in model._predictors[:iterations] for grown in iteration]
    for row, grown in enumerate(rows):
        nodes, count = grown.nodes, len(grown.nodes)
        is_leaf_M, own_M = nodes["is_leaf"].astype(bool), np.arange(count)
        columns = {
            "feature": np.where(is_leaf_M, 0, nodes["feature_idx"]),
            "threshold": np.where(is_leaf_M, 0.0, nodes["num_threshold"]),
            "left": np.where(is_leaf_M, own_M, nodes["left"]),
            "right": np.where(is_leaf_M, own_M, nodes["right"]),
            "value": nodes["value"],
        }
        for name, column_M in columns.items():
            state[name][row, :count] = torch.from_numpy(np.asarray(column_M).astype(state[name].numpy().dtype))
    return state
