"""A study is judged by what its folder holds: nothing is filled in, and whatever is left out is said."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.errors import DataError, UsageError
from har.evaluation.calibration import NOTHING_B3
from har.evaluation.comparison import evaluate_study, judge
from har.evaluation.contrast import corrected_t_p, holm, minimum_detectable_effect, sign_flip_p, t_interval
from har.evaluation.counts import Counts
from har.evaluation.gathering import Gathered, Run
from har.evaluation.measures import SUBJECT_POLICIES, confusion, macro_f1
from har.evaluation.practical import signed_rank
from har.evaluation.scores import PREDICTIONS
from har.evaluation.tables import contrasts_table
from tests.fakes.study import FakeStudy, write_run, write_study


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Three variants, eight subjects, two repeats; not to be changed."""
    return write_study(tmp_path_factory.mktemp("built"), FakeStudy(repeats=2))


@pytest.fixture
def study(built, tmp_path):
    """A copy of that study."""
    return Path(shutil.copytree(built, tmp_path / "runs" / "placement" / "fake"))


def _change(path: Path, **entries):
    path.write_text(json.dumps(json.loads(path.read_text()) | entries))


def _run(study, variant, subject, repeat=0):
    return study / f"v{['none', 'input', 'every'].index(variant)}" / f"subject-{subject}" / f"repeat-{repeat}"


def _macro(folder, policy="present"):
    """Macro F1 of a run, straight from its predictions."""
    frame = pd.read_parquet(folder / PREDICTIONS)
    names = ["walk", "sit", "stairs"]
    columns = (frame[column].map(names.index).to_numpy() for column in ("truth", "prediction"))
    return macro_f1(confusion(*columns, 3), policy)


def test_contrasts_equal_a_computation_from_the_predictions_by_hand(study):
    result = evaluate_study(study)
    by_hand = []
    for a, b in (("every", "input"), ("input", "none")):
        pairs = [[_macro(_run(study, a, s, r)) - _macro(_run(study, b, s, r)) for r in (0, 1)] for s in range(1, 9)]
        by_hand.append(np.mean(pairs, axis=1))
    adjusted = holm([sign_flip_p(difference_S) for difference_S in by_hand])
    for found, difference_S, p_holm in zip(result["contrasts"], by_hand, adjusted, strict=True):
        assert list(found["differences"].values()) == pytest.approx(difference_S)
        assert found["mean"] == pytest.approx(difference_S.mean())
        assert found["interval"] == pytest.approx(t_interval(difference_S))
        assert found["p_holm"] == pytest.approx(p_holm)
        assert (found["subjects"], found["repeats"]) == (8, 2)
    assert result["contrasts"][0]["verdict"] == "better"
    assert result["problems"] == []
    assert result["answer"][0].startswith("every is better than input: +")
    assert json.loads((study / "contrasts.json").read_text(), parse_constant=pytest.fail) == result


def test_variants_are_means_over_subjects_and_sums_of_confusions(study):
    found = evaluate_study(study)["variants"]["every"]
    means_S = [np.mean([_macro(_run(study, "every", s, r)) for r in (0, 1)]) for s in range(1, 9)]
    assert list(found["per_subject"].values()) == pytest.approx(means_S)
    assert found["macro_f1"] == pytest.approx(np.mean(means_S))
    assert found["macro_f1_sd"] == pytest.approx(np.std(means_S, ddof=1))
    assert np.sum(found["confusion"]) == found["windows"] == 8 * 2 * 3 * 12
    assert found["macro_f1_pooled"] == pytest.approx(macro_f1(np.array(found["confusion"]), "pooled"))
    assert (found["best_step"], found["seconds"], found["parameters"]) == (300, 9.0, 40050)


def test_what_stands_beside_the_verdict_is_of_the_same_differences(study):
    for found in evaluate_study(study)["contrasts"]:
        difference_S = np.array(list(found["differences"].values()))
        assert found["effect"] == pytest.approx(difference_S.mean() / difference_S.std(ddof=1))
        assert found["p_corrected_t"] == pytest.approx(corrected_t_p(difference_S))
        assert tuple(found["practical"].values())[:3] == signed_rank(difference_S)
        low, high = found["superiority"]["interval"]
        assert low <= found["superiority"]["probability"] <= high
    assert found["practical"]["decision"] == "none"


