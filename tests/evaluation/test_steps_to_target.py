"""Steps to a target: the first of two evaluations in a row, censored and never dropped, in planted curves."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from har.evaluation.gathering import DivergedRun, Gathered
from har.evaluation.steps_to_target import UNITS, first_of_two, steps_to_target, target_in_words
from har.evaluation.target_tables import target_tables

SCORES = st.lists(st.one_of(st.none(), st.sampled_from([0.2, 0.5, 0.8])), max_size=12)


def curve(*scores, every=10, seconds_per_step=0.5):
    steps = range(every, every * len(scores) + 1, every)
    pairs = zip(steps, scores, strict=True)
    return [{"step": s, "validation_macro_f1": score, "seconds": seconds_per_step * s} for s, score in pairs]


def study(curves, *, contrasts=(("every", "none"),), reference="none", share=1.0, batch_size=None):
    """A study of curves by (variant, fold, repeat)."""
    variants = list(dict.fromkeys(variant for variant, _, _ in curves))
    runs = [
        SimpleNamespace(
            arm=variant,
            fold=fold,
            repeat=repeat,
            folder=f"{variant}/{fold}/repeat-{repeat}",
            curve=points,
            record={"batch_size": batch_size[variant]} if variant in (batch_size or {}) else {},
        )
        for (variant, fold, repeat), points in curves.items()
    ]
    declared = {"reference": reference, "share": share}
    protocol = {"batch_size": 64}
    pairs = [{"a": a, "b": b, "primary": False} for a, b in contrasts]
    return Gathered(
        {"variants": {name: {} for name in variants}, "contrasts": pairs, "target": declared, "protocol": protocol},
        runs,
        [],
        [],
    )


def diverge(gathered, name, fold, points, max_steps):
    """Let one run of a study have diverged after some evaluations."""
    place = f"{name}/{fold}/repeat-0"
    runs = [run for run in gathered.runs if run.folder != place]
    diverged = DivergedRun(name, fold, 0, place, {"batch_size": 64}, points, max_steps)
    return replace(gathered, runs=runs, diverged=(*gathered.diverged, diverged))


def found(curves, **options):
    result, problems = steps_to_target(study(curves, **options), shared_repeats=False)
    assert problems == []
    return result


def paired(ours, theirs, **options):
    """One repeat, folds by position: curves of `every` and `none`."""
    curves = {("none", f"fold-{i}", 0): points for i, points in enumerate(theirs)}
    return found(curves | {("every", f"fold-{i}", 0): points for i, points in enumerate(ours)}, **options)


@given(SCORES, st.sampled_from([0.2, 0.5, 0.8]))
@settings(max_examples=300)
def test_a_hit_is_the_first_of_two_in_a_row(values, target):
    position = first_of_two(values, target)
    pairs = [(a or 0) >= target and (b or 0) >= target for a, b in pairwise(values)]
    assert position == (pairs.index(True) if True in pairs else None)


@pytest.mark.parametrize(
    ("values", "position"),
    [
        ([0.9, 0.9, 0.1], 0),  # at the first evaluation
        ([0.1, 0.9, 0.1, 0.9, 0.9], 3),  # a dip between two hits starts the count anew
        ([0.1, 0.9, 0.7, 0.9], None),
        ([0.1, 0.1, 0.9], None),  # the last alone has nobody to confirm it
        ([0.8, 0.8], 0),  # exactly at the target
        ([0.9, None, 0.9, 0.9], 2),  # no score is no hit
        ([0.9], None),
        ([], None),
    ],
)
def test_one_lucky_evaluation_is_no_arrival(values, position):
    assert first_of_two(values, 0.8) == position


def test_times_of_a_run_are_those_of_the_evaluation_that_hit():
    result = paired([curve(0.1, 0.9, 0.9, 0.9)], [curve(0.1, 0.2, 0.8, 0.8)])
    ours = next(run for run in result["runs"] if run["variant"] == "every")
    assert (ours["target"], ours["steps"], ours["examples"], ours["seconds"]) == (0.8, 20, 20 * 64, 10.0)
    assert ours["followed"] == {"steps": 40, "examples": 40 * 64, "seconds": 20.0}


def test_the_target_is_that_of_the_same_fold_and_repeat():
    curves = {}
    for fold, best in (("a", 0.5), ("b", 0.7)):
        for repeat, more in ((0, 0.0), (1, 0.1)):
            curves["none", fold, repeat] = curve(0.1, best + more, best + more)
            curves["every", fold, repeat] = curve(0.9, 0.9, 0.9)
    result = found(curves, share=0.5)
    targets = {(run["fold"], run["repeat"]): run["target"] for run in result["runs"] if run["variant"] == "every"}
    assert targets == {
        ("a", 0): pytest.approx(0.25),
        ("a", 1): pytest.approx(0.3),
        ("b", 0): pytest.approx(0.35),
        ("b", 1): pytest.approx(0.4),
    }
    assert target_in_words(result) == "50 % of the best validation macro F1 of none"


def test_ratio_and_interval_are_those_of_a_t_test_on_paired_logs():
    at = [1, 2, 2, 4, 3]
    none = [curve(*[0.1] * 7, 0.8, 0.8)] * 5  # reached at step 80
    every = [curve(*[0.1] * (k - 1), *[0.9] * (10 - k)) for k in at]
    steps = paired(every, none)["contrasts"][0]["units"]["steps"]
    logs = np.log([10 * k / 80 for k in at])
    test = stats.ttest_1samp(logs, 0).confidence_interval()
    assert steps["ratio"] == pytest.approx(math.exp(logs.mean()))
    assert steps["ratio_interval"] == pytest.approx([math.exp(test.low), math.exp(test.high)])
    cut = np.array([10 * k - 80 for k in at], dtype=float)
    test = stats.ttest_1samp(cut, 0).confidence_interval()
    assert steps["difference"] == pytest.approx(cut.mean())
    assert steps["difference_interval"] == pytest.approx([test.low, test.high])


def test_a_censored_run_counts_in_the_restricted_mean_and_not_in_the_ratio():
    never = curve(0.1, 0.1, 0.1, 0.1)
    none = [curve(0.1, 0.8, 0.8, 0.8), curve(0.1, 0.8, 0.8, 0.8)]
    result = paired([never, curve(0.9, 0.9, 0.9, 0.9)], none)
    every, pair = result["variants"]["every"], result["contrasts"][0]
    assert (every["reached"], every["median"]["steps"], every["restricted_mean"]["steps"]) == (0.5, 10.0, 25.0)
    assert (pair["folds"], pair["folds_both"]) == (2, 1)
    assert pair["units"]["steps"]["ratio"] == pytest.approx(0.5)
    assert pair["units"]["steps"]["ratio_interval"] is None
    assert pair["units"]["steps"]["difference"] == pytest.approx(((40 - 20) + (10 - 20)) / 2)
    assert "no interval from one fold; both reach it in 1 of 2 folds" in pair["sentence"]


def test_all_censored_gives_no_median_no_ratio_and_the_whole_budget():
    none = [curve(0.1, 0.9, 0.1, 0.1)] * 3  # passes its own best once, never twice in a row
    result = paired([curve(0.1, 0.1, 0.1, 0.1)] * 3, none)
    for variant in ("none", "every"):
        own = result["variants"][variant]
        assert own["reached"] == 0.0
        assert own["median"] == dict.fromkeys(UNITS)
        assert own["restricted_mean"] == {"steps": 40.0, "examples": 2560.0, "seconds": 20.0}
        assert own["curve"] == []
    pair = result["contrasts"][0]
    assert pair["units"]["steps"]["ratio"] is None
    assert pair["units"]["steps"]["difference"] == 0.0
    assert pair["sentence"] == "every against none: neither reaches the target within 40 steps, in any of 3 folds."


def test_where_one_of_two_variants_never_arrives_there_is_no_ratio_and_a_difference():
    pair = paired([curve(0.9, 0.9, 0.9)] * 3, [curve(0.1, 0.9, 0.1)] * 3)["contrasts"][0]
    assert "no ratio of steps, as both reach the target in 0 of 3 folds" in pair["sentence"]
    assert "restricted mean up to 30 steps −20.0 steps" in pair["sentence"]


def test_reached_at_the_first_evaluation_by_all():
    result = paired([curve(0.9, 0.9)] * 2, [curve(0.9, 0.9)] * 2)
    assert result["variants"]["every"]["median"] == {"steps": 10.0, "examples": 640.0, "seconds": 5.0}
    assert result["variants"]["every"]["curve"] == [[10.0, 1.0]]
    assert result["contrasts"][0]["units"]["steps"]["ratio"] == 1.0
    assert "times fewer" not in result["contrasts"][0]["sentence"]


def test_repeats_of_a_fold_are_averaged_before_folds_are():
    curves = {("none", fold, repeat): curve(*[0.1] * 3, 0.8, 0.8) for fold in "ab" for repeat in (0, 1)}
    for (fold, repeat), k in {("a", 0): 1, ("a", 1): 2, ("b", 0): 4}.items():  # b's second run is missing
        curves["every", fold, repeat] = curve(*[0.1] * (k - 1), *[0.9] * (6 - k))
    result = found(curves)
    expected = ((math.log(10 / 40) + math.log(20 / 40)) / 2 + math.log(40 / 40)) / 2
    assert math.log(result["contrasts"][0]["units"]["steps"]["ratio"]) == pytest.approx(expected)
    assert result["variants"]["every"]["restricted_mean"]["steps"] == pytest.approx((15 + 40) / 2)
    assert (result["variants"]["every"]["folds"], result["variants"]["every"]["runs"]) == (2, 3)
    assert result["contrasts"][0]["folds"] == 2


def test_a_fold_counts_once_in_the_share_reached_however_many_of_its_runs_count():
    curves = {("none", fold, repeat): curve(0.1, 0.8, 0.8) for fold in "ab" for repeat in (0, 1)}
    curves |= {("every", "a", 0): curve(0.9, 0.9, 0.9), ("every", "a", 1): curve(0.1, 0.1, 0.1)}
    curves |= {("every", "b", 0): curve(0.9, 0.9, 0.9)}
    assert found(curves)["variants"]["every"]["reached"] == pytest.approx((1 / 2 + 1) / 2)


def test_examples_count_the_batch_of_the_variant():
    result = paired([curve(0.9, 0.9)], [curve(0.9, 0.9)], batch_size={"every": 16})
    units = result["contrasts"][0]["units"]
    assert (units["steps"]["ratio"], units["examples"]["ratio"]) == (1.0, pytest.approx(0.25))


def test_the_shortest_budget_restricts_all_means():
    result = paired([curve(0.1, 0.1)], [curve(0.1, 0.1, 0.8, 0.8)])
    assert result["limits"]["steps"] == 20.0
    assert result["variants"]["none"]["restricted_mean"]["steps"] == 20.0
    assert result["variants"]["none"]["median"]["steps"] == 30.0
    assert result["contrasts"][0]["units"]["steps"]["difference"] == 0.0


def test_contrasts_of_inferences_are_one_contrast_of_the_training():
    curves = {(variant, "a", 0): curve(0.9, 0.9) for variant in ("none", "every")}
    contrasts = [("every@population", "every"), ("every", "none"), ("every@population", "none")]
    assert [(pair["a"], pair["b"]) for pair in found(curves, contrasts=contrasts)["contrasts"]] == [("every", "none")]


def test_runs_without_a_target_or_a_curve_are_left_out_and_named():
    curves = {("none", "a", 0): curve(0.9, 0.9), ("none", "b", 0): [], ("every", "c", 0): curve(0.9, 0.9)}
    curves |= {("every", "a", 0): curve(0.9, 0.9), ("every", "b", 0): curve(0.9, 0.9)}
    result, problems = steps_to_target(study(curves), shared_repeats=False)
    assert len(result["runs"]) == 2
    assert len(problems) == 1
    assert "3 of 5 runs (none/b/repeat-0, every/c/repeat-0, every/b/repeat-0)" in problems[0]


def test_a_curve_without_times_is_left_out():
    points = [{"step": 10, "validation_macro_f1": 0.9}, {"step": 20, "validation_macro_f1": 0.9}]
    curves = {("none", "a", 0): curve(0.9, 0.9), ("every", "a", 0): points}
    assert "1 of 2 runs" in steps_to_target(study(curves), shared_repeats=False)[1][0]


def test_no_run_at_all_is_an_empty_finding():
    gathered = study({("none", "a", 0): [], ("every", "a", 0): []})
    gathered.runs.clear()
    result, problems = steps_to_target(gathered, shared_repeats=False)
    assert problems == []
    assert (result["runs"], result["limits"], result["variants"]["none"]["reached"]) == ([], {}, None)
    assert [len(table.cells()) for table in target_tables(result)] == [2, 0, 3, 0]


@pytest.mark.parametrize("before", [[], [0.1], [0.9, 0.9]])
def test_a_run_that_diverged_never_arrives_and_shortens_no_limit(before):
    """In planted curves it is what a run of the whole budget that never arrives is, but for its own seconds."""
    curves = {("none", fold, 0): curve(0.1, 0.8, 0.8, 0.8) for fold in "abc"}
    curves |= {("every", fold, 0): curve(0.9, 0.9, 0.9, 0.9) for fold in "bc"}
    never = found(curves | {("every", "a", 0): curve(0.1, 0.1, 0.1, 0.1)})
    gathered = diverge(study(curves | {("every", "a", 0): []}), "every", "a", curve(*before), max_steps=40)
    result, problems = steps_to_target(gathered, shared_repeats=False)
    assert problems == ["Steps to the target count 1 run that diverged as never arriving (every/a/repeat-0)."]
    assert result["limits"] == {"steps": 40, "examples": 40 * 64, "seconds": 20.0}
    assert result["variants"] == never["variants"]
    assert result["contrasts"] == never["contrasts"]
    assert result["variants"]["every"]["reached"] == pytest.approx(2 / 3)
    ours = next(run for run in result["runs"] if (run["variant"], run["fold"]) == ("every", "a"))
    assert [ours[unit] for unit in UNITS] == [None] * 3
    assert ours["followed"] == {"steps": 40, "examples": 40 * 64, "seconds": 5.0 * len(before)}


def test_where_the_reference_diverged_its_fold_is_left_out_and_named():
    curves = {(name, fold, 0): curve(0.1, 0.8, 0.8) for fold in "ab" for name in ("none", "every")}
    gathered = diverge(study(curves), "none", "a", curve(0.9, 0.9), max_steps=30)
    result, problems = steps_to_target(gathered, shared_repeats=False)
    assert {run["fold"] for run in result["runs"]} == {"b"}
    assert len(problems) == 1
    assert "leave out 2 of 4 runs (every/a/repeat-0, none/a/repeat-0): none has no score there" in problems[0]


def test_the_tables_hold_the_finding():
    never = curve(0.1, 0.1, 0.1, 0.1)
    result = paired([never, curve(0.9, 0.9, 0.9, 0.9)], [curve(0.1, 0.8, 0.8, 0.8)] * 2, share=0.9)
    variants, curves, contrasts, runs = target_tables(result)
    assert [table.name for table in (variants, curves, contrasts, runs)] == [
        "steps-to-target",
        "steps-to-target-curves",
        "steps-to-target-contrasts",
        "steps-to-target-runs",
    ]
    assert variants.cells()[1] == ["every", "0.500", "10", "25", "640", "1600", "5.0", "12.5", "2", "2"]
    assert "90 % of the best validation macro F1 of none" in variants.title
    assert "40 steps, 2560 examples, 20.0 seconds" in variants.note
    assert [row for row in curves.cells() if row[0] == "every"] == [["every", "10", "0.500"]]
    assert contrasts.cells()[0][:7] == ["every", "none", "steps", "0.50", "", "", "1"]
    assert contrasts.cells()[0][7] == "+5.0"
    assert ["every", "fold-0", "0", "0.720", "", "", "", "40"] in runs.cells()
