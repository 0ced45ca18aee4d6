"""Cards of files: shorthands, and every contradiction of the section `files`, of splits and sources."""

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

import har.datasets
from har.datasets.card import (
    Archive,
    Card,
    Facts,
    Files,
    Format,
    Intervals,
    Label,
    Source,
    Split,
    Table,
    Time,
    Tree,
)
from har.datasets.readers import READERS
from har.datasets.registry import card_names, get_card, load_card
from har.datasets.units import SI
from har.errors import UsageError
from tests.datasets.own import CARD, card_with


def test_a_card_of_a_folder_needs_no_more_than_fifteen_lines(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(CARD)
    card = load_card(path)
    assert len(CARD.splitlines()) <= 15
    assert [(c.name, c.axis, c.unit) for c in card.channels] == [(f"acc_{axis}", axis, "m/s²") for axis in "xyz"]
    assert [(a.code, a.name) for a in card.activities] == [("walk", "walking"), ("sit", "sitting")]
    assert card.files.tables[0].columns == {"acc_x": ("ax",), "acc_y": ("ay",), "acc_z": ("az",)}


def test_ranges_sums_and_single_channels_are_written_out(tmp_path):
    value = yaml.safe_load(CARD)
    value["channels"].append({"name": "pulse", "sensor": "heart", "site": "wrist", "axis": "-", "unit": "bpm"})
    columns = {"acc": ["2-3", "gravity z + user z"], "pulse": 9}
    card = card_with(tmp_path, channels=value["channels"], files={"columns": columns})
    assert card.files.tables[0].columns == {
        "acc_x": (2,),
        "acc_y": (3,),
        "acc_z": ("gravity z", "user z"),
        "pulse": (9,),
    }


def test_sensors_at_several_sites_are_written_out_site_by_site(tmp_path):
    sensors = [
        {"name": "acc", "axes": ["x", "y"], "sensor": "accelerometer", "unit": "g"},
        {"name": "pulse", "axis": "-", "sensor": "heart", "unit": "bpm"},
    ]
    channels = [{"sites": {"l": "left-ankle", "r": "right-ankle"}, "sensors": sensors}]
    columns = {"l": ["4-5", 9], "r_acc": [1, 2], "r_pulse": 3}
    card = card_with(tmp_path, channels=channels, files={"columns": columns})
    assert [(c.name, c.site, c.sensor, c.axis, c.unit) for c in card.channels] == [
        ("l_acc_x", "left-ankle", "accelerometer", "x", "g"),
        ("l_acc_y", "left-ankle", "accelerometer", "y", "g"),
        ("l_pulse", "left-ankle", "heart", "-", "bpm"),
        ("r_acc_x", "right-ankle", "accelerometer", "x", "g"),
        ("r_acc_y", "right-ankle", "accelerometer", "y", "g"),
        ("r_pulse", "right-ankle", "heart", "-", "bpm"),
    ]
    taken = [column for (column,) in (card.files.tables[0].columns[c.name] for c in card.channels)]
    assert taken == [4, 5, 9, 1, 2, 3]


def test_ranges_of_subjects_are_written_out_and_names_are_not(tmp_path):
    splits = {"a": {"train": "1-9", "validation": ["10"], "test": "11-12"}}
    card = card_with(tmp_path, subjects="1-12", splits=splits)
    assert card.subjects == tuple(str(i) for i in range(1, 13))
    assert card.splits["a"] == Split(card.subjects[:9], ("11", "12"), ("10",))
    named = card_with(tmp_path, subjects=["1-2", "1-3"])  # people of group 1
    assert named.subjects == ("1-2", "1-3")


# OPPORTUNITY, with 113 of 250 columns of twenty kinds and sites of sensors, is no ordinary set.
ORDINARY = [n for n in card_names() if get_card(n).reader == "files" and not n.startswith("opportunity")]


@pytest.mark.parametrize("name", ORDINARY)
def test_an_ordinary_card_has_at_most_thirty_lines(name):
    text = (Path(har.datasets.__file__).parent / "cards" / f"{name}.yaml").read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 30  # remarks are for people


def test_what_is_shared_holds_for_tables_that_have_nothing_else(tmp_path):
    tables = [
        {"path": "a_{subject}.csv", "columns": {"acc_x": "ax", "acc_y": "ay"}, "format": {"delimiter": ";"}},
        {"path": "b_{subject}.csv", "columns": {"acc_z": "az"}},
    ]
    shared = {"path": None, "columns": None, "tables": tables, "format": {"skip_rows": 2}}
    first, second = card_with(tmp_path, files=shared).files.tables
    assert (first.format.delimiter, first.format.skip_rows) == (";", 0)
    assert (second.format.delimiter, second.format.skip_rows) == (",", 2)


def wrong(**files):
    return {"files": files}


CONTRADICTIONS = {
    "files: the reader 'spar' does not read this section": {"reader": "spar"},
    "source: key 'archives' is missing for the kind 'download'": {"source": {"kind": "download"}},
    "source: key 'file' is for the kind 'distribution', not for 'folder'": {"source": {"kind": "folder", "file": "x"}},
    "source.tree.sha256: 64 hexadecimal digits": {"source": {"kind": "folder", "tree": {"files": "*", "sha256": "1"}}},
    "source: key 'kind' is missing": {"source": {}},
    "rate_hz: 20000.0 is not a rate": {"rate_hz": 20000},
    "rate_hz: -50.0 is not a rate": {"rate_hz": -50},
    "rate_hz: nan is not a rate": {"rate_hz": float("nan")},
    "splits.a: 2 of test overlaps with 2 of train": {"splits": {"a": {"train": ["1", "2"], "test": ["2"]}}},
    "splits.a: 2/x of test overlaps with 2 of train": {"splits": {"a": {"train": ["1", "2"], "test": ["2/x"]}}},
    "splits.a: 2 of validation overlaps with 2/x of train": {
        "splits": {"a": {"train": ["2/x"], "validation": ["2"], "test": ["1"]}}
    },
    "splits.a.test: the list is empty": {"splits": {"a": {"train": ["1"], "test": []}}},
    "splits.a.test: '3' is not a subject of the card": {
        "subjects": ["1", "2"],
        "splits": {"a": {"train": ["1"], "test": ["3"]}},
    },
    "splits.a: key 'tset' is not known. Did you mean 'test'": {"splits": {"a": {"train": ["1"], "tset": ["2"]}}},
    "extras: 'side' is not a group of the files": {"extras": ["side"]},
    "preparation.rate_hz: -1.0 is not a rate": {"preparation": {"rate_hz": -1}},
    "channels[0]: key 'axis' is not known. Did you mean 'axes'": {
        "channels": [{"name": "acc", "axes": ["x"], "axis": "x", "sensor": "a", "site": "b", "unit": "g"}]
    },
    "channels[0]: key 'site' is missing": {"channels": [{"name": "acc", "axes": ["x"], "sensor": "a", "unit": "g"}]},
    "channels[0].axes: a list of names": {
        "channels": [{"name": "acc", "axes": "xyz", "sensor": "a", "site": "b", "unit": "g"}]
    },
    "activities.sit: text": {"activities": {"walk": "walking", "sit": 3}},
    "files: key 'clumns' is not known": wrong(clumns={}),
    "files: key 'path' is missing": wrong(path=None),
    "files: give either 'tables', or 'path' and 'columns'": wrong(tables=[]),
    "files.columns.acc: 2 columns for the 3 channels": wrong(columns={"acc": "1-2"}),
    "files.columns.gyro: 'gyro' is not a channel": wrong(columns={"acc": "1-3", "gyro": 4}),
    "files: no table has a column for the channel acc_z": wrong(columns={"acc_x": 1, "acc_y": 2}),
    "the channel acc_x has its columns already": wrong(columns={"acc": "1-3", "acc_x": 2}),
    "column 0 does not exist: columns count from 1": wrong(columns={"acc": [0, 1, 2]}),
    "column 'activity' is a name, but the file has no header": wrong(format={"header": False}, columns={"acc": "1-3"}),
    "files.path: {Subject} is no group": wrong(path="{Subject}/{subject}.csv"),
    "files.path: {subject:x} is no group": wrong(path="{subject:x}.csv"),
    "must lie below the source": wrong(path="../{subject}.csv"),
    "is no pattern": wrong(path="{subject.csv"),
    "files: nothing says who the subject is": wrong(path="{trial}.csv"),
    "files.chain: 'piece' is not known": wrong(chain="piece"),
    "files.join: 'rows' is not known. Did you mean 'row'": wrong(join="rows"),
    "files.incomplete: 'ignore' is not known": wrong(incomplete="ignore"),
    "key 'time' is missing: files that are joined by time": wrong(join="time"),
    "files.time.unit: 'sec' is not known": wrong(time={"column": "t", "unit": "sec"}),
    "files.format.delimiter: one character or whitespace is expected, not ', '": wrong(format={"delimiter": ", "}),
    "delimiter and decimal sign are both ','": wrong(format={"decimal": ","}),
    "skip_rows: -1 rows cannot be skipped": wrong(format={"skip_rows": -1}),
    "files.label: nothing says which activity a sample has": wrong(label=None),
    "files.label: 2 places say which activity": wrong(path="{subject}_{activity}.csv"),
}


@pytest.mark.parametrize("message", CONTRADICTIONS)
def test_a_contradiction_is_an_error(message, tmp_path):
    with pytest.raises(UsageError) as caught:
        card_with(tmp_path, **CONTRADICTIONS[message])
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


INTERVALS = {
    "key 'stop' is missing": {"columns": {"activity": "a", "start": "b"}},
    "'pupil' is not a group of the files": {"columns": {"activity": "a", "start": "b", "stop": "c", "pupil": "d"}},
    "'side' is not a group of the files": {"path": "labels_{side}.csv"},
    "counting: 'samples' is not known": {"counting": "samples"},
    "seconds-from-start?": {"counting": "seconds"},
    "column 'a' is a name, but the file has no header": {"format": {"header": False}},
}


@pytest.mark.parametrize("message", INTERVALS)
def test_intervals_that_contradict_the_files_are_an_error(message, tmp_path):
    good = {"path": "labels.csv", "columns": {"activity": "a", "start": "b", "stop": "c"}, "counting": "samples-from-1"}
    with pytest.raises(UsageError) as caught:
        card_with(tmp_path, files={"label": {"intervals": {**good, **INTERVALS[message]}}})
    assert message in str(caught.value)


def test_tables_must_have_the_same_groups(tmp_path):
    tables = [
        {"path": "a_{subject}.csv", "columns": {"acc_x": "ax", "acc_y": "ay"}},
        {"path": "b_{subject}_{trial}.csv", "columns": {"acc_z": "az"}},
    ]
    with pytest.raises(UsageError, match=r"tables\[1\]\.path: has the groups \['subject', 'trial'\], but the first"):
        card_with(tmp_path, files={"path": None, "columns": None, "tables": tables})


def test_an_address_is_no_part_of_what_a_store_depends_on(tmp_path):
    def card(url):
        return card_with(tmp_path, source={"kind": "download", "archives": [{"name": "a.zip", "url": url}]})

    assert card("one").sha256 == card("two").sha256
    assert card("one").sha256 != card_with(tmp_path).sha256
    assert Path(tmp_path / "mine.yaml").is_file()


def test_every_key_and_unit_stands_in_the_reference():
    text = (Path(__file__).parents[2] / "docs" / "cards.md").read_text(encoding="utf-8")
    kinds = (Card, Source, Archive, Tree, Split, Facts, Files, Table, Format, Time, Label, Intervals)
    keys = {field.name for kind in kinds for field in dataclasses.fields(kind)}
    assert [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)] == []
    assert [unit for unit in SI if f"`{unit}`" not in text] == []
    assert [reader for reader in READERS if f"`{reader}`" not in text] == []


def test_the_small_card_of_the_reference_is_a_card(tmp_path):
    text = (Path(__file__).parents[2] / "docs" / "cards.md").read_text(encoding="utf-8")
    path = tmp_path / "mine.yaml"
    path.write_text(re.search(r"```yaml\n(name: mine.*?)```", text, re.DOTALL)[1])
    assert load_card(path).name == "mine"
