"""`har prepare my-card.yaml --source FOLDER`: own data through the command line, good and bad."""

import os
import subprocess
import sys

import numpy as np
import pytest

from har.__main__ import main
from har.windows.store import Store
from tests.datasets.own import CARD, HEADER, lines, write


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Work in a folder with a card and good data of two subjects, 2 s each."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, {"mine.yaml": CARD})
    rows = [f"{i},0.5,9.8,{'walk' if i < 50 else 'sit'}" for i in range(100)]
    write(tmp_path / "raw", {"anna/1.csv": lines(*rows), "ben/1.csv": lines(*rows)})
    return tmp_path


def prepare():
    return main(["prepare", "mine.yaml", "--source", "raw"])


def test_a_folder_of_csv_files_becomes_a_store(place, capsys):
    assert prepare() == 0
    assert "2 recordings of 2 subjects, 200 rows" in capsys.readouterr().out
    store = Store.open(place / "data" / "prepared" / "mine")
    np.testing.assert_array_equal(store.signal_TC[:100, 0], np.arange(100, dtype=np.float32))
    assert np.bincount(store.label_T).tolist() == [100, 100]
    assert (store.subjects, store.activities) == (["anna", "ben"], ["walking", "sitting"])


def test_preparing_a_table_imports_no_pandas(place):
    script = "from har.__main__ import main; main(['prepare', 'mine.yaml', '--source', 'raw']); import sys; "
    script += "sys.exit(' '.join({'pandas', 'scipy'} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 recordings of 2 subjects" in done.stdout


def test_values_in_another_unit_than_the_cards_are_said_kept_and_said_again(place, capsys):
    in_g = lines(*(f"{np.sin(i):.4f},{np.cos(i):.4f},0.1,walk" for i in range(100)))
    write(place / "raw", {"ben/1.csv": in_g})
    assert prepare() == 0
    said = (
        "The accelerometer at wrist of 1 of 2 subjects (ben) looks like g and not m/s², which the card says: the "
        "median length of its vector is 1. Correct the unit in the card; where gravity was taken out, sensor: "
        "linear-acceleration."
    )
    assert capsys.readouterr().err == f"Warning: {said}\n"
    assert Store.open(place / "data" / "prepared" / "mine").cautions == [said]
    assert prepare() == 0
    again = capsys.readouterr()
    assert "already prepared" in again.out
    assert again.err == f"Warning: {said}\n"
    write(place / "raw", {"anna/1.csv": in_g})
    assert prepare() == 0
    assert "The accelerometer at wrist looks like g" in capsys.readouterr().err


@pytest.mark.parametrize(("unit", "value", "other"), [("g", 9.8, "m/s²"), ("g", 1000, "mg"), ("mg", 1, "g")])
def test_values_that_are_not_in_the_cards_own_unit_are_said(place, capsys, unit, value, other):
    write(place, {"mine.yaml": CARD.replace("unit: m/s²", f"unit: {unit}")})
    write(place / "raw", {f"{name}/1.csv": lines(*[f"0,{value},0,walk"] * 100) for name in ("anna", "ben")})
    assert prepare() == 0
    said = (
        f"The accelerometer at wrist looks like {other} and not {unit}, which the card says: the median length of its"
    )
    assert f"{said} vector is {value:.3g}." in capsys.readouterr().err


def test_names_that_differ_in_case_alone_are_said_kept_and_two_subjects_all_the_same(place, capsys):
    write(place / "raw", {"Anna/2.csv": (place / "raw" / "anna" / "1.csv").read_bytes()})
    assert prepare() == 0
    store = Store.open(place / "data" / "prepared" / "mine")
    said = (
        "Anna and anna are 2 subjects, though their names differ in case alone: if they are one person, training and "
        "test would share them. Give a person one name in the source."
    )
    assert (store.subjects, store.cautions) == (["Anna", "anna", "ben"], [said])
    assert capsys.readouterr().err == f"Warning: {said}\n"


def test_accelerations_without_gravity_are_not_taken_for_g(place, capsys):
    write(place, {"mine.yaml": CARD.replace("sensor: accelerometer", "sensor: linear-acceleration")})
    write(place / "raw", {f"{name}/1.csv": lines("1,0,0.1,walk", "0,1,0.1,walk") for name in ("anna", "ben")})
    assert prepare() == 0
    assert capsys.readouterr().err == ""
    assert Store.open(place / "data" / "prepared" / "mine").cautions == []


