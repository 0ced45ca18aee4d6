"""Two data sets as one: what both show under one name, people of one never those of the other, refusals that help."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from har.__main__ import main
from har.datasets.recipe import Recipe
from har.errors import DataError, UsageError
from har.files import write_json
from har.training.cli import resolve
from har.training.record import read_run
from har.training.run import run
from har.windows.joined import join, read_joining
from har.windows.prepare import open_store, prepare
from har.windows.splits import load_folds
from tests.fakes.stores import faked

CONFIGS = Path(__file__).parents[2] / "configs"
SHIPPED, FOLDS = CONFIGS / "joined" / "hapt-and-usc-had.yaml", CONFIGS / "folds" / "hapt-and-usc-had.json"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with fakes of both, as the shipped file wants them, and of USC-HAD at its own rate."""
    root = tmp_path_factory.mktemp("data")
    hapt, of_hapt = faked("hapt", root / "raw" / "hapt")
    usc, of_usc = faked("usc-had", root / "raw" / "usc", rows=(60, 80))
    prepare(hapt, source=of_hapt["source"], root=root)
    prepare(usc, source=of_usc["source"], root=root)
    at_50 = Recipe(rate_hz=50)
    prepare(usc, source=of_usc["source"], root=root, recipe=at_50, name="usc-had-50")
    acc = dataclasses.replace(at_50, sensors=("accelerometer",))
    prepare(usc, source=of_usc["source"], root=root, recipe=acc, name="usc-had-acc")
    return root


@pytest.fixture(scope="module")
def folder(root: Path) -> Path:
    return join(read_joining(SHIPPED), root)


def changed(tmp_path: Path, old: str, new: str) -> Path:
    path = tmp_path / "joined.yaml"
    text = SHIPPED.read_text()
    assert old in text
    path.write_text(text.replace(old, new).replace("name: hapt-and-usc-had", "name: other"))
    return path


def test_signals_are_those_of_both_and_labels_are_shared_names(folder: Path, root: Path) -> None:
    store, parts = open_store(folder.name, root), [open_store(name, root) for name in ("hapt", "usc-had-50")]
    assert np.array_equal(store.signal_TC, np.concatenate([part.signal_TC for part in parts]))
    own = [name for part in parts for name in np.array([*part.activities, "none"])[part.label_T]]
    found = np.array([*store.activities, "none"])[store.label_T]
    shared = {name: name for name in store.activities} | {"sleeping": "lying"}
    shared |= dict.fromkeys(("walking-forward", "walking-left", "walking-right"), "walking")
    assert [shared.get(name, "none") for name in own] == list(found)
    assert len(store.recordings) == sum(len(part.recordings) for part in parts)
    assert store.rate_hz == 50
    assert [one["sha256"] for one in store.manifest["joined"]] == [part.sha256 for part in parts]


def test_what_one_of_them_cautions_of_is_said_of_both_together(root: Path, tmp_path: Path) -> None:
    store = open_store("hapt", root)
    shutil.copytree(root / "prepared" / "usc-had-50", tmp_path / "prepared" / "usc-had-50")
    shutil.copytree(store.folder, tmp_path / "prepared" / "hapt")
    write_json(tmp_path / "prepared" / "hapt" / "manifest.json", {**store.manifest, "cautions": ["It is odd."]})
    joined = join(read_joining(SHIPPED), tmp_path)
    assert open_store(joined.name, tmp_path).cautions == ["hapt: It is odd."]


def test_nobody_of_one_is_somebody_of_the_other(folder: Path, root: Path) -> None:
    store = open_store(folder.name, root)
    assert len(store.subjects) == 30 + 14
    for name, split in store.manifest["splits"].items():
        source, target = name.split("-to-")
        assert all(subject.startswith(f"{source}-") for subject in split["train"])
        assert all(subject.startswith(f"{target}-") for subject in split["test"])
        assert sorted([*split["train"], *split["test"]]) == sorted(store.subjects)


def test_the_shipped_folds_are_of_these_people_and_go_both_ways(folder: Path, root: Path) -> None:
    folds = load_folds(FOLDS, open_store(folder.name, root).subjects)
    assert [fold.name for fold in folds] == ["hapt-to-usc-had-50", "usc-had-50-to-hapt"]
    for fold in folds:
        source, target = fold.name.split("-to-")
        assert {name.rpartition("-")[0] for name in (*fold.train, *fold.validation)} == {source}
        assert {name.rpartition("-")[0] for name in fold.test} == {target}


def test_a_run_trains_on_one_and_tests_on_the_other(folder: Path, root: Path, tmp_path: Path) -> None:
    settings = {
        "data.name": folder.name,
        "data.root": str(root),
        "data.folds": "usc-had-50-to-hapt",
        "data.window_s": 0.2,
        "data.step_s": 0.1,
        "model.learner.init_args.filters": [8],
        "model.learner.init_args.kernel": 3,
        "model.learner.init_args.pool": [1],
        "trainer.max_steps": 10,
        "trainer.val_check_interval": 5,
        "trainer.enable_progress_bar": False,
        "inferences": ["running", "target"],
    }
    record = read_run(run(resolve([], settings), tmp_path / "run"))
    assert record["status"] == "done"
    assert {name.rpartition("-")[0] for name in record["fold"]["test"]} == {"hapt"}
    assert {name.rpartition("-")[0] for part in ("train", "validation") for name in record["fold"][part]} == {
        "usc-had-50"
    }


def test_it_is_made_once_and_never_in_the_place_of_another(folder: Path, root: Path) -> None:
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert join(read_joining(SHIPPED), root) == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(UsageError, match="was not joined"):
        join(dataclasses.replace(read_joining(SHIPPED), name="usc-had-acc"), root)


@pytest.mark.parametrize(
    ("old", "new", "says", "command"),
    [
        ("usc-had-50", "usc-had", "50 Hz and usc-had 100 Hz", "har prepare usc-had --rate-hz 50 --as usc-had-50"),
        ("usc-had-50", "usc-had-acc", "channels of hapt", "har prepare hapt --rate-hz 50 --channels acc_x,acc_y,acc_z"),
        ("usc-had-50", "pamap2-50", "not prepared", "har prepare pamap2 --rate-hz 50 --as pamap2-50"),
        ("usc-had-50: [sleeping]", "usc-had-50: [slepping]", "not in usc-had-50", "sleeping"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_command_that_makes_it_fit(
    root: Path, tmp_path: Path, old: str, new: str, says: str, command: str
) -> None:
    path = changed(tmp_path, old, new)
    with pytest.raises((UsageError, DataError), match=says) as caught:
        join(read_joining(path), root)
    assert command in caught.value.hint
    assert not (root / "prepared" / "other").exists()


def test_a_wrong_file_has_all_its_mistakes_named(tmp_path: Path) -> None:
    path = tmp_path / "joined.yaml"
    path.write_text("name: hapt\nstores: [a, b]\nactivities: {x: {a: [p], c: [p]}, y: {a: [p], b: [q]}}")
    with pytest.raises(UsageError) as caught:
        read_joining(path)
    for said in ("name: 'hapt'", "'c' is none of the stores", "store b has none", "'p' of a stands under two"):
        assert said in caught.value.hint


def test_the_command_joins(root: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prepare", str(SHIPPED), "--root", str(root)]) == 0
    assert "hapt-to-usc-had-50" in capsys.readouterr().out
    assert main(["prepare", str(SHIPPED), "--root", str(root), "--rate-hz", "25"]) == 2
    assert "--rate-hz has no meaning" in capsys.readouterr().err
