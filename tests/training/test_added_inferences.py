"""More inferences for a finished run: the predictions of a run that had them from the start, and nothing trained."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from har.errors import DataError, UsageError
from har.training import added_inferences
from har.training.cli import resolve
from har.training.record import read_run
from har.training.run import run
from tests.training.test_statistics import INFERENCES, SMALL


@pytest.fixture(scope="module")
def small(data_root: Path) -> dict[str, Any]:
    return {**SMALL, "data.root": str(data_root), "data.validation_subjects": 2}


@pytest.fixture(scope="module")
def whole(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has all inferences from the start."""
    return run(resolve([], {**small, "inferences": INFERENCES}), tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(scope="module")
def made(small: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same run with two of them. Not to be changed."""
    config = resolve([], {**small, "inferences": ["running", "target"]})
    return run(config, tmp_path_factory.mktemp("runs") / "made", facts={"variant": "every"})


@pytest.fixture
def plain(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "plain")


def asked(folder: Path, names: list[str], **changes: Any) -> dict[str, Any]:
    return resolve([folder / "config.yaml"], {"inferences": names, **changes})


def test_added_predictions_are_to_the_last_bit_those_of_a_run_that_had_them_from_the_start(
    plain: Path, whole: Path
) -> None:
    trained = {path: path.stat().st_mtime_ns for path in (plain / "checkpoints").iterdir()}
    before = read_run(plain)
    run(asked(plain, INFERENCES), plain, resume=True)
    files = sorted(path.relative_to(whole) for path in whole.rglob("*.parquet")) + sorted(
        path.relative_to(whole) for path in whole.glob("scores*.json")
    )
    assert len(files) == 2 * len(INFERENCES) + 1
    for file in files:
        assert (plain / file).read_bytes() == (whole / file).read_bytes(), file
    assert {path: path.stat().st_mtime_ns for path in trained} == trained
    record = read_run(plain)
    assert record["inferences"] == [
        "running",
        "target",
        *(name for name in INFERENCES if name not in before["inferences"]),
    ]
    assert yaml.safe_load((plain / "config.yaml").read_text())["inferences"] == record["inferences"]
    assert record["added"][0]["inferences"] == record["inferences"][2:]
    assert {key: record[key] for key in before if key != "inferences"} == {
        key: before[key] for key in before if key != "inferences"
    }


def test_what_is_there_already_is_not_made_again(plain: Path) -> None:
    run(asked(plain, ["running", "population"]), plain, resume=True)
    table = plain / "predictions" / "population.parquet"
    written = table.stat().st_mtime_ns
    run(asked(plain, ["running", "population", "cumulative"]), plain, resume=True)
    assert table.stat().st_mtime_ns == written
    assert [added["inferences"] for added in read_run(plain)["added"]] == [["population"], ["cumulative"]]
    with pytest.raises(UsageError, match="holds a finished run"):
        run(asked(plain, ["running", "cumulative"]), plain, resume=True)


def test_inferences_of_another_configuration_are_refused(plain: Path) -> None:
    before = (plain / "run.json").read_bytes()
    with pytest.raises(UsageError, match="made with another config"):
        run(asked(plain, ["running", "population"], **{"model.learning_rate": 0.5}), plain, resume=True)
    assert (plain / "run.json").read_bytes() == before
    assert not (plain / "predictions" / "population.parquet").exists()


def test_a_run_without_its_weights_stays_a_finished_run(plain: Path) -> None:
    (plain / "checkpoints" / "best.ckpt").unlink()
    with pytest.raises(DataError, match="no checkpoint"):
        run(asked(plain, ["running", "population"]), plain, resume=True)
    assert read_run(plain)["status"] == "done"


def test_a_run_that_was_cut_off_while_inferences_were_added_lacks_them_still(
    plain: Path, whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["running", "population"]
    with monkeypatch.context() as patch:
        patch.setattr(added_inferences, "write_json", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(asked(plain, names), plain, resume=True)
    assert added_inferences.missing_inferences(plain, asked(plain, names)) == ["population"]
    run(asked(plain, names), plain, resume=True)
    assert added_inferences.missing_inferences(plain, asked(plain, names)) == []
    file = "predictions/population.parquet"
    assert (plain / file).read_bytes() == (whole / file).read_bytes()


def test_a_run_from_before_they_were_recorded_has_running(plain: Path) -> None:
    record = read_run(plain)
    del record["inferences"]
    (plain / "run.json").write_text(json.dumps(record))
    assert added_inferences.missing_inferences(plain, asked(plain, ["running", "target"])) == ["target"]
    assert added_inferences.missing_inferences(plain / "nowhere", asked(plain, ["running"])) == []
