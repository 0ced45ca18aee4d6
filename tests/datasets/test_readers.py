"""Readers: what each of them makes of its source's values."""

import dataclasses
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest

from har.datasets.readers import read
from har.datasets.registry import get_card
from har.errors import DataError
from har.windows.prepare import prepare
from har.windows.store import Store
from tests.fakes.stores import faked


def test_spar_recordings_are_sorted_and_keep_their_own_values(tmp_path):
    card, written = faked("spar", tmp_path)
    content = written["content"]
    found = list(read(card, written["source"]))
    names = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]
    keys = [(int(r.subject), names.index(r.trial.split("-")[0]), r.extra["side"]) for r in found]
    assert keys == sorted(keys)
    for recording, (subject, code, side) in zip(found, keys, strict=True):
        mask = (content["subject"] == subject) & (content["y"] == code) & (content["side"] == (side == "right"))
        (i,) = np.flatnonzero(mask)
        (stream,) = recording.streams
        np.testing.assert_array_equal(stream.signal_TC, content["X"][i])
        assert stream.channels == tuple(channel.name for channel in card.channels)
        assert recording.trial == f"{names[code]}-{side}"
        assert set(recording.label_T.tolist()) == {code}
        assert len(recording.label_T) == len(stream.signal_TC)


def test_an_unknown_activity_code_is_named(tmp_path):
    card, written = faked("spar", tmp_path)
    shorter = dataclasses.replace(card, activities=card.activities[:-1])
    with pytest.raises(DataError, match=r"trial ROW-left: activity code 6 is not in the card"):
        list(read(shorter, written["source"]))


class _Trap:
    sprung = False

    def __reduce__(self):
        return (_spring, ())


def _spring():
    _Trap.sprung = True


def test_nothing_is_unpickled_before_its_hash_is_checked(tmp_path):
    path = tmp_path / "watch_dataset.npy"
    np.save(path, np.array(_Trap(), object), allow_pickle=True)
    with pytest.raises(DataError, match="SHA-256"):
        list(read(get_card("spar"), path))
    assert not _Trap.sprung


def test_the_bytes_that_are_hashed_are_the_bytes_that_are_unpickled(tmp_path, monkeypatch):
    card, written = faked("spar", tmp_path)
    read_once = Path.read_bytes

    def read_then_exchange(path):
        content = read_once(path)
        path.write_bytes(pickle.dumps(_Trap()))
        return content

    monkeypatch.setattr(Path, "read_bytes", read_then_exchange)
    assert len(list(read(card, written["source"]))) == 140
    assert not _Trap.sprung


def test_the_real_spar_is_prepared_from_the_installed_wheel(tmp_path):
    store = Store.open(prepare(get_card("spar"), root=tmp_path))
    assert len(store.recordings) == 140
    assert store.signal_TC.shape == (244_102, 6)
    assert store.subjects == [str(i) for i in range(1, 11)]
    assert store.recordings["trial"].head(3).tolist() == ["PEN-left", "PEN-right", "ABD-left"]
    norm_g = np.linalg.norm(store.signal_TC[:, :3], axis=1).mean() / 9.80665
    assert norm_g == pytest.approx(1.15, abs=0.01)
    assert "seglearn" not in sys.modules


def test_the_hash_in_the_spar_card_is_that_of_the_published_file():
    digest = get_card("spar").source.sha256
    assert digest == "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"
