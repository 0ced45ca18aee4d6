"""What every built-in card promises, shown on a small fake in its true layout; new cards are picked up."""

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest

from har.datasets.registry import card_names, get_card
from har.errors import DataError
from har.windows.prepare import prepare
from har.windows.store import Store
from tests.fakes.stores import faked

every_card = pytest.mark.parametrize("name", card_names())


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


@every_card
def test_a_card_says_what_a_user_must_know(name):
    card = get_card(name)
    assert card.name == name
    assert all([card.title, card.licence, card.citation, card.homepage, card.subjects, card.facts])
    assert sum(card.facts.rows_per_activity.values()) <= card.facts.rows
    assert set(card.facts.rows_per_activity) == {activity.name for activity in card.activities}


@every_card
def test_facts_hold_and_rows_are_conserved(name, prepared):
    card, written, store = prepared(name)
    assert len(store.recordings) == written["recordings"]
    assert len(store.signal_TC) == len(store.label_T) == written["rows"]
    assert store.subjects == list(card.subjects)
    for label, activity in enumerate(card.activities):
        assert np.count_nonzero(store.label_T == label) == written["rows_per_code"][activity.code]
    assert store.recordings["start"].iloc[0] == 0
    assert (store.recordings["start"].to_numpy()[1:] == store.recordings["stop"].to_numpy()[:-1]).all()


@every_card
def test_acceleration_is_in_si_units(name, prepared):
    _, _, store = prepared(name)
    channels = store.manifest["preparation"]["channels"]
    assert {channel["unit"] for channel in channels} <= {"m/s²", "rad/s"}
    first = [i for i, channel in enumerate(channels) if channel["sensor"] == "accelerometer"][:3]
    norm = np.linalg.norm(store.signal_TC[:, first], axis=1)
    assert np.median(norm) == pytest.approx(9.80665, rel=0.15)


@every_card
def test_preparing_twice_gives_the_same_bytes(name, prepared, tmp_path):
    card, written, store = prepared(name)
    again = prepare(card, source=written["source"], root=tmp_path)
    names = sorted(path.name for path in again.iterdir())
    assert names == ["label.npy", "manifest.json", "recordings.parquet", "signal.npy"]
    for file in names:
        assert (again / file).read_bytes() == (store.folder / file).read_bytes(), file


@every_card
def test_a_changed_source_is_refused_and_leaves_no_store(name, prepared, tmp_path):
    card, written, _ = prepared(name)
    broken = tmp_path / written["source"].name
    if written["source"].is_dir():
        shutil.copytree(written["source"], broken)
        path = next((broken / (card.source.root or "")).glob(card.source.tree.files))
    else:
        path = Path(shutil.copy(written["source"], broken))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="SHA-256"):
        prepare(card, source=broken, root=tmp_path)
    assert [path.name for path in tmp_path.glob("prepared/*") if path.is_dir()] == []


@every_card
def test_a_source_that_its_card_does_not_describe_is_refused(name, prepared, tmp_path):
    card, written, _ = prepared(name)
    one_less = {**card.facts.rows_per_activity}
    activity = next(iter(one_less))
    one_less[activity] -= 1
    facts = dataclasses.replace(card.facts, rows=card.facts.rows + 1, rows_per_activity=one_less)
    wrong = type(card)(**{**vars(card), "facts": facts, "subjects": (*card.subjects, "nobody")})
    with pytest.raises(DataError) as caught:
        prepare(wrong, source=written["source"], root=tmp_path)
    assert "nobody" in str(caught.value)
    assert f"{written['rows']} rows instead of {written['rows'] + 1}" in str(caught.value)
    assert f"rows of {activity} instead of {one_less[activity]}" in str(caught.value)
    assert not (tmp_path / "prepared" / name).exists()
