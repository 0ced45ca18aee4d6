"""The findings: every number comes from docs/results, every claim from a verdict, and a wrong score is noticed."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from docs.findings import tables
from docs.findings.__main__ import DOCS, main
from docs.findings.collect import collect
from docs.findings.found import Results
from docs.findings.insert import TEMPLATE, render
from docs.findings.layers import alike, explanations, probes_table
from docs.findings.readme import BEGIN, END, first_repeat, show
from docs.findings.recommended import scores_and_verdicts
from docs.findings.words import answer, commands, interval, signed
from har.evaluation import contrast
from har.evaluation.arms import arm
from har.evaluation.comparison import evaluate_study
from har.evaluation.counts import natural
from har.evaluation.probes import PROBES, SCHEMA, write_probes
from tests.docs.placement import write_placement
from tests.fakes.study import FakeStudy, write_study

RESULTS = DOCS / "results"


def _recomputed(scores: list[tables.Row], a: str, b: str) -> contrast.Estimate:
    """Return the estimate of a contrast from per-subject scores, by a way of its own from rows to differences."""
    frame = pd.DataFrame(scores)
    frame["arm"] = [arm(*pair) for pair in zip(frame["variant"], frame["inference"], strict=True)]
    of_arm = {name: found.set_index(["subject", "repeat"])["macro_f1"] for name, found in frame.groupby("arm")}
    difference = (of_arm[a] - of_arm[b]).rename("difference").reset_index()
    table = difference.pivot_table("difference", "subject", "repeat")
    return contrast.estimate(table.loc[sorted(table.index, key=natural)].to_numpy())  # draws go by their order


@pytest.mark.parametrize("place", ["fake", "published"])
def test_contrasts_are_those_of_the_scores_per_subject(built, place):
    """By the functions of har.evaluation: estimate, interval, p, Holm's adjustment, verdict and sentence."""
    folder = RESULTS if place == "published" else built / "docs" / "results"
    contrasts, scores = tables.read(folder, tables.CONTRASTS), tables.read(folder, tables.SCORES)
    assert contrasts
    for key in {(row["study"], row["data_set"]) for row in contrasts}:
        own = [row for row in contrasts if (row["study"], row["data_set"]) == key]
        of_study = [row for row in scores if (row["study"], row["data_set"]) == key]
        found = [_recomputed(of_study, row["a"], row["b"]) for row in own]
        smallest = contrast.smallest_holm([one.subjects for one in found])
        for row, one, p_holm, least in zip(own, found, contrast.holm([one.p for one in found]), smallest, strict=True):
            ends = (row["low"], row["high"])
            assert (row["mean"], *ends) == pytest.approx((one.mean, *one.interval), abs=1e-9)
            assert (row["p"], row["p_holm"]) == pytest.approx((one.p, p_holm))
            assert row["verdict"] == contrast.verdict(one.mean, one.interval, p_holm, least)
            stated = contrast.sentence(row["a"], row["b"], one, p_holm, least, len(own))
            assert row["sentence"].startswith(stated)


@pytest.mark.parametrize("place", ["fake", "published"])
def test_what_is_expected_is_the_mean_over_subjects_of_the_scores_beside_it(built, place):
    folder = RESULTS if place == "published" else built / "docs" / "results"
    expected, scores = tables.read(folder, tables.EXPECTED), tables.read(folder, tables.SCORES)
    keys = [*tables.KEY, "variant", "inference", "repeat"]
    means = pd.DataFrame(scores).groupby(keys)["macro_f1"].agg(["mean", "size"])
    assert len(means) == len(expected) > 0
    for row in expected:
        mean, subjects = means.loc[tuple(row[key] for key in keys)]
        assert (row["macro_f1"], row["subjects"]) == (pytest.approx(mean), subjects)
        assert 0 < row["tolerance"] < 0.2