def _again(study, plan, subject):
    """Let another fold test a subject too, with other predictions."""
    content = json.loads((study / "study.json").read_text())
    fold = next(fold for fold in content["folds"] if fold["test"] == [subject]) | {"name": f"again-{subject}"}
    content["folds"].append(fold)
    for run in [run for run in content["runs"] if run["fold"] == f"subject-{subject}"]:
        folder = run["folder"].replace("subject-", "again-")
        write_run(study / folder, plan, run["variant"], fold, run["repeat"] + 10)  # other seeds
        content["runs"].append(run | {"fold": fold["name"], "folder": folder})
    (study / "study.json").write_text(json.dumps(content))


def test_the_folds_that_test_a_subject_are_averaged_within_each_repeat(study):
    _again(study, FakeStudy(repeats=2), "3")
    shutil.rmtree(study / "v2" / "again-3" / "repeat-1")
    result = evaluate_study(study)

    def score(variant, repeat):
        runs = [_run(study, variant, 3, repeat)]
        runs += [study / runs[0].relative_to(study).as_posix().replace("subject-", "again-")] * (repeat == 0)
        return [_macro(run) for run in runs]

    by_repeat = [np.mean(np.subtract(score("every", repeat), score("input", repeat))) for repeat in (0, 1)]
    assert result["contrasts"][0]["differences"]["3"] == pytest.approx(np.mean(by_repeat))
    assert (result["contrasts"][0]["subjects"], result["contrasts"][0]["repeats"]) == (8, 2)
    every = np.mean([np.mean(score("every", repeat)) for repeat in (0, 1)])
    assert result["variants"]["every"]["per_subject"]["3"] == pytest.approx(every)


@settings(max_examples=30)
@given(
    keys=st.sets(st.tuples(st.integers(1, 4), st.sampled_from("xyz"), st.integers(0, 2)), min_size=1, max_size=16),
    seed=st.integers(0, 2**32 - 1),
)
def test_the_mean_difference_is_the_difference_of_the_means_where_all_pairs_are_there(keys, seed):
    generator = np.random.default_rng(seed)
    runs = []
    for subject, fold, repeat in sorted(keys):  # a subject may be tested by any folds, in any repeats
        truth = generator.integers(0, 3, 20)
        for variant in ("a", "b"):
            counts_KK = confusion(truth, generator.integers(0, 3, 20), 3)
            record = {"seed": int(generator.integers(0, 2**31))}
            place = f"{variant}/{subject}{fold}/{repeat}"
            confusions = {str(subject): counts_KK}
            counts = Counts(["p", "q", "r"], confusions, NOTHING_B3, None, "made up")
            runs.append(Run(variant, f"{subject}{fold}", repeat, place, record, counts, "w", []))
    study = {"name": "n", "question": "q", "data_set": "d", "variants": {"a": {}, "b": {}}, "folds": []}
    study |= {"contrasts": [{"a": "a", "b": "b", "primary": True}]}
    study["runs"] = [{"variant": run.arm, "fold": run.fold, "repeat": run.repeat} for run in runs]
    with tempfile.TemporaryDirectory() as folder:
        result = judge(Path(folder), Gathered(study, runs, [], ["p", "q", "r"]), "present")
    found, a, b = result["contrasts"][0], result["variants"]["a"], result["variants"]["b"]
    assert found["mean"] == pytest.approx(a["macro_f1"] - b["macro_f1"], abs=1e-12)
    for subject, difference in found["differences"].items():
        assert difference == pytest.approx(a["per_subject"][subject] - b["per_subject"][subject], abs=1e-12)


def test_a_failed_run_is_named_and_its_pair_left_out(study):
    _change(_run(study, "input", 3, 1) / "run.json", status="failed", error="loss is NaN at step 12")
    result = evaluate_study(study)
    assert (
        "v1/subject-3/repeat-1 does not count: its status is failed (loss is NaN at step 12)" in result["problems"][0]
    )
    contrast = result["contrasts"][0]
    assert any("15 of 16 pairs" in problem for problem in contrast["problems"])
    assert contrast["differences"]["3"] == pytest.approx(
        _macro(_run(study, "every", 3)) - _macro(_run(study, "input", 3))
    )
    assert result["runs"] == {"declared": 48, "counted": 47}


