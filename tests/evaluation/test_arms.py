"""Arms: names of a variant under an inference."""

from __future__ import annotations

import pytest

from har.errors import UsageError
from har.evaluation.arms import arm, arms, inferences_of, is_transductive, kind_of, parts_of, remark
from har.norms.inferences import NAMES, parse


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


@pytest.mark.parametrize(
    ("inference", "kind"),
    [
        ("running", "inductive"),
        ("population-layerwise", "inductive"),
        ("target-0.5", "transductive"),
        ("personal-20s", "personal"),
        ("turned-30", "changed"),
        ("without-gyro_x", "changed"),
        ("target-stream+turned-x90", "changed"),
    ],
)
def test_every_arm_is_of_one_kind_and_says_what_sets_it_apart(inference, kind):
    assert parse(inference).name == inference
    name = arm("target-turned", inference)  # a variant's name says nothing
    assert kind_of(name) == kind
    assert is_transductive(name) == inference.startswith("target")
    assert ("changed at use" in remark(name)) == (kind == "changed")
    assert ("labelled windows" in remark(name).replace("unlabelled", "")) == (kind == "personal")
    assert ("transductive" in remark(name)) == inference.startswith("target")


def test_of_two_arms_each_thing_is_said_once() -> None:
    said = remark("plain@target+turned-30", "plain@turned-30")
    assert said.count("changed at use") == said.count("transductive") == 1


@pytest.mark.parametrize(
    "name", ["turned-0", "turned-181", "turned-w30", "running+turned-30", "without-", "turned-30+target"]
)
def test_a_change_at_use_has_one_spelling(name):
    with pytest.raises(UsageError, match="inference"):
        parse(name)
