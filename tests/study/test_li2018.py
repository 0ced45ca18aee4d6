"""The comparison of Li et al. (2018), from the raw files of both of its data sets to its table, in both protocols."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from har.__main__ import main
from har.datasets.registry import get_card
from har.windows.prepare import prepare
from tests.fakes.stores import faked

STUDY = Path(__file__).parents[2] / "configs" / "studies" / "li2018.yaml"
KEPT = ("hand-crafted", "mlp-narrow")  # one that is fitted at once and one that is trained
# Windows of a fake last as long as its gestures; one gesture is performed in the runs of validation alone.
GESTURES = [activity.name for activity in get_card("opportunity").activities if activity.name != "open-drawer-1"]
SHORT = ["data.window_s=0.4", "data.step_s=0.4", f"data.activities={json.dumps(GESTURES)}"]
UNIMIB = {"train": range(1, 25), "validation": range(25, 28), "test": range(28, 31)}
PEOPLE = {"train": range(1, 3), "validation": range(3, 4), "test": range(4, 5)}


def _study(folder: Path) -> Path:
    """Write the shipped study with two of its variants."""
    content = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    content["base"] = str((STUDY.parent / content["base"]).resolve())
    content["variants"] = {name: content["variants"][name] for name in KEPT}
    content["contrasts"] = [{"a": KEPT[0], "b": KEPT[1], "primary": True}]
    del content["short"]
    path = folder / "li2018.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _one_fold(folder: Path, subjects: dict[str, range]) -> Path:
    """Write a file of one fold."""
    path = folder / "folds.json"
    fold = {"name": "a", **{part: [str(subject) for subject in numbers] for part, numbers in subjects.items()}}
    path.write_text(json.dumps({"folds": [fold]}), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("data", "subjects", "settings"),
    [
        pytest.param("unimib-shar", UNIMIB, [], marks=pytest.mark.slow),
        pytest.param("unimib-shar-li2018-scrambled", UNIMIB, [], marks=pytest.mark.slow),
        pytest.param("opportunity", PEOPLE, SHORT, marks=pytest.mark.slow),
        ("opportunity-li2018", None, SHORT),
    ],
)
def test_the_study_makes_the_table_of_the_paper_and_names_what_is_wrong_with_its_protocol(
    data, subjects, settings, tmp_path
):
    card, written = faked(data, tmp_path / "raw")
    prepare(card, source=written["source"], root=tmp_path)
    tiny = ["data.batch_size=16", "trainer.max_steps=2", "trainer.val_check_interval=1", *settings]
    words = [word for setting in tiny for word in ("--set", setting)]
    folds = "li2018" if subjects is None else str(_one_fold(tmp_path, subjects))
    places = ["--folds", folds, "--root", str(tmp_path), "--runs", str(tmp_path / "runs"), "--jobs", "1"]
    assert main(["study", str(_study(tmp_path)), "--data", data, *places, *words]) == 0
    folder = tmp_path / "runs" / "li2018" / data
    records = [json.loads(path.read_text(encoding="utf-8")) for path in folder.rglob("run.json")]
    assert [record["status"] for record in records] == ["done"] * 2
    report = (folder / "report.md").read_text(encoding="utf-8")
    head, _, *rows = (line for line in report.splitlines() if line.startswith("|"))
    assert {"variant", "accuracy", "weighted F1", "macro F1 (pooled)"} <= {cell.strip() for cell in head.split("|")}
    assert [row.split("|")[1].strip() for row in rows[:2]] == list(KEPT)
    assert "The learning rate was matched: 1 for every variant that is trained in steps" in report
    assert "hand-crafted: fitted at once, without a learning rate." in report
    assert "| hand-crafted | linear_svm | fitted   | c 0.015625 to c 32, 12 values |" in report
    caution = get_card(data).caution
    assert bool(caution) is ("li2018" in data)
    assert caution in report
    assert all((caution in record["warnings"]) is bool(caution) for record in records)


def test_the_division_of_the_paper_is_one_of_runs_and_chooses_on_none_that_tests():
    """ADL4 and ADL5 of all four people test, as in the paper; ADL3 chooses in place of what trains there."""
    split = get_card("opportunity-li2018").splits["li2018"]
    of = {part: {name.partition("-")[2] for name in getattr(split, part)} for part in ("train", "validation", "test")}
    assert of == {"train": {"ADL1", "ADL2", "Drill"}, "validation": {"ADL3"}, "test": {"ADL4", "ADL5"}}
    assert sorted((*split.train, *split.validation, *split.test)) == sorted(get_card("opportunity-li2018").subjects)
    assert get_card("opportunity").splits.keys() == {"challenge"}