def test_a_subject_that_one_variant_lacks_is_left_out_of_both_and_named(study):
    for repeat in (0, 1):
        shutil.rmtree(_run(study, "every", 5, repeat))
    contrast = evaluate_study(study)["contrasts"][0]
    assert contrast["subjects"] == 7
    assert "5" not in contrast["differences"]
    assert "14 of 16 pairs of runs, without subject 5" in contrast["problems"][0]


def test_runs_of_different_windows_are_refused_and_the_family_keeps_its_size(study):
    path = _run(study, "none", 2) / PREDICTIONS
    rest = pd.read_parquet(path).iloc[1:]
    rest.to_parquet(path)
    _change(path.parents[1] / "run.json", test_windows=len(rest))
    result = evaluate_study(study)
    first, second = result["contrasts"]
    assert (second["verdict"], second["p"], second["differences"]) == ("not judged", None, {})
    assert "refused: its runs predicted different windows" in second["problems"][0]
    assert "v1/subject-2/repeat-0" in second["problems"][0]
    assert first["p_holm"] == pytest.approx(2 * first["p"])
    assert set(second["problems"]) <= set(result["problems"])


def test_predictions_of_one_activity_throughout_are_said_and_not_left_out(study):
    for subject in (2, 5):
        path = _run(study, "every", subject) / PREDICTIONS
        frame = pd.read_parquet(path)
        frame["prediction"] = "stairs"
        frame.to_parquet(path)
    result = evaluate_study(study)
    assert result["problems"] == [
        "2 of 16 runs of every predict one activity for every window, first v2/subject-2/repeat-0 (stairs)."
    ]
    assert result["contrasts"][0]["subjects"] == 8
    assert result["contrasts"][0]["differences"]["2"] < 0.2


def test_what_event_scores_lack_is_noted_once(study):
    result = evaluate_study(study)
    assert result["notes"] == ["100 % of the null time has no window, so insertions there cannot show."]
    assert result["variants"]["every"]["events"]["recordings"] == 8 * 2 * 3


@pytest.mark.parametrize("column", ["start_s", "end_s", "truth"])
def test_the_same_number_of_windows_is_not_the_same_windows(study, column):
    path = _run(study, "none", 2) / PREDICTIONS
    frame = pd.read_parquet(path)
    truth = pd.read_parquet(path.parents[1] / "truth.parquet")
    if column != "truth":
        frame.loc[0, column] += 0.02
    else:
        truth.loc[truth["activity"] == "walk", "activity"] = "sit"
        frame.loc[frame["truth"] == "walk", "truth"] = "sit"
    frame.to_parquet(path)
    truth.to_parquet(path.parents[1] / "truth.parquet")
    assert "refused" in evaluate_study(study)["contrasts"][1]["problems"][0]


def test_the_order_of_rows_does_not_matter(study):
    before = evaluate_study(study)
    path = _run(study, "none", 2) / PREDICTIONS
    pd.read_parquet(path).sample(frac=1, random_state=1).to_parquet(path)
    assert evaluate_study(study) == before


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda run: (run / PREDICTIONS).unlink(), "no such predictions file"),
        (lambda run: (run / PREDICTIONS).write_bytes(b"PAR1"), "damaged"),
        (lambda run: (run / "truth.parquet").unlink(), "no such truth file"),
        (lambda run: (run / "run.json").unlink(), "never finished"),
        (lambda run: (run / "run.json").write_text("{"), "damaged"),
        (lambda run: (run / "run.json").write_text("[]"), "run.json is damaged (it holds no object)"),
        (lambda run: (run / "metrics.jsonl").write_text("{"), "damaged"),
        (lambda run: (run / "metrics.jsonl").write_text('{"step": 1}\n[2]\n'), "a line is no evaluation with a step"),
        (lambda run: _change(run / "run.json", status="running"), "its status is running"),
    ],
)
def test_a_run_whose_files_do_not_bear_it_out_does_not_count(study, harm, says):
    harm(_run(study, "every", 4))
    result = evaluate_study(study)
    assert len([problem for problem in result["problems"] if says in problem and "v2/subject-4" in problem]) == 1
    assert result["runs"]["counted"] == 47


