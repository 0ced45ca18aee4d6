"""What every built-in card promises, shown on a small fake in its true layout; new cards are picked up."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from har.datasets.readers import read
from har.datasets.recipe import Recipe
from har.datasets.recording import natural_order
from har.datasets.registry import card_names, get_card
from har.datasets.units import SI
from har.errors import DataError
from har.windows.prepare import prepare
from har.windows.store import Store
from tests.fakes.stores import faked

every_card = pytest.mark.parametrize("name", card_names())
LICENSED_FOR = ("licence", "citation", "homepage", "title")


def _has_clock(card):
    return card.files is not None and any(table.time is not None for table in card.files.tables)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """Return what makes a card's fake and its store, once for all tests."""
    made = {}

    def make(name):
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            card, written = faked(name, folder / "raw")
            made[name] = card, written, Store.open(prepare(card, source=written["source"], root=folder))
        return made[name]

    return make


@pytest.fixture
def copied(prepared, tmp_path):
    """Return what copies a card's fake, without a hash over all of its files, so that it can be damaged."""

    def copy(name):
        card, written, _ = prepared(name)
        source = tmp_path / "copy"
        (shutil.copytree if written["source"].is_dir() else shutil.copy)(written["source"], source)
        return dataclasses.replace(card, source=dataclasses.replace(card.source, tree=None)), source

    return copy


def _signal_files(card, source):
    """Return the files that hold signals, largest first: the first ones a reader can trip over."""
    root = source / card.source.root if card.source.root else source
    found = {name for raw in read(card, root) for name in raw.files}
    return sorted((root / name for name in found), key=lambda path: (-path.stat().st_size, str(path)))


@every_card
def test_a_card_says_what_a_user_must_know(name):
    card = get_card(name)
    assert card.name == name
    assert all(getattr(card, key) for key in LICENSED_FOR)
    assert card.facts is not None
    assert list(card.subjects) == natural_order(card.subjects)
    assert len(card.subjects) > 1
    if card.facts.rows_per_activity:
        assert set(card.facts.rows_per_activity) == {activity.name for activity in card.activities}
        assert sum(card.facts.rows_per_activity.values()) == (card.facts.labelled_rows or card.facts.rows)


@every_card
def test_what_nobody_counted_in_the_files_is_marked(name):
    proven = {"spar", "hapt", "usc-had"}  # whose files were here
    assert get_card(name).facts.verified is (name in proven)


@every_card
def test_facts_hold(name, prepared):
    card, written, store = prepared(name)
    found = store.manifest["source_counts"]
    assert found["recordings"] == written["recordings"]
    assert found["rows"] == written["rows"]
    assert found["rows_per_activity"] == card.facts.rows_per_activity
    assert store.manifest["facts_that_differ"] == []
    assert store.subjects == list(card.subjects) == natural_order(store.subjects)


@every_card
def test_rows_are_conserved(name, prepared):
    card, written, store = prepared(name)
    rows = len(store.signal_TC)
    assert len(store.label_T) == rows == store.recordings["stop"].iloc[-1]
    assert (store.recordings["start"].to_numpy()[1:] == store.recordings["stop"].to_numpy()[:-1]).all()
    if not _has_clock(card):
        assert rows == written["rows"]
        for label, activity in enumerate(card.activities):
            assert np.count_nonzero(store.label_T == label) == written["rows_per_code"].get(activity.code, 0)
    # where sensors are joined by time, a recording has what all of them have: the gyroscope begins late and ends early
    assert rows == pytest.approx(written["rows"], rel=0.12 if card.files and card.files.join == "time" else 0.01)


@every_card
def test_every_activity_and_nothing_else_is_a_label(name, prepared):
    card, written, store = prepared(name)
    performed = {card.label_of(code, name) for code in written["rows_per_code"]}
    assert {label for label in np.unique(store.label_T).tolist() if label >= 0} == performed
    assert performed == set(range(len(card.activities)))


@every_card
def test_total_acceleration_is_that_of_gravity(name, prepared):
    _, _, store = prepared(name)
    channels = store.manifest["preparation"]["channels"]
    assert {channel["unit"] for channel in channels} <= {unit for unit, _ in SI.values()}
    sites = list(dict.fromkeys(c["site"] for c in channels if c["sensor"] == "accelerometer"))
    assert bool(sites) is ("scrambled" not in name)  # where no three channels are the axes of one vector
    for site in sites:
        axes = [i for i, c in enumerate(channels) if c["sensor"] == "accelerometer" and c["site"] == site]
        assert [channels[i]["axis"] for i in axes] == ["x", "y", "z"]
        norm = np.linalg.norm(store.signal_TC[:, axes], axis=1)
        assert np.median(norm) == pytest.approx(9.80665, rel=0.1), site


@every_card
def test_rotation_is_in_radians(name, prepared):
    _, _, store = prepared(name)
    channels = store.manifest["preparation"]["channels"]
    columns = [i for i, c in enumerate(channels) if c["sensor"] == "gyroscope" and c["unit"] == "rad/s"]
    if columns:  # the fakes turn by about 1 rad/s, which is 57 degrees/s
        assert 0.1 < np.abs(store.signal_TC[:, columns]).max() < 10


