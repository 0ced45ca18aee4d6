"""When and why: planted associations are found, nothing else is claimed, and nothing is filled in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr

from har.evaluation.association import Association
from har.evaluation.comparison import evaluate_study
from har.evaluation.contrast import holm, sign_flip_p, t_interval
from har.evaluation.measures import f1
from har.evaluation.probes import PROBES, SCHEMA, read_probes, write_probes
from har.evaluation.report import study_page
from har.evaluation.why import activity_sentences, finding, sentences
from har.evaluation.why_tables import activity_probes_table
from tests.fakes.study import FakeStudy, write_study

SHIFT = "shift of stored means, depth 1"


def _row(probe, value, *, group="train", depth=1, step=300):
    place = {"depth": depth, "layer": "norm", "kind": "BatchNorm", "side": "input"}
    return {"step": step, "group": group, **place, "probe": probe, "at": float("nan"), "value": value}


def _write(run: Path, shift: float, *, norm=True) -> None:
    """Write the probes of one run: a shift of the test subject, and other values drawn by chance."""
    generator = np.random.default_rng([1, *"/".join(run.parts[-3:]).encode()])  # the same wherever the study lies
    rows = [_row("probe.amplitude", 1.0, depth=0), _row("probe.amplitude", 0.9, depth=1)]
    rows += [_row("probe.amplitude", float(generator.uniform(0, 0.9)), depth=2)]
    if norm:
        rows += [_row("bn.esm_mean", shift, group="test"), _row("bn.esm_mean", 99.0)]
        rows += [_row("bn.neff", 7.0, step=50), _row("bn.neff", 100.0), _row("bn.neff", 50.0, depth=2)]
        rows += [_row("bn.subject_icc", float(generator.normal()))]
    write_probes(run / PROBES, pa.Table.from_pylist(rows, SCHEMA))


def _runs(folder, *variants):
    names = {"none": "v0", "input": "v1", "every": "v2"}
    return [path.parent for name in variants for path in sorted((folder / names[name]).glob("*/*/run.json"))]


def _subject(run):
    return run.parent.name.removeprefix("subject-")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Ten subjects with differences of their own; not to be changed."""
    folder = tmp_path_factory.mktemp("why") / "runs" / "placement" / "fake"
    plan = FakeStudy(hit={"none": 0.6, "input": 0.6, "every": 0.75}, subjects=10, repeats=2, wobble=0.15, windows=8)
    return write_study(folder, plan)


@pytest.fixture
def study(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "fake"))


@pytest.fixture(scope="module")
def judged(built, tmp_path_factory):
    """The same with probes of every run, the shift of `every` falling with the difference every − input; its `why`."""
    folder = Path(shutil.copytree(built, tmp_path_factory.mktemp("judged") / "fake"))
    differences = evaluate_study(folder)["contrasts"][0]["differences"]
    for run in _runs(folder, "every"):
        _write(run, -differences[_subject(run)])
    for run in _runs(folder, "none", "input"):
        _write(run, 0.0, norm=False)
    return folder, evaluate_study(folder)["why"]


@pytest.fixture
def planted(judged, tmp_path):
    """A copy of that study."""
    return Path(shutil.copytree(judged[0], tmp_path / "fake"))


def _of(why, probe, contrast=0):
    return next(row for row in why["contrasts"][contrast]["probes"] if row["probe"] == probe)


def test_a_planted_association_is_found_and_said_and_nothing_else(judged):
    folder, why = judged
    found = _of(why, SHIFT)
    assert (found["of"], found["subjects"], found["finding"]) == ("every", 10, "falls")
    assert found["rho"] == pytest.approx(-1)
    said = sentences(why)
    assert said[0].startswith(
        "The difference every − input is smaller for subjects with more shift of stored means, depth 1 (every)"
    )
    assert "10 subjects" in said[0]
    assert "no causes" in said[-1]
    assert sum("is larger" in text or "is smaller" in text for text in said) == 1
    assert json.loads((folder / "contrasts.json").read_text())["why"] == why


