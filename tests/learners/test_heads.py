"""Heads that scikit-learn fits: torch decides as scikit-learn does, on data that neither has seen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from har.errors import UsageError
from har.learners.cnn import CNN
from har.learners.handcrafted import HandCrafted
from har.learners.heads import Head, Material

GENERATOR = np.random.default_rng(20260)
TREES = {"iterations": [4, 12], "leaves": 7, "depth": 4, "least_windows": 5}


def drawn(windows: int, features: int, activities: int) -> Material:
    """Noisy clusters, on scales that differ by feature, each activity there."""
    label_N = np.concatenate([np.arange(activities), GENERATOR.integers(activities, size=windows - activities)])
    centre_KD = np.random.default_rng(activities).normal(size=(activities, features))
    noise_ND = GENERATOR.normal(size=(windows, features)) * 1.5
    features_ND = (centre_KD[label_N] + noise_ND) * np.linspace(0.5, 3, features) + 1
    return Material(features_ND.astype(np.float32), label_N, activities)


def decisions(head: Head, material: Material, fresh_ND: np.ndarray, number: int = 0) -> np.ndarray:
    module = head.build(fresh_ND.shape[1], material.activities)
    candidate = list(head.candidates(material, 3))[number]
    module.load_state_dict(candidate.state)
    with torch.no_grad():
        return module(torch.from_numpy(fresh_ND)).numpy()


def as_ours(decision: np.ndarray) -> np.ndarray:
    """One number of each activity; scikit-learn has a single one for two."""
    return np.stack([-decision, decision], axis=1) if decision.ndim == 1 else decision


@pytest.mark.parametrize("activities", [2, 5])
def test_the_svm_decides_as_scikit_learns(activities: int) -> None:
    material, fresh_ND = drawn(150, 8, activities), drawn(60, 8, activities).features_ND
    svm = LinearSVC(C=0.25, random_state=3, dual="auto", max_iter=10_000).fit(material.features_ND, material.label_N)
    found_NK = decisions(Head("linear_svm", {"c": [0.25, 4.0]}), material, fresh_ND)
    np.testing.assert_allclose(found_NK, as_ours(svm.decision_function(fresh_ND)), atol=1e-5, rtol=1e-5)
    scaled = make_pipeline(StandardScaler(), LinearSVC(C=4.0, random_state=3, dual="auto", max_iter=10_000))
    scaled.fit(material.features_ND, material.label_N)
    found_NK = decisions(Head("linear_svm", {"c": [0.25, 4.0], "standardise": True}), material, fresh_ND, number=1)
    np.testing.assert_allclose(found_NK, as_ours(scaled.decision_function(fresh_ND)), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("activities", [2, 5])
@pytest.mark.parametrize("features", [8, 260], ids=["fewer-features", "fewer-windows"])
def test_the_ridge_decides_as_scikit_learns(activities: int, features: int) -> None:
    material, fresh_ND = drawn(150, features, activities), drawn(60, features, activities).features_ND
    head = Head("ridge", {"alpha": [0.5, 30.0]})
    assert head.tried == [30.0, 0.5]
    for number, alpha in enumerate(head.tried):
        ridge = make_pipeline(StandardScaler(), RidgeClassifier(alpha=alpha))
        ridge.fit(material.features_ND.astype(np.float64), material.label_N)
        expected_NK = as_ours(ridge.decision_function(fresh_ND.astype(np.float64)))
        found_NK = decisions(head, material, fresh_ND, number)
        np.testing.assert_allclose(found_NK, expected_NK, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("activities", [2, 4])
@pytest.mark.parametrize("number", [0, 1])
def test_trees_decide_as_scikit_learns_after_each_number_of_iterations(activities: int, number: int) -> None:
    material, fresh_ND = drawn(200, 6, activities), drawn(300, 6, activities).features_ND
    model = HistGradientBoostingClassifier(
        max_iter=TREES["iterations"][number], max_leaf_nodes=7, max_depth=4, min_samples_leaf=5, early_stopping=False
    )
    model.fit(material.features_ND, material.label_N)
    found_NK = decisions(Head("boosted_trees", TREES), material, fresh_ND, number)
    probability_NK = torch.softmax(torch.from_numpy(found_NK), dim=1).numpy()
    np.testing.assert_allclose(probability_NK, model.predict_proba(fresh_ND), atol=1e-6)


def test_a_value_at_a_threshold_goes_to_the_left_as_in_scikit_learn() -> None:
    """Windows that lie exactly on thresholds: features of few values, in the training windows and between them."""
    material = drawn(300, 3, 3)
    material.features_ND[:] = np.round(material.features_ND)
    fresh_ND = (GENERATOR.integers(-8, 8, size=(200, 3)) / 2).astype(np.float32)
    model = HistGradientBoostingClassifier(
        max_iter=12, max_leaf_nodes=7, max_depth=4, min_samples_leaf=5, early_stopping=False
    ).fit(material.features_ND, material.label_N)
    found_NK = decisions(Head("boosted_trees", TREES), material, fresh_ND, number=1)
    np.testing.assert_allclose(found_NK, model._raw_predict(fresh_ND), atol=1e-6)


@pytest.mark.parametrize("kind", ["linear_svm", "ridge", "boosted_trees"])
def test_constant_features_and_an_activity_of_one_window_are_no_obstacle(kind: str) -> None:
    material = drawn(60, 5, 3)
    material.features_ND[:, 2] = 4.0
    material.label_N[:] = np.where(np.arange(60) == 7, 2, np.arange(60) % 2)
    head = Head(kind, {"iterations": [3]} if kind == "boosted_trees" else {})
    assert np.isfinite(decisions(head, material, material.features_ND)).all()


def test_an_svm_that_has_not_converged_is_told() -> None:
    head = Head("linear_svm", {"c": [1000.0], "most_iterations": 1})
    (candidate,) = head.candidates(drawn(80, 30, 3), 0)
    assert candidate.doubt == "the SVM with C = 1000 had not converged after 1 iterations."


def test_what_is_tried_goes_from_the_most_regular_to_the_least() -> None:
    assert Head("linear_svm").tried == [2.0**power for power in range(-6, 6)]
    assert Head("linear_svm", {"c": [3, 1]}).tried == [1, 3]
    assert Head("ridge").tried == [10.0**power for power in range(5, -4, -1)]
    assert Head("boosted_trees").tried[0] == 10
    assert Head().tried == []


@pytest.mark.parametrize(
    ("kind", "options", "match"),
    [
        ("svm", {}, "'svm' is not known"),
        ("linear_svm", {"alpha": [1.0]}, "'alpha' is not known"),
        ("linear_svm", {"c": 1.0}, "c 1.0"),
        ("linear_svm", {"c": []}, "c"),
        ("linear_svm", {"c": [1.0, 1.0]}, "c"),
        ("linear_svm", {"c": [0.0]}, "c"),
        ("linear_svm", {"c": ["1"]}, "c"),
        ("ridge", {"standardise": 1}, "standardise 1"),
        ("boosted_trees", {"iterations": [1.5]}, "iterations"),
        ("boosted_trees", {"leaves": 0}, "leaves 0"),
        ("boosted_trees", {"leaves": 1}, "1 leaf"),
    ],
)
def test_impossible_options_are_refused(kind: str, options: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        Head(kind, options)


def test_an_alpha_that_is_lost_beside_dependent_features_is_refused() -> None:
    """Windows of two kinds: products of exactly ±64, whose Cholesky decomposition has a pivot of exactly 0."""
    sign_N = np.tile([1.0, -1.0], 10)
    material = Material(np.repeat(sign_N[:, None], 64, axis=1).astype(np.float32), (sign_N > 0).astype(np.int64), 2)
    with pytest.raises(UsageError, match="alpha 1e-20 is too small"):
        list(Head("ridge", {"alpha": [1e-20], "standardise": False}).candidates(material, 0))


def test_heads_stand_only_behind_features_that_they_can_be_fitted_on() -> None:
    with pytest.raises(UsageError, match="HandCrafted are fitted at once, so head softmax") as error:
        Head().require_behind(HandCrafted())
    assert "linear_svm, ridge, boosted_trees" in error.value.hint
    with pytest.raises(UsageError, match="those of CNN are trained"):
        Head("boosted_trees").require_behind(CNN())
    Head("linear_svm").require_behind(CNN())
    Head("boosted_trees").require_behind(HandCrafted())