def test_a_run_of_other_subjects_or_activities_does_not_count(study):
    plan = FakeStudy(activities=["walk", "sit", "run"])
    other = write_study(study.parent / "other", plan)
    shutil.copytree(_run(other, "every", 1), _run(study, "every", 1), dirs_exist_ok=True)
    for name in (PREDICTIONS, Path("truth.parquet")):
        shutil.copy(_run(study, "every", 3) / name, _run(study, "every", 2) / name)
    problems = evaluate_study(study)["problems"]
    assert "its activities differ" in problems[0]
    assert "its windows are not those of its test subjects (subject 2)" in problems[1]


def test_a_study_without_a_single_finished_run_is_described_and_not_judged(study):
    for run in study.glob("v*/*/*"):
        _change(run / "run.json", status="failed", error="out of memory")
    result = evaluate_study(study)
    assert {contrast["verdict"] for contrast in result["contrasts"]} == {"not judged"}
    assert result["variants"]["every"]["macro_f1"] is None
    assert "not judged" in result["answer"][0]


def test_seeds_that_folds_share_are_said(tmp_path):
    assert "The seeds of a repeat" in evaluate_study(write_study(tmp_path, FakeStudy(shared_seeds=True)))["problems"][0]


def test_one_subject_gives_no_claim_and_that_is_said_first(tmp_path):
    result = evaluate_study(write_study(tmp_path, FakeStudy(subjects=1)))
    contrast = result["contrasts"][0]
    assert "Contrast every against input rests on one subject: no interval and no test." in result["problems"]
    assert (contrast["subjects"], contrast["interval"], contrast["verdict"]) == (1, None, "undecided")
    assert "descriptive only" in contrast["sentence"]


def test_the_detectable_difference_is_adjusted_over_the_declared_contrasts(study):
    result = evaluate_study(study)
    for found in result["contrasts"]:
        assert found["detectable"] == pytest.approx(minimum_detectable_effect(found["sd"], 8, 2))
        assert found["p_holm_smallest"] == pytest.approx(2 * 2 / 2**8)
    assert "subjects differ as much as these, this design finds a true difference of" in result["answer"][1]
    assert "F1 points in four of five studies (Holm-adjusted over 2 contrasts)." in result["answer"][1]


def test_a_design_that_can_show_nothing_says_why_and_claims_no_detectable_difference(tmp_path):
    pairs = [("every", "input"), ("input", "none"), ("every", "none")]
    reason = "with 6 subjects and 3 contrasts the smallest possible Holm p is 0.0938"
    result = evaluate_study(write_study(tmp_path / "three", FakeStudy(subjects=6, contrasts=pairs)))
    for found in result["contrasts"]:
        assert (found["detectable"], found["verdict"]) == (None, "undecided")
        assert f"(descriptive only: {reason})" in found["sentence"]
    assert f"this design cannot show any difference: {reason}." in result["answer"][1]
    assert reason in contrasts_table(result).note
    one = evaluate_study(write_study(tmp_path / "one", FakeStudy(subjects=6, contrasts=pairs[:1])))
    assert one["contrasts"][0]["verdict"] == "better"
    assert "(Holm-adjusted over 1 contrast)" in one["answer"][1]
    assert "Holm-adjusted over 1 contrast (" in contrasts_table(one).note
    assert "cannot show" not in contrasts_table(one).note


def test_a_contrast_under_union_is_of_the_scores_under_union(tmp_path):
    plan = FakeStudy(absent={str(subject): ["stairs"] for subject in (2, 5, 6)})
    folder = write_study(tmp_path, plan)
    differences = {policy: evaluate_study(folder, policy)["contrasts"][0]["differences"] for policy in SUBJECT_POLICIES}
    for policy, found in differences.items():
        by_hand = [_macro(_run(folder, "every", s), policy) - _macro(_run(folder, "input", s), policy) for s in found]
        assert list(found.values()) == pytest.approx(by_hand)
    assert differences["union"]["2"] != pytest.approx(differences["present"]["2"])
    assert differences["union"]["1"] == differences["present"]["1"]