@every_card
def test_preparing_twice_gives_the_same_bytes(name, prepared, tmp_path):
    card, written, store = prepared(name)
    again = prepare(card, source=written["source"], root=tmp_path)
    names = sorted(path.name for path in again.iterdir())
    assert names == ["label.npy", "manifest.json", "recordings.parquet", "signal.npy"]
    for file in names:
        assert (again / file).read_bytes() == (store.folder / file).read_bytes(), file


@every_card
def test_an_official_archive_makes_the_same_store(name, prepared, tmp_path):
    card, written, store = prepared(name)
    if card.source.kind != "download":
        return
    archive = shutil.make_archive(str(tmp_path / "official"), "zip", written["source"])
    again = prepare(card, source=archive, root=tmp_path)
    assert (again / "manifest.json").read_bytes() == (store.folder / "manifest.json").read_bytes()


@every_card
def test_a_changed_source_is_refused_where_its_hash_is_known(name, prepared, tmp_path):
    card, written, _ = prepared(name)
    if card.source.tree is None and card.source.sha256 is None:
        return
    source = tmp_path / "copy"
    (shutil.copytree if written["source"].is_dir() else shutil.copy)(written["source"], source)
    path = source
    if card.source.tree is not None:
        path = sorted((source / (card.source.root or ".")).glob(card.source.tree.files))[-1]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        prepare(card, source=source, root=tmp_path)
    _require_no_store(tmp_path)


@every_card
def test_a_damaged_file_is_named_and_leaves_no_store(name, copied, tmp_path):
    card, source = copied(name)
    path = source if source.is_file() else _signal_files(card, source)[0]
    content = path.read_bytes()
    text = path.suffix not in (".mat", ".npy") and path != source
    if text:
        lines = content.split(b"\n")
        lines[7] = lines[7][: len(lines[7]) // 2] + b"x;y"
        path.write_bytes(b"\n".join(lines))
    else:
        path.write_bytes(content[: len(content) // 2])
    with pytest.raises(DataError) as caught:
        prepare(card, source=source, root=tmp_path)
    assert path.name in str(caught.value)
    if text:
        assert "line 8" in str(caught.value)
    _require_no_store(tmp_path)


@every_card
def test_a_binary_file_in_the_place_of_text_is_named(name, copied, tmp_path):
    card, source = copied(name)
    path = source if source.is_file() else _signal_files(card, source)[0]
    path.write_bytes(bytes(range(256)) * 10)
    with pytest.raises(DataError, match=path.name):
        prepare(card, source=source, root=tmp_path)
    _require_no_store(tmp_path)


@every_card
def test_a_missing_file_is_noticed(name, copied, tmp_path):
    card, source = copied(name)
    if source.is_dir():
        _signal_files(card, source)[0].unlink()
    else:
        source.unlink()
    with pytest.raises(DataError):  # by the reader, or since the card's facts are not found
        prepare(card, source=source, root=tmp_path)
    _require_no_store(tmp_path)


@every_card
def test_a_source_that_its_card_does_not_describe_is_refused(name, prepared, tmp_path):
    card, written, _ = prepared(name)
    one_less = {**card.facts.rows_per_activity}
    activity = next(iter(one_less))
    one_less[activity] -= 1
    facts = dataclasses.replace(card.facts, rows=card.facts.rows + 1, rows_per_activity=one_less)
    wrong = dataclasses.replace(card, facts=facts, subjects=(*card.subjects, "nobody"))
    with pytest.raises(DataError) as caught:
        prepare(wrong, source=written["source"], root=tmp_path)
    assert "nobody" in str(caught.value)
    assert f"{written['rows']} rows instead of {written['rows'] + 1}" in str(caught.value)
    assert f"rows of {activity} instead of {one_less[activity]}" in str(caught.value)
    assert not (tmp_path / "prepared" / name).exists()


@every_card
def test_facts_that_nobody_counted_are_no_error_but_written_down(name, prepared, tmp_path):
    card, written, _ = prepared(name)
    facts = dataclasses.replace(card.facts, rows=card.facts.rows + 1, verified=False)
    store = Store.open(prepare(dataclasses.replace(card, facts=facts), source=written["source"], root=tmp_path))
    assert store.manifest["facts_that_differ"] == [f"{written['rows']} rows instead of {written['rows'] + 1}"]


@pytest.mark.parametrize("name", [name for name in card_names() if "scrambled" not in name])
def test_an_accelerometer_alone_at_another_rate(name, prepared, tmp_path):
    card, written, _ = prepared(name)
    recipe = Recipe(rate_hz=10, sensors=("accelerometer",), magnitude=("accelerometer",))
    folder = prepare(card, source=written["source"], root=tmp_path, recipe=recipe, name="other")
    other = Store.open(folder)
    assert other.rate_hz == 10
    assert any(channel.endswith("magnitude") for channel in other.channels)
    # each recording loses up to a step of the new rate at its end
    duration_s = written["rows"] / card.rate_hz
    assert len(other.signal_TC) / 10 == pytest.approx(duration_s, abs=len(other.recordings) / 10 + 1)


def _require_no_store(root: Path) -> None:
    """Fail where a store, or a part of one, was left behind."""
    folder = root / "prepared"
    assert not folder.exists() or [path.name for path in folder.iterdir()] == [".locks"]
