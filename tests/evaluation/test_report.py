"""The pages of a study: self-contained, escaped, repeatable, and with the numbers of the files."""

from __future__ import annotations

import base64
import csv
import hashlib
import html.parser
import io
import json
import re
import xml.etree.ElementTree as ET

import pytest

from har.evaluation.origin import study_commands, words
from har.evaluation.report import study_page, write_report
from tests.fakes.study import FakeStudy, write_study

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A small study with its report."""
    folder = write_study(tmp_path_factory.mktemp("report") / "runs" / "placement" / "fake", FakeStudy(repeats=2))
    write_report(folder)
    return folder


class _Page(html.parser.HTMLParser):
    """Tags, attributes, ids, the cells of every table, and the text outside styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.ids, self.tables, self.words = [], [], [], [], []
        self.open, self._cell = [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes.extend(attributes)
        self.ids.extend(value for name, value in attributes if name == "id")
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = ""
        if tag == "style":
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.tables[-1][-1].append(self._cell.strip())
            self._cell = None
        if tag == "style":
            self.open.pop()

    def handle_data(self, data):
        if self._cell is not None:
            self._cell += data
        if not self.open:
            self.words.append(data)


def _rows(path):
    return list(csv.reader(io.StringIO(path.read_text())))


def _records(folder, name):
    head, *rows = _rows(folder / "tables" / f"{name}.csv")
    return [dict(zip(head, row, strict=True)) for row in rows]


def _page(folder):
    return _Page((folder / "report.html").read_text())


def test_the_page_needs_no_network_and_lets_in_no_script_but_its_own(study):
    text, page = (study / "report.html").read_text(), _page(study)
    (policy,) = [value for name, value in page.attributes if name == "content" and "default-src" in value]
    (script,) = re.findall(r"<script>(.*?)</script>", text, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}';" in policy
    assert not {"link", "img", "iframe", "object", "base"} & set(page.tags)
    sources = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "srcset", "action")]
    assert all(value.startswith("#") for value in sources)
    assert "@import" not in text
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", text))
    assert not [name for name, _ in page.attributes if name.startswith("on")]


def test_identifiers_are_unique_and_every_reference_has_its_target(study):
    text, page = (study / "report.html").read_text(), _page(study)
    assert len(page.ids) == len(set(page.ids))
    used = set(re.findall(r"url\(#([^)]*)\)", text)) | set(re.findall(r'xlink:href="#([^"]*)"', text))
    assert used <= set(page.ids)
    assert used


def test_figures_are_well_formed_and_take_the_colours_of_the_page(study):
    figures = re.findall(r"<svg.*?</svg>", (study / "report.html").read_text(), flags=re.DOTALL)
    assert re.findall(r'<figure id="figure-(.*?)"', (study / "report.html").read_text()) == [
        *("differences", "subjects", "activities", "confusion-changes"),
        *("confusion-0", "confusion-1", "confusion-2", "calibration-0", "calibration-1", "calibration-2", "timeline"),
        *("curve-validation-macro-f1", "curve-training-loss", "activity-differences", "cost"),
    ]
    assert len(figures) == 15
    for figure in figures:
        ET.fromstring(figure)  # noqa: S314 (our own figure)
        assert "var(--ink" in figure
        assert not re.search("#0[1-4]0[1-4]0[1-4]", figure)


def test_the_same_files_give_the_same_bytes(study):
    def everything():
        files = [study / "report.html", study / "report.md", *sorted((study / "tables").iterdir())]
        return {path.name: path.read_bytes() for path in files}

    before = everything()
    write_report(study)
    assert everything() == before


def test_page_markdown_and_csv_carry_equal_numbers(study):
    files = {path.stem: _rows(path) for path in (study / "tables").iterdir()}
    assert set(files) == {
        *("variants", "contrasts", "practical", "subjects", "differences", "curves"),
        *("activities", "precision-recall", "measures", "calibration", "confusion", "confusion-shares"),
        *("confusion-changes", "cost", "policies"),
        *("frames", "events", "segments", "confusion-subjects"),
        *("activity-differences", "activity-differences-subjects", "timeline"),
    }
    for name in ("confusion-subjects", "activity-differences-subjects", "timeline"):  # too long for pages
        assert len(files.pop(name)) > 1
    in_page = [[[cell.replace("−", "-").replace("n/a", "") for cell in row] for row in t] for t in _page(study).tables]
    in_markdown, block = [], []
    for line in [*(study / "report.md").read_text().splitlines(), ""]:
        if line.startswith("|"):
            block.append([cell.strip().replace("n/a", "") for cell in line.strip("|").split("|")])
        elif block:
            in_markdown.append([block[0], *block[2:]])
            block = []
    for name, rows in files.items():
        assert len(rows) > 1, name
        assert rows in in_page, name
        assert rows in in_markdown, name
    assert len(in_page) == len(in_markdown) == len(files)


