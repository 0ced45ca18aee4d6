"""Stores: what is written is what is read, and nothing damaged is read at all."""

import dataclasses
import json

import numpy as np
import pytest

from har.datasets.card import Split
from har.errors import DataError
from har.windows.segment import WindowSpec, window_index
from har.windows.store import Store, write_store
from tests.fakes.stores import plain_card, plain_recording


@pytest.fixture
def recordings():
    return [
        plain_recording("10", [0, 0, 1]),
        plain_recording("2", [-1, 1], trial="b"),
        plain_recording("2", [1], trial="c"),
    ]


@pytest.fixture
def folder(tmp_path, recordings):
    write_store(tmp_path / "plain", plain_card(), iter(recordings))
    return tmp_path / "plain"


def test_a_store_gives_back_what_was_written(folder, recordings):
    store = Store.open(folder)
    np.testing.assert_array_equal(store.signal_TC, np.concatenate([r.signal_TC for r in recordings]))
    np.testing.assert_array_equal(store.label_T, [0, 0, 1, -1, 1, 1])
    assert store.signal_TC.dtype == np.float32
    assert store.label_T.dtype == np.int16
    assert store.recordings.to_dict("list") == {
        "recording": [0, 1, 2],
        "subject": ["10", "2", "2"],
        "trial": ["a", "b", "c"],
        "start": [0, 3, 5],
        "stop": [3, 5, 6],
        "begin_s": [0, 0, 0],
    }
    assert store.subjects == ["2", "10"]
    assert store.rate_hz == 10
    assert store.channels == ["acc_x", "gyro_x"]
    assert store.activities == ["walk", "sit"]
    assert store.null is None
    store.verify()