def test_another_policy_is_used_and_named(tmp_path):
    folder = write_study(tmp_path, FakeStudy(absent={"3": ["stairs"]}))
    by_policy = {policy: evaluate_study(folder, policy) for policy in ("present", "all")}
    assert by_policy["all"]["policy"] == "all"
    macro = {policy: result["variants"]["every"]["per_subject"]["3"] for policy, result in by_policy.items()}
    assert macro["all"] < macro["present"]
    with pytest.raises(UsageError, match="'pooled' gives one number"):
        evaluate_study(folder, "pooled")
    with pytest.raises(UsageError, match="'unoin'"):
        evaluate_study(folder, "unoin")


def test_a_folder_that_is_no_study_names_the_studies_near_it(study):
    for folder in (study.parent, study.parent / "fkae", study / "v0"):
        with pytest.raises(DataError) as caught:
            evaluate_study(folder)
        assert str(study) in caught.value.hint
    (study / "study.json").write_text('{"name": "x"}')
    with pytest.raises(DataError, match="entry 'question' is missing"):
        evaluate_study(study)
    (study / "study.json").write_text("{")
    with pytest.raises(DataError, match="damaged"):
        evaluate_study(study)


@pytest.fixture
def inferred(tmp_path):
    """A study whose runs have other inferences; a contrast within a variant and one with data of the target."""
    contrasts = [("every@population", "every"), ("none@target", "none"), ("every", "input")]
    contrasts.append(("every@target", "every@population"))
    plan = FakeStudy(hit={"none": 0.5, "input": 0.5, "every": 0.5}, inferences={"population": 0.3, "target": 0.4})
    plan.contrasts = contrasts
    return write_study(tmp_path / "runs" / "placement" / "fake", plan)


def test_an_arm_is_a_variant_under_an_inference_and_is_contrasted_like_a_variant(inferred):
    result = evaluate_study(inferred)
    assert list(result["variants"])[:3] == ["none", "none@population", "none@target"]
    first = result["contrasts"][0]
    by_hand = []
    for subject in range(1, 9):
        run = _run(inferred, "every", subject)
        scores = []
        for name in ("population", "running"):
            frame = pd.read_parquet(run / "predictions" / f"{name}.parquet")
            names = ["walk", "sit", "stairs"]
            columns = (frame[column].map(names.index).to_numpy() for column in ("truth", "prediction"))
            scores.append(macro_f1(confusion(*columns, 3)))
        by_hand.append(scores[0] - scores[1])
    assert list(first["differences"].values()) == pytest.approx(by_hand)
    assert first["verdict"] == "better"
    assert first["sentence"].startswith("every@population is better than every: +")
    assert result["problems"] == []
    assert result["runs"] == {"declared": 24, "counted": 24}  # a run counts once, however often it predicts


def test_what_uses_data_of_the_test_subject_is_marked(inferred):
    result = evaluate_study(inferred)
    assert [found["transductive"] for found in result["contrasts"]] == [False, True, False, True]
    assert "transductive" in result["contrasts"][1]["sentence"]
    assert "transductive" not in result["contrasts"][0]["sentence"]


def test_each_inference_is_scored_into_a_file_of_its_own(inferred):
    evaluate_study(inferred)
    run = _run(inferred, "every", 1)
    scores = {name: json.loads((run / name).read_text()) for name in ("scores.json", "scores-population.json")}
    assert scores["scores.json"]["macro_f1"] < scores["scores-population.json"]["macro_f1"]


def test_a_missing_inference_is_named_and_its_pair_left_out(inferred):
    (_run(inferred, "every", 3) / "predictions" / "population.parquet").unlink()
    result = evaluate_study(inferred)
    assert "v2/subject-3/repeat-0 does not count under population: " in result["problems"][0]
    assert "rests on 7 of 8 pairs of runs, without subject 3" in result["contrasts"][0]["problems"][0]
    assert result["contrasts"][2]["subjects"] == 8
    assert result["runs"]["counted"] == 24


def test_a_failed_run_is_one_problem_whatever_it_would_have_predicted(inferred):
    _change(_run(inferred, "every", 3) / "run.json", status="failed", error="killed")
    result = evaluate_study(inferred)
    assert sum("does not count" in problem for problem in result["problems"]) == 1