def test_the_tables_hold_what_the_contrasts_file_says(study):
    result = json.loads((study / "contrasts.json").read_text())
    first = _records(study, "contrasts")[0]
    assert float(first["a - b, F1 points"]) == pytest.approx(100 * result["contrasts"][0]["mean"], abs=0.051)
    assert float(first["Holm p"]) == pytest.approx(result["contrasts"][0]["p_holm"], rel=0.01)
    every = _records(study, "variants")[2]
    assert float(every["macro F1 (present), mean over subjects"]) == pytest.approx(
        result["variants"]["every"]["macro_f1"], abs=0.00051
    )


def test_the_answer_comes_first_and_every_score_names_its_policy(study):
    text = "".join(_page(study).words)
    answer = text.index("every is better than input")
    assert text.index("Does batch normalisation") < answer < text.index("Variants")
    assert "macro F1 (present)" in text
    assert "F1 per activity and variant (pooled)" in text
    assert "support, windows" in text
    for part in (
        "har study configs/studies/fake.yaml",
        "har report runs/placement/fake",
        "d0d0d0",
        "max steps",
        "400",
        "CNN, filters 64 32, kernel 5",
        "all of the data set",
    ):
        assert part in text
    assert "One repeat and a matched learning rate" in text


def _commands(folder):
    return re.findall(r"^      (har .*)$", (folder / "report.md").read_text(), flags=re.MULTILINE)


@pytest.mark.parametrize(
    ("place", "command", "named"),
    [
        ("runs/placement/fake", "har study a.yaml --repeats 1", "runs/placement/fake"),
        ("out/placement/fake", "har study a.yaml --runs out --repeats 1", "out/placement/fake"),
        ("runs/placement/fake", "har study a.yaml --runs '/a b/r' --repeats 1", "'/a b/r/placement/fake'"),
        ("elsewhere/placement/fake", "har study a.yaml --repeats 1", "."),
        ("runs/moved/fake", "har study a.yaml", "."),
        ("elsewhere/x", "har study 'a.yaml", "."),
    ],
)
def test_the_commands_name_the_folder_as_the_study_was_told_it(tmp_path, place, command, named):
    study = {"name": "placement", "data_set": "fake", "command": command}
    made = study_commands(tmp_path / place, study, "present")
    assert [said for _, said in made] == [command, f"har evaluate {named}", f"har report {named}"]
    assert ("from within this folder" in made[-1][0]) == (named == ".")


def test_the_commands_repeat_the_policy(tmp_path):
    folder = write_study(tmp_path / "runs/placement/fake", FakeStudy(subjects=2))
    write_report(folder, "union")
    assert _commands(folder)[1:] == [
        f"har {name} runs/placement/fake --policy union" for name in ("evaluate", "report")
    ]


def test_intervals_from_few_subjects_are_called_too_short(tmp_path):
    for subjects, said in (
        (10, "interval over subjects, too short as there are but 10. The"),
        (11, "over subjects. The"),
    ):
        plan = FakeStudy({"a": 0.8}, [], subjects=subjects, windows=2)
        figures = study_page(write_study(tmp_path / str(subjects), plan)).figures
        assert said in figures["activities"].caption


def test_the_protocol_says_which_activities_are_missing_and_in_how_many_runs(tmp_path):
    plan = FakeStudy(subjects=4, absent={"2": ["stairs"]}, inferences={"target": 0.1})
    folder = write_study(tmp_path / "s" / "d", plan)
    for subject, names in (("1", ["sit", "stairs"]), ("3", ["stairs"])):
        path = folder / f"v0/subject-{subject}/repeat-0/run.json"
        record = json.loads(path.read_text())
        record["classes_missing"]["validation"] = names
        path.write_text(json.dumps(record))
    write_report(folder)
    text = (folder / "report.md").read_text()
    assert "- activities missing from validation: 2 of 12 runs: stairs (2), sit (1)\n" in text
    assert "- activities missing from test: 3 of 12 runs: stairs (3)\n" in text
    assert "3 of 12 runs: stairs (3)" in "".join(_page(folder).words)


def test_the_protocol_tells_no_missing_activity_from_no_record_of_it(study, tmp_path):
    assert "- activities missing from test: none\n" in (study / "report.md").read_text()
    folder = write_study(tmp_path / "s" / "d", FakeStudy(subjects=2))
    for path in folder.glob("v*/*/*/run.json"):
        record = json.loads(path.read_text())
        del record["classes_missing"]
        path.write_text(json.dumps(record))
    write_report(folder)
    assert "- activities missing from test: not stated\n" in (folder / "report.md").read_text()