def test_a_store_is_a_read_only_map_of_its_files(folder):
    store = Store.open(folder)
    assert isinstance(store.signal_TC, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        store.signal_TC[0, 0] = 1


def test_the_manifest_states_recipe_codes_and_counts_and_no_place(folder, tmp_path):
    text = (folder / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["preparation"]["channels"][0] == {
        "name": "acc_x",
        "sensor": "accelerometer",
        "site": "wrist",
        "axis": "x",
        "unit": "m/s²",
        "source_unit": "g",
        "factor": 9.80665,
    }
    assert manifest["preparation"]["rate_hz"] == 10
    assert manifest["preparation"]["filters"] == []
    assert manifest["counts"] == {
        "recordings": 3,
        "rows": 6,
        "rows_per_activity": {"walk": 2, "sit": 3},
        "unlabelled_rows": 1,
    }
    assert [activity["code"] for activity in manifest["activities"]] == [0, 1]
    assert str(tmp_path) not in text


def test_the_hash_of_a_store_covers_its_data(folder, tmp_path, recordings):
    recordings[0].signal_TC[0, 0] += 1
    write_store(tmp_path / "other" / "plain", plain_card(), recordings)
    assert Store.open(tmp_path / "other" / "plain").sha256 != Store.open(folder).sha256


def test_a_recording_with_nan_makes_no_store(tmp_path, recordings):
    recordings[1].signal_TC[0, 1] = np.nan
    with pytest.raises(DataError, match="subject 2, trial b: nan in row 0, channel gyro_x"):
        write_store(tmp_path / "plain", plain_card(), recordings)
    with pytest.raises(DataError, match=r"manifest\.json is missing"):
        Store.open(tmp_path / "plain")


def test_a_store_of_nothing_is_refused(tmp_path):
    with pytest.raises(DataError, match="the source holds no recording"):
        write_store(tmp_path / "plain", plain_card(), [])


def test_a_store_that_is_not_there_says_how_to_make_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HAR_DATA", str(tmp_path))
    with pytest.raises(DataError) as caught:
        Store.open(tmp_path / "prepared" / "spar")
    assert caught.value.what.startswith("data set 'spar' is not prepared")
    assert caught.value.hint == "Make it: har prepare spar"


def test_the_mending_command_names_another_root_and_a_card_of_ones_own(tmp_path):
    with pytest.raises(DataError) as caught:
        Store.open(tmp_path / "prepared" / "mine")
    assert caught.value.hint == f"Make it: har prepare CARD.yaml (the card of mine) --root {tmp_path}"


def _truncate(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def _exchange(folder):
    """Give the store another store's labels, and a manifest that agrees."""
    np.save(folder / "label.npy", np.zeros(5, np.int16))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["label.npy"]["bytes"] = (folder / "label.npy").stat().st_size
    (folder / "manifest.json").write_text(json.dumps(manifest))


def _saying(**entries):
    """Return what writes other entries into a store's manifest, those of its preparation among them."""

    def spoil(folder):
        manifest = json.loads((folder / "manifest.json").read_text())
        for key, value in entries.items():
            (manifest["preparation"] if key in ("rate_hz", "channels") else manifest)[key] = value
        (folder / "manifest.json").write_text(json.dumps(manifest))

    return spoil


def _garble(folder):
    path = folder / "recordings.parquet"
    path.write_bytes(b"x" * path.stat().st_size)


def _behead(text):
    """Return what puts `text` into the head of the labels' file, which numpy reads as Python."""

    def damage(folder):
        path = folder / "label.npy"
        content = path.read_bytes()
        path.write_bytes(content[:10] + text + content[10 + len(text) :])

    return damage


DAMAGE = {
    "cannot be read (TokenError": _behead(b"((("),
    "signal.npy has 150 bytes instead of 176": _truncate("signal.npy", 150),
    "label.npy has 0 bytes": _truncate("label.npy", 0),
    "recordings.parquet has 9 bytes": _truncate("recordings.parquet", 9),
    "label.npy is missing": lambda folder: (folder / "label.npy").unlink(),
    "manifest.json is missing": lambda folder: (folder / "manifest.json").unlink(),
    "has a damaged manifest.json": _truncate("manifest.json", 40),
    "has format 99, this version reads 1": _saying(format=99),
    "cannot be read (KeyError": lambda folder: (folder / "manifest.json").write_text('{"format": 1}'),
    "a damaged manifest.json": lambda folder: (folder / "manifest.json").write_text("[]"),
    "cannot be read (ArrowInvalid": _garble,
    "has files that do not belong together": _exchange,
    "says what cannot be: rate_hz is 0.0": _saying(rate_hz=0),
    "says what cannot be: rate_hz is nan": _saying(rate_hz=float("nan")),
    "says what cannot be: activities are []": _saying(activities=[]),
    "says what cannot be: activities are [3]": _saying(activities=[{"name": 3}]),
    "says what cannot be: subjects are ['1', '']": _saying(subjects=["1", ""]),
    "says what cannot be: null is 'nothing', which is no activity": _saying(null="nothing"),
}


@pytest.mark.parametrize("message", DAMAGE)
def test_a_damaged_store_is_refused_with_the_command_that_mends_it(folder, message):
    DAMAGE[message](folder)
    with pytest.raises(DataError) as caught:
        Store.open(folder)
    assert message in caught.value.what
    assert str(folder) in caught.value.what
    assert "har prepare" in caught.value.hint


def test_a_label_without_a_name_is_refused(folder):
    store = Store.open(folder)
    _saying(activities=[{"name": store.activities[0]}])(folder)
    highest = store.label_T.max()
    with pytest.raises(DataError, match=f"a label of the store is {highest}, and it names 1 activities"):
        window_index(Store.open(folder), WindowSpec(1 / store.rate_hz, 1 / store.rate_hz))


def test_a_changed_byte_is_found_by_verifying(folder):
    content = bytearray((folder / "signal.npy").read_bytes())
    content[-1] ^= 1
    (folder / "signal.npy").write_bytes(content)
    with pytest.raises(DataError, match=r"holds a signal\.npy that was changed"):
        Store.open(folder).verify()


def test_a_split_of_a_card_without_subjects_names_those_of_the_source(tmp_path, recordings):
    good, bad = Split(train=("2",), test=("10/a",)), Split(train=("2",), test=("11",))
    card = dataclasses.replace(plain_card(), subjects=(), splits={"mine": good})
    write_store(tmp_path / "good", card, iter(recordings))
    with pytest.raises(DataError, match=r"splits\.mine\.test: '11' is not a subject of the source") as caught:
        write_store(tmp_path / "bad", dataclasses.replace(card, splits={"mine": bad}), iter(recordings))
    assert "10" in caught.value.hint
    assert not (tmp_path / "bad" / "manifest.json").exists()


def test_a_file_without_a_hash_in_the_manifest_is_no_verified_one(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    del manifest["files"]["label.npy"]["sha256"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(DataError, match=r"label\.npy"):
        Store.open(folder).verify()