def test_values_are_those_next_to_the_chosen_weights_and_of_the_first_norm(judged):
    _, why = judged
    assert set(_of(why, "effective batch size")["values"].values()) == {100.0}
    assert _of(why, "effective batch size")["finding"] == "does not vary"
    assert _of(why, "learning rate")["finding"] == "does not vary"
    assert _of(why, "amplitude lost")["of"] == "every − input"
    assert [row["probe"] for row in why["contrasts"][0]["probes"]] == [
        SHIFT,
        "subject correlation",
        "effective batch size",
        "amplitude lost",
        "learning rate",
    ]


def test_what_both_variants_have_is_their_difference(judged):
    folder, why = judged

    def lost(variant, subject):
        runs = [run for run in _runs(folder, variant) if _subject(run) == subject]
        ends = [
            read_probes(run / PROBES).to_pandas().query("probe == 'probe.amplitude' and depth == 2") for run in runs
        ]
        return np.mean([1.0 - float(rows["value"].iloc[-1]) for rows in ends])

    found = _of(why, "amplitude lost")
    assert found["values"] == pytest.approx({s: lost("every", s) - lost("input", s) for s in found["values"]})


def test_repeats_are_averaged_and_subjects_without_probes_left_out_and_counted(planted):
    first, second = (planted / "v2" / "subject-3" / f"repeat-{repeat}" for repeat in (0, 1))
    _write(first, 4.0)
    _write(second, 2.0)
    for run in _runs(planted, "every"):
        if _subject(run) in ("5", "7"):
            (run / PROBES).unlink()
    why = evaluate_study(planted)["why"]
    found = _of(why, SHIFT)
    assert found["values"]["3"] == pytest.approx(3.0)
    assert found["subjects"] == 8
    assert not {"5", "7"} & set(found["values"])
    assert (why["probed"], why["runs"]) == (56, 60)
    assert "56 of 60 runs have probes; nothing was filled in for the others." in sentences(why)


def test_without_probes_nothing_is_claimed_but_how_to_make_them(study):
    why = evaluate_study(study)["why"]
    assert why["probed"] == 0
    (said,) = sentences(why)
    assert "--probes" in said


def test_a_damaged_file_is_named_and_the_rest_goes_on(planted):
    run = _runs(planted, "every")[0]
    (run / PROBES).write_bytes(b"PAR1")
    why = evaluate_study(planted)["why"]
    assert "v2/subject-1/repeat-0" in why["problems"][0]
    assert _of(why, SHIFT)["subjects"] == 10  # its other repeat is there


def test_one_subject_is_too_few_and_two_variants_are_no_row_over_variants(tmp_path):
    plan = FakeStudy(hit={"input": 0.6, "every": 0.9}, contrasts=[("every", "input")], subjects=3, windows=8)
    folder = write_study(tmp_path / "fake", plan)
    for run in _runs(folder, "none", "input"):  # the two variants of this study
        _write(run, 1.0)
        if _subject(run) != "1":
            shutil.rmtree(run)
    why = evaluate_study(folder)["why"]
    assert {row["finding"] for row in why["contrasts"][0]["probes"]} == {"too few subjects"}
    assert why["variants"] == []
    assert [row["interval"] for row in why["contrasts"][0]["activities"]] == [None] * 3


def test_over_variants_there_are_means_and_a_description(judged):
    found = {row["probe"]: row for row in judged[1]["variants"]}
    assert set(found) == {"amplitude lost", "learning rate"}  # one variant alone has a norm
    assert set(found["amplitude lost"]["means"]) == {"none", "input", "every"}
    assert found["learning rate"]["rho"] is None


def test_differences_by_activity_equal_a_computation_from_the_confusions(study):
    from har.evaluation.gathering import gather

    result = evaluate_study(study)
    runs = {(run.arm, run.fold, run.repeat): run.confusions for run in gather(study).runs}
    rows, by_hand = result["why"]["contrasts"][0]["activities"], []
    for k, row in enumerate(rows):
        difference_S = [
            np.mean(
                [
                    f1(runs["every", f"subject-{s}", r][str(s)])[k] - f1(runs["input", f"subject-{s}", r][str(s)])[k]
                    for r in (0, 1)
                ]
            )
            for s in range(1, 11)
        ]
        by_hand.append(np.array(difference_S))
        assert list(row["differences"].values()) == pytest.approx(difference_S)
        assert row["interval"] == pytest.approx(t_interval(by_hand[-1]))
    assert [row["p_holm"] for row in rows] == pytest.approx(holm([sign_flip_p(found) for found in by_hand]))