def test_the_protocol_says_whether_weights_were_chosen_or_are_the_last(tmp_path):
    folder = write_study(tmp_path / "s" / "d", FakeStudy(subjects=2))
    study = json.loads((folder / "study.json").read_text())
    for interval, said in (
        (None, "best validation macro F1;"),
        (50, "best validation"),
        (400, "those of the last step"),
    ):
        study["protocol"]["val_check_interval"] = interval
        (folder / "study.json").write_text(json.dumps(study))
        assert study_page(folder).boxes["Protocol"]["selection of weights"].startswith(said)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"class_path": "har.learners.cnn.CNN", "init_args": {"filters": [8, 4]}}, "CNN, filters 8 4"),
        ({"class_path": "har.learners.cnn.CNN", "init_args": None}, "CNN"),
        ({"class_path": "har.learners.cnn.CNN", "pool": 2}, "CNN, pool 2"),
        ({"kind": "batch", "weight_decay": None}, "kind batch, weight decay none"),
        ({}, ""),
        (None, "none"),
    ],
)
def test_settings_are_said_in_words(value, said):
    assert words(value) == said


def test_problems_stand_before_the_answer(tmp_path):
    folder = write_study(tmp_path / "s" / "d")
    record = json.loads((folder / "v1/subject-3/repeat-0/run.json").read_text())
    (folder / "v1/subject-3/repeat-0/run.json").write_text(json.dumps(record | {"status": "failed", "error": "killed"}))
    write_report(folder)
    for text in ("".join(_page(folder).words), (folder / "report.md").read_text()):
        assert text.index("subject-3/repeat-0 does not count: its status is failed (killed)") < text.index(
            "better than input"
        )


def test_hostile_names_stay_text(tmp_path):
    names = [HOSTILE, "a$b_{c}$", "x|y & 'z'"]
    plan = FakeStudy(
        hit={HOSTILE: 0.9, "plain": 0.6},
        contrasts=[(HOSTILE, "plain")],
        activities=names,
        question=f"Is {HOSTILE} better?",
        notes=[f"note {HOSTILE}"],
    )
    folder = write_study(tmp_path / "s" / "d", plan)
    write_report(folder)
    text = (folder / "report.html").read_text()
    page = _page(folder)
    assert page.tags.count("script") == text.count("<script") == 1
    assert "&lt;script&gt;alert(1)" in text
    assert "<script" not in (folder / "report.md").read_text()
    assert HOSTILE in _rows(folder / "tables" / "subjects.csv")[0]
    figures = re.findall(r"<svg.*?</svg>", text, flags=re.DOTALL)
    assert any("a$b_{c}$" in figure for figure in figures)
    for figure in figures:
        ET.fromstring(figure)  # noqa: S314


@pytest.mark.parametrize(
    "plan",
    [
        FakeStudy(subjects=1),
        FakeStudy(contrasts=[]),
        FakeStudy(activities=["walk"], hit={"a": 0.9, "b": 0.9}, contrasts=[("a", "b")]),
        FakeStudy(absent={str(n): ["stairs"] for n in range(1, 9)}),
        FakeStudy(activities=[f"活動 {n}" for n in range(14)], subjects=2, windows=2),
        FakeStudy(hit={f"variant number {n} with a long name": 0.7 for n in range(9)}, contrasts=[], subjects=2),
    ],
    ids=["one subject", "no contrast", "one activity", "an activity nobody does", "many activities", "many variants"],
)
def test_odd_studies_get_a_page_too(tmp_path, plan):
    folder = write_study(tmp_path / "s" / "d", plan)
    assert write_report(folder).is_file()
    assert not re.search(
        r"\b(nan|none|inf)\b", "".join(cell for t in _page(folder).tables for row in t[1:] for cell in row[1:])
    )


def test_a_study_without_a_finished_run_gets_a_page_that_says_so(tmp_path):
    folder = write_study(tmp_path / "s" / "d", FakeStudy(subjects=2))
    for run in folder.glob("v*/*/*/run.json"):
        run.unlink()
    write_report(folder)
    assert "never finished" in "".join(_page(folder).words)
    assert "svg" not in _page(folder).tags


def test_transductive_arms_have_a_table_of_their_own_on_the_page_too(tmp_path):
    plan = FakeStudy(
        subjects=6, inferences={"population": 0.1, "target": 0.1}, contrasts=[("every@population", "every")]
    )
    folder = write_study(tmp_path / "placement" / "fake", plan)
    page = _Page(write_report(folder).read_text())
    plain, apart = page.tables[0], page.tables[1]
    assert [row[0] for row in plain[1:]] == [
        "none",
        "none@population",
        "input",
        "input@population",
        "every",
        "every@population",
    ]
    assert [row[0] for row in apart[1:]] == ["none@target", "input@target", "every@target"]
    rows = list(csv.reader(io.StringIO((folder / "tables" / "transductive.csv").read_text())))
    assert [row[0] for row in rows[1:]] == ["none@target", "input@target", "every@target"]
    text = (folder / "report.md").read_text()
    assert "Adapted to the test subject (transductive)" in text
    assert "statistics at inference: running, population, target" in text
    figures = {found[1] for value in page.ids if (found := re.fullmatch(r"figure-confusion-(\d)", value))}
    assert figures == set("0123")  # the variants, and what a contrast names


def test_a_study_without_transductive_arms_has_no_such_table(study):
    assert not (study / "tables" / "transductive.csv").exists()