def test_published_text_and_figures_are_what_the_published_results_make_of_the_template():
    text, drawn = render(RESULTS)
    assert (DOCS / "findings.md").read_text(encoding="utf-8") == text
    assert {path.name for path in (DOCS / "images").glob("findings-*")} == set(drawn)
    for name, svg in drawn.items():
        assert (DOCS / "images" / name).read_text(encoding="utf-8") == svg
    assert sum(path.stat().st_size for path in RESULTS.iterdir()) < 3_000_000


_NUMBER_WORDS = "two|three|four|five|six|seven|eight|nine|ten|dozen|twenty|hundred|thousand|half|third|quarter|twice"
_CLAIMS = "better|worse|best|worst|beats?|wins?|outperforms?|improves?|higher|lower|faster|slower|significant"


def test_the_template_has_neither_numbers_nor_claims_of_its_own():
    """Allowed are code, the F1 score, years, and what is asked or explained beside a verdict in so many words."""
    text = TEMPLATE.read_text(encoding="utf-8")
    text = re.sub(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", "", text, flags=re.DOTALL)
    text = re.sub(r"```.*?```|`[^`]*`", "", text, flags=re.DOTALL)
    text = re.sub(r"\b(19|20)\d\d\b|\bF1\b", "", text)
    assert re.findall(r"\S*\d\S*", text) == []
    named = re.findall(rf"\b({_NUMBER_WORDS})\b", text, flags=re.IGNORECASE)
    assert [word.lower() for word in named] == ["four"] * text.count("Four networks")
    text = text.replace("the best validation score", "")  # how the target is defined
    assert re.findall(rf"\b({_CLAIMS})\b", text, flags=re.IGNORECASE) == []


def test_collecting_twice_makes_the_same_files_and_leaves_other_studies_alone(copied):
    results = copied / "docs" / "results"
    before = {path.name: path.read_bytes() for path in results.iterdir()}
    collect([copied / "runs"], results)
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before
    write_placement(copied / "more", "other", seed=1)
    collect([copied / "more"], results)
    for name in tables.COLUMNS:
        rows = tables.read(results, name)
        assert {row["data_set"] for row in rows} in ({"fake", "other"}, set())
        tables.write(results, name, [row for row in rows if row["data_set"] == "fake"])
    assert {path.name: path.read_bytes() for path in results.iterdir()} == before


def test_probes_may_be_of_another_pass_of_the_study_with_fewer_repeats(copied):
    """Judged is where there are most runs, probes are where they were measured: the median of a run, mean of a fold."""
    apart = write_placement(copied / "apart")
    place = {"layer": "", "kind": "", "side": "", "depth": -1, "at": float("nan"), "group": "train"}
    for run in sorted(apart.rglob("run.json")):
        rows = [
            {"step": step, "probe": "gap.flip", "value": value, **place}
            for step, value in ((50, 9.0), (100, 0.2), (150, 0.1))
        ]
        write_probes(run.parent / PROBES, pa.Table.from_pylist(rows, SCHEMA))
    collect([copied / "apart", copied / "runs"], copied / "docs" / "results")
    results = Results(copied / "docs" / "results")
    (found,) = results.studies
    assert (found.info["repeats"], found.info["probed"]) == (2, 1)
    judged, measured = commands(results)
    assert judged.endswith("--data fake --repeats 2")
    assert measured.endswith("--data fake --repeats 1 --probes --runs runs/probed")
    assert found.probe("every", "gap.flip") == {f"subject-{number + 1}": 0.2 for number in range(8)}


def test_a_study_that_lacks_a_run_is_left_out_and_said(copied):
    next((copied / "runs").rglob("run.json")).unlink()
    (said,) = collect([copied / "runs"], copied / "empty")
    assert "bn-placement on fake: left out" in said
    assert tables.read(copied / "empty", tables.STUDIES) == []


def test_what_is_read_back_is_what_was_judged(built):
    judged = evaluate_study(built / "runs" / "bn-placement" / "fake")
    (found,) = Results(built / "docs" / "results").studies
    for row, original in zip(found.contrasts, judged["contrasts"], strict=True):
        assert row["differences"] == pytest.approx(original["differences"])
        assert (row["primary"], row["sentence"]) == (original["primary"], original["sentence"])
    for one, original in zip(found.why["contrasts"], judged["why"]["contrasts"], strict=True):
        for row, activity in zip(one["activities"], original["activities"], strict=True):
            assert row["differences"] == pytest.approx(activity["differences"])
            assert (row["activity"], row["p_holm"]) == (activity["activity"], pytest.approx(activity["p_holm"]))
    assert found.scores("every") == pytest.approx(judged["variants"]["every"]["per_subject"])


def test_a_text_can_be_made_of_one_study_alone_and_says_what_its_verdict_says(built):
    text, drawn = render(built / "docs" / "results")
    assert "Batch normalisation after every convolution is, against one norm on the input, better on FAKE;" in text
    assert (
        "every is better than input" in drawn["findings-bn-placement-fake-differences.svg"] or "better on FAKE" in text
    )
    assert "Small batches" not in text
    assert "Steps to a target" not in text
    assert "What happens in the layers" not in text


def test_every_section_can_be_made_and_data_sets_are_taken_together(tmp_path):
    """Each study under its own name, with what the text names of its variants; the first on three data sets."""
    for seed, data_set in enumerate(("one", "two", "three")):
        write_placement(tmp_path, data_set, seed=seed, subjects=3, windows=4)
    small = {"bn-2": 0.5, "bn-32": 0.7, "mabn-2": 0.7, "gn": 0.7}
    several = {
        "bn-statistics": ({"input": 0.6, "every": 0.6}, [("every@population", "every")], {"population": 0.0}),
        "norm-kind": ({"batch": 0.6, "layer": 0.6}, [("layer", "batch")], {}),
        "small-batch": (small, [("mabn-2", "bn-32"), ("bn-2", "bn-32"), ("gn", "bn-32")], {}),
    }
    for name, (hit, contrasts, inferences) in several.items():
        plan = FakeStudy(hit=hit, contrasts=contrasts, inferences=inferences, name=name, subjects=3, windows=4)
        write_study(tmp_path / name / "fake", plan)
        write_study(tmp_path / name / "other", replace(plan, data_set="other"))
    convergence = FakeStudy(
        hit={"none": 0.6, "every": 0.7}, contrasts=[("every", "none")], name="convergence", subjects=3, windows=4
    )
    folder = write_study(tmp_path / "convergence" / "fake", convergence)
    study = json.loads((folder / "study.json").read_text())
    study["protocol"]["folds"] = "/somewhere/of/this/machine.json"
    (folder / "study.json").write_text(json.dumps(study | {"target": {"reference": "none", "share": 0.9}}))
    collect([tmp_path], tmp_path / "results")
    text, drawn = render(tmp_path / "results")
    for title in (
        "By how much",
        "Running or exact statistics",
        "Norms that know no batch",
        "Small batches",
        "Steps to a target",
        "What we cannot say",
    ):
        assert text.count(f"## {title}") == 1
    for title in ("Running or exact statistics", "Norms that know no batch", "Small batches"):
        (section,) = re.findall(rf"## {title}\n(.*?)\n## ", text, re.DOTALL)
        assert re.findall(r"^(\w+):$", section, re.MULTILINE) == ["FAKE", "OTHER"]
    (row, *_) = Results(tmp_path / "results").across("bn-placement")
    numbers = re.escape(f"{row['verdict']} ({signed(row['mean'])} points, {interval(row['interval'])}).")
    assert re.search(rf"\(`every` − `input`\): .*; over 3 data sets together {numbers}$", text, re.MULTILINE)
    assert "data sets together" not in text.split("`every@population` − `every`")[1].split("\n")[0]  # of two
    assert {"findings-bn-placement-forest.svg", "findings-convergence-fake-reached.svg"} < set(drawn)
    assert "/somewhere" not in text
    assert "`every@population` − `every`" in text
    assert "- Steps to 90 % of the best validation score of a network without norms, on FAKE, every against" in text


class _Fixed:
    """A study with given verdicts: against a norm on the input, and against one behind the first convolution."""

    def __init__(self, data_set, *verdicts):
        self.data_set, self.verdicts = data_set, dict(zip(("input", "first"), verdicts, strict=True))

    def has(self, a, b):
        return a == "every" and self.verdicts[b] != "not judged"

    def contrast(self, a, b):
        assert a == "every"
        return {"verdict": self.verdicts[b]}


@pytest.mark.parametrize(
    ("verdicts", "lead", "has"),
    [
        ([("undecided", "undecided")], "We could not show that it does, nor that it helps.", "input, undecided on A;"),
        (
            [("undecided", "better"), ("undecided", "undecided")],
            "We could not show that it does; where",
            "better on A and undecided on B.",
        ),
        ([("better", "better"), ("undecided", "worse")], "Yes, it may.", "better on A and worse on B."),
        ([("worse but negligible", "undecided")], "We could not show that it does, nor", "worse but negligible on A;"),
        ([("equivalent",) * 2] * 2, "No: it makes no difference of a point.", "equivalent on A and B;"),
        ([("not judged", "better")], "We could not show that it does; where", "is, against one behind the first"),
    ],
)
def test_the_answer_follows_the_verdicts(verdicts, lead, has):
    class Given:
        def of(self, name):
            return [_Fixed(letter, *both) for letter, both in zip("ABC", verdicts, strict=False)]

    said = answer(Given())
    assert said.startswith(f"**{lead}")
    assert has in said
    assert ("better" in said) == any("better" in both for both in verdicts)


def test_layers_are_told_apart_only_where_the_interval_says_so_and_by_its_sign(copied):
    results = copied / "docs" / "results"
    key = {"study": "bn-placement", "data_set": "fake"}
    rows = [
        {**key, "variant": variant, "fold": str(fold), "probe": probe, "value": value}
        for variant in ("every", "none")
        for fold in range(6)
        for probe, value in (
            ("act.dead", float(variant == "none") + 0.01 * fold),
            ("read.gravity", float(variant == "every") + 0.01 * fold),
            ("gap.flip", 0.1 * (fold - 2.5) * (variant == "every")),
        )
    ]
    tables.write(results, tables.PROBES, rows)
    (found,) = Results(results).studies
    fewer, more, rest = explanations([found], "every", "none")
    assert fewer == "Fewer channels are dead (FAKE: `every` 0.025, `none` 1.02, difference −1 (−1 to −1))."
    assert more.startswith("More of gravity, hence of posture, can be read there (FAKE: `every` 1.02, `none` 0.025")
    assert rest == "Not told apart: share of decisions that differ between training and inference mode."
    assert explanations([found], "none", "every")[0].startswith("More channels are dead")
    assert "| n/a" in probes_table(found, "every", "none")


def test_data_sets_whose_layers_go_different_ways_are_named_apart(copied):
    """Dead channels: fewer on both. Gravity: more on one, less on the other. Decisions: open, and fewer."""
    results = copied / "docs" / "results"
    write_placement(copied / "more", "other", seed=1)
    collect([copied / "more"], results)
    rows = [
        {"study": "bn-placement", "data_set": data_set, "variant": variant, "fold": str(fold), "probe": probe}
        | {"value": sign * (variant == "every") + 0.01 * fold * (1 + (variant == "every"))}
        for data_set, signs in (("fake", (-1, 1, 0)), ("other", (-1, -1, -1)))
        for probe, sign in zip(("act.dead", "read.gravity", "gap.flip"), signs, strict=True)
        for variant in ("every", "none")
        for fold in range(-2, 3)
    ]
    tables.write(results, tables.PROBES, rows)
    found = Results(results).studies
    dead, gravity, flip = explanations(found, "every", "none")
    assert re.fullmatch(r"Fewer channels are dead \(FAKE: .*; OTHER: .*\)\.", dead)
    assert re.fullmatch(r"More of gravity, .* \(FAKE: [^;]*\); less of gravity, .* \(OTHER: [^;]*\)\.", gravity)
    assert re.fullmatch(r"Fewer decisions .* \(OTHER: [^;]*\); not told apart on FAKE\.", flip)
    assert alike(found, "every", "none") == ["fewer channels are dead"]
    assert alike(found[1:], "none", "every")[1].startswith("more of gravity")


def test_nothing_to_compare_and_nothing_to_collect_are_said_with_a_way_out(tmp_path, capsys):
    assert main(["--into", str(tmp_path), "check", str(tmp_path)]) == 3
    assert main(["--into", str(tmp_path), "insert"]) == 3
    said = capsys.readouterr().err
    assert "there is no study below" in said
    assert "python -m docs.findings collect RUNS" in said


def test_a_damaged_file_is_an_error_with_its_name(copied, capsys):
    path = copied / "docs" / "results" / "scores.csv"
    path.write_text(path.read_text().replace("macro_f1", "f1", 1))
    assert main(["--into", str(copied / "docs"), "insert"]) == 3
    assert f"{path} has other columns" in capsys.readouterr().err


def test_the_readme_shows_the_first_repeat_of_what_is_published(tmp_path):
    text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
    (tmp_path / "README.md").write_text(text.replace("| every   |", "| never   |"), encoding="utf-8")
    show(tmp_path / "README.md", Results(RESULTS))
    assert (tmp_path / "README.md").read_text(encoding="utf-8") == text


def test_what_the_readme_shows_is_what_a_study_of_one_repeat_comes_to(built, tmp_path):
    """Judged anew from run folders of which the second repeat is not declared."""
    (found,) = Results(built / "docs" / "results").studies
    folder = write_placement(tmp_path)
    result = evaluate_study(folder)
    shown = first_repeat(found)
    assert result["contrasts"][0]["sentence"] in shown
    for name, own in result["variants"].items():
        scores = [own[key] for key in ("macro_f1", "macro_f1_sd", "macro_f1_pooled", "accuracy")]
        assert re.search(rf"^\| {name} +\| +" + r" \| +".join(f"{score:.3f}" for score in scores), shown, flags=re.M)


def test_collected_study_json_has_no_paths_of_a_machine():
    for path in RESULTS.iterdir():
        assert not re.search(r"(^|[\s,\"])/(home|tmp|work|root)/", path.read_text(encoding="utf-8")), path.name
    assert json.loads(json.dumps(sorted(tables.COLUMNS))) == sorted(path.stem for path in RESULTS.iterdir())


def test_a_study_of_some_activities_is_kept_apart_and_its_scores_go_between_the_marks_of_the_learners(tmp_path):
    study = write_study(tmp_path / "runs" / "recommended" / "fake", FakeStudy(name="recommended", data_set="fake"))
    record = json.loads((study / "study.json").read_text(encoding="utf-8"))
    record["protocol"]["null"] = "unlabelled"
    (study / "study.json").write_text(json.dumps(record), encoding="utf-8")
    write_placement(tmp_path / "runs")
    collect([tmp_path / "runs"], tmp_path / "docs" / "results")
    (found,) = Results(tmp_path / "docs" / "results").of("recommended")
    assert found.info["data_set"] == f"fake-{len(found.info['activities'].split('; '))}"
    page = tmp_path / "docs" / "learners.md"
    page.write_text(f"before\n{BEGIN}stale\n{END}behind\n", encoding="utf-8")
    assert main(["--into", str(tmp_path / "docs"), "insert"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("behind\n")
    assert "stale" not in text
    assert "recommended" not in (tmp_path / "docs" / "findings.md").read_text(encoding="utf-8")
    made = scores_and_verdicts(Results(tmp_path / "docs" / "results"))
    assert made in text
    for row in found.rows[tables.VARIANTS]:
        assert f"{row['accuracy']:.3f}" in made
        assert f"{np.mean(list(found.scores(row['variant']).values())):.3f}" in made
    assert all(row["sentence"] in made for row in found.contrasts)
    page.write_text("no marks\n", encoding="utf-8")
    assert main(["--into", str(tmp_path / "docs"), "insert"]) == 3