def test_gravity_that_is_split_from_accelerations_is_not_what_is_judged(place, capsys):
    command = ["prepare", "mine.yaml", "--source", "raw", "--gravity", "causal", "--as", "live"]
    in_g = lines(*(f"{np.sin(i):.4f},{np.cos(i):.4f},0.1,walk" for i in range(100)))
    write(place, {"mine.yaml": f"{CARD}preparation: {{gravity: {{keep_total: false}}}}\n"})
    write(place / "raw", {"ben/1.csv": in_g})
    assert main(command) == 0
    assert "subjects (ben) looks like g" in capsys.readouterr().err


BAD = {
    "truncated": ({"raw/ben/1.csv": f"{HEADER}\n1,2,3,walk\n4,5"}, 3, "1.csv, line 3: 2 values where 4"),
    "empty": ({"raw/ben/1.csv": ""}, 3, "1.csv is empty"),
    "binary": ({"raw/ben/1.csv": b"\x89PNG\r\n\x1a\n\x00\x00"}, 3, "1.csv, line 3: byte 0x00: the file is binary"),
    "delimiter": ({"raw/ben/1.csv": "ax;ay;az;activity\n1;2;3;walk\n"}, 3, "is `delimiter` right in the card?"),
    "columns": ({"raw/ben/1.csv": lines("1,2,3,4,walk")}, 3, "1.csv, line 2: 5 values where 4"),
    "encoding": (
        {"raw/ben/1.csv": f"{HEADER}\n1,2,3,caf\xe9\n".encode("latin-1")},
        3,
        "line 2: byte 0xe9 is not UTF-8",
    ),
    "code": ({"raw/ben/1.csv": lines("1,2,3,wlak")}, 3, "1.csv, line 2: activity code 'wlak' is not in the card"),
    "label": ({"raw/ben/1.csv": lines("1,2,3,")}, 3, "no sample of subject ben has a label"),
    "twice": (
        {"mine.yaml": CARD.replace("{trial}", "1*"), "raw/ben/1b.csv": lines("1,2,3,walk")},
        3,
        "two files for one",
    ),
    "typo": ({"mine.yaml": CARD.replace("rate_hz", "rate_h")}, 2, "key 'rate_h' is not known. Did you mean 'rate_hz'?"),
    "field": ({"mine.yaml": CARD.replace("reader: files\n", "")}, 2, "key 'reader' is missing"),
    "rate": ({"mine.yaml": CARD.replace("rate_hz: 50", "rate_hz: 0")}, 2, "rate_hz: 0.0 is not a rate"),
    "yaml": ({"mine.yaml": CARD.replace("files:\n", "files: [\n")}, 2, "mine.yaml, line"),
    "splits": (
        {"mine.yaml": f"{CARD}splits: {{a: {{train: [anna], test: [anna]}}}}\n"},
        2,
        "anna of test overlaps with anna",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_clear_error_and_leaves_no_store(kind, place, capsys):
    files, code, message = BAD[kind]
    write(place, files)
    assert prepare() == code
    text = capsys.readouterr().err
    assert message in text
    assert "Traceback" not in text
    assert [path.name for path in (place / "data").glob("prepared/*")] in ([], [".locks"])


def test_changed_files_are_prepared_again_and_unchanged_ones_are_not(place, capsys):
    prepare()
    capsys.readouterr()
    prepare()
    assert "already prepared" in capsys.readouterr().out
    write(place, {"raw/ben/2.csv": lines("1,2,3,walk")})
    prepare()
    assert "3 recordings of 2 subjects, 201 rows" in capsys.readouterr().out


def test_a_store_of_before_survives_a_source_that_went_bad(place, capsys):
    prepare()
    manifest = place / "data" / "prepared" / "mine" / "manifest.json"
    before = manifest.read_bytes()
    write(place, {"mine.yaml": CARD.replace("wrist", "ankle"), "raw/ben/1.csv": ""})
    assert prepare() == 3
    assert manifest.read_bytes() == before


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_a_name_that_is_not_utf_8_is_one_clear_error_where_it_is_data(place, capsys):
    (place / "raw" / os.fsdecode(b"notes-\xff.csv")).write_text(HEADER)
    assert prepare() == 0
    assert r"that were not read (1): notes-\udcff.csv" in capsys.readouterr().err
    (place / "raw" / "ben" / os.fsdecode(b"gr\xfc\xdfe.csv")).write_text(HEADER)
    assert prepare() == 3
    assert r"raw/ben/gr\udcfc\udcdfe.csv: the file's name is not UTF-8." in capsys.readouterr().err
