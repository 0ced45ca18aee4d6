"""The fakes themselves: documented lines, the same bytes every time, nothing taken from the project, small."""

import hashlib
import importlib
import re
from pathlib import Path

import pytest

from tests.fakes import hapt, mhealth, opportunity, pamap2, wisdm

NAMES = (
    "hapt",
    "usc_had",
    "ucihar",
    "motionsense",
    "wisdm",
    "dsads",
    "pamap2",
    "opportunity",
    "unimib_shar",
    "mhealth",
)
every_fake = pytest.mark.parametrize("name", NAMES)


def _bytes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@every_fake
def test_a_fake_is_small_and_the_same_every_time(name, tmp_path):
    module = importlib.import_module(f"tests.fakes.{name}")
    module.write(tmp_path / "a")
    module.write(tmp_path / "b")
    assert _bytes(tmp_path / "a") == _bytes(tmp_path / "b")
    assert sum(path.stat().st_size for path in (tmp_path / "a").rglob("*")) < 2_500_000


@pytest.mark.parametrize("name", [*NAMES, "motion", "spar"])
def test_a_fake_imports_nothing_from_the_project(name):
    text = (Path(__file__).parent / f"{name}.py").read_text()
    assert not re.search(r"^\s*(from|import) har\b", text, re.MULTILINE)


def test_lines_of_the_true_files_are_in_the_fakes(tmp_path):
    for module in (hapt, mhealth, opportunity, pamap2, wisdm):
        module.write(tmp_path)
    labels = (tmp_path / "RawData" / "labels.txt").read_text().splitlines()
    assert labels[:3] == ["1 1 5 250 1232", "1 1 7 1233 1392", "1 1 4 1393 2194"]
    watch = (tmp_path / "wisdm-dataset/raw/watch/accel/data_1600_accel_watch.txt").read_text().splitlines()
    assert watch[0] == "1600,A,90426708196641,7.091625,-0.5916671,8.195502;"
    mhealth_lines = (tmp_path / "MHEALTHDATASET" / "mHealth_subject1.log").read_text().splitlines()
    assert tuple(mhealth_lines[:3]) == mhealth.LINES
    assert {len(line.split("\t")) for line in mhealth_lines} == {24}
    protocol = (tmp_path / "PAMAP2_Dataset" / "Protocol" / "subject101.dat").read_text().splitlines()
    assert protocol[0] == pamap2.LINE
    assert {len(line.split(" ")) for line in protocol} == {54}
    legend = (tmp_path / "OpportunityUCIDataset" / "dataset" / "label_legend.txt").read_text()
    assert "406516   -   ML_Both_Arms   -   Open Door 1\n" in legend
    drill = (tmp_path / "OpportunityUCIDataset" / "dataset" / "S4-Drill.dat").read_text().splitlines()
    assert {len(line.split(" ")) for line in drill} == {250}