def test_an_activity_counts_for_those_who_perform_it(tmp_path):
    plan = FakeStudy(subjects=7, windows=6, absent={"2": ["stairs"], "4": ["stairs"]})
    rows = evaluate_study(write_study(tmp_path / "fake", plan))["why"]["contrasts"][0]["activities"]
    assert {row["activity"]: row["subjects"] for row in rows} == {"walk": 7, "sit": 7, "stairs": 5}


def test_the_report_shows_a_dot_for_every_subject_and_its_numbers(planted):
    page = study_page(planted)
    (section,) = [found for found in page.sections if found.name == "why"]
    assert [found.caption for found in section.figures] == [
        "Shift of stored means, depth 1: falls.",
        "Subject correlation: undecided.",
        "Amplitude lost: undecided.",
    ]
    first = section.figures[0]
    assert all(f"<!-- {subject} -->" in first.svg or f">{subject}</text>" in first.svg for subject in range(1, 11))
    result = json.loads((planted / "contrasts.json").read_text())
    rows = [row for row in first.data.rows if row[:3] == ["every", "input", SHIFT]]
    assert {row[4]: row[5] for row in rows} == _of(result["why"], SHIFT)["values"]
    assert {row[4]: row[6] for row in rows} == result["contrasts"][0]["differences"]
    assert next(row[10] for row in section.shown[0].rows if row[2] == SHIFT) == "falls"


def test_activities_are_related_to_the_probes_of_the_subjects_who_perform_them(judged):
    _, why = judged
    table = activity_probes_table(why)
    found = {tuple(row[:4]): row[5:] for row in table.rows}
    walk = next(row for row in why["contrasts"][0]["activities"] if row["activity"] == "walk")
    values = _of(why, SHIFT)["values"]
    rho = spearmanr([values[subject] for subject in walk["differences"]], list(walk["differences"].values())).statistic
    assert found["every", "input", "walk", SHIFT] == [10, pytest.approx(rho)]
    assert not [key for key in found if key[3] == "learning rate"]  # it is the same for all


def _association(rho=0.9, interval=(0.5, 1.0), subjects=10):
    return Association(subjects, rho, interval, 0.001, 1e-4)


@pytest.mark.parametrize(
    ("found", "p_holm", "family", "word"),
    [
        (None, None, 5, "does not vary"),
        (_association(), 0.049, 5, "rises"),
        (_association(-0.9, (-1.0, -0.5)), 0.049, 5, "falls"),
        (_association(), 0.05, 5, "undecided"),
        (_association(interval=(-0.1, 1.0)), 0.001, 5, "undecided"),
        (_association(interval=(0.0, 1.0)), 0.001, 5, "undecided"),
        (_association(subjects=4), 0.001, 1, "too few subjects"),
        (_association(subjects=5), 0.001, 2, "rises"),
        (_association(subjects=5), 0.001, 3, "too few subjects"),
    ],
)
def test_what_may_be_said_follows_one_rule(found, p_holm, family, word):
    assert finding(found, p_holm, family) == word


def test_activities_are_said_where_they_are_shown_and_counted_where_not():
    rows = [
        {"activity": "walk", "mean": 0.05, "p_holm": 0.01, "subjects": 9},
        {"activity": "sit", "mean": -0.02, "p_holm": 0.5, "subjects": 6},
        {"activity": "run", "mean": -0.031, "p_holm": 0.049, "subjects": 9},
    ]
    why = {"contrasts": [{"a": "x", "b": "y", "activities": rows}]}
    assert activity_sentences(why) == [
        "x against y: F1 points of walk +5.0, run −3.1 (Holm p below 0.05); undecided for the other 1."
    ]
    for row in rows:
        row["p_holm"] = 0.2
    assert activity_sentences(why) == ["x against y: undecided for each of the 3 activities taken alone."]
    for row, subjects in zip(rows, (7, 1, 1), strict=True):
        row["subjects"] = subjects  # the smallest p of one among three is 3 x 2 / 2^7 = 0.047
    assert activity_sentences(why) == ["x against y: undecided for each of the 3 activities taken alone."]
    rows[0]["subjects"] = 6
    assert activity_sentences(why) == [
        "x against y: with 6 subjects and 3 activities, no difference can be shown for an activity taken alone."
    ]
