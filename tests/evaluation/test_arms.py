"""Arms: names of a variant under an inference."""

from __future__ import annotations

import pytest

from har.evaluation.arms import arm, arms, inferences_of, is_transductive, parts_of
from har.norms.inferences import NAMES


@pytest.mark.parametrize("inference", NAMES)
def test_a_name_says_variant_and_inference(inference):
    assert parts_of(arm("every", inference)) == ("every", inference)


def test_the_variant_alone_is_what_runs_predict_by_default():
    assert arm("every", "running") == "every"
    assert arms(["none", "every"], ["running", "population"]) == [
        "none",
        "none@population",
        "every",
        "every@population",
    ]


def test_a_study_from_before_there_was_a_choice_has_one_inference():
    assert inferences_of({}) == ["running"]


@pytest.mark.parametrize("inference", [*NAMES, "target-0.5", "target-stream-oftta"])
def test_transductive_is_what_uses_the_target(inference):
    assert is_transductive(arm("every", inference)) == inference.startswith("target")
    assert not is_transductive("target")  # a variant of that name is none
