"""A store is replaced by a process that dies at any of its calls: the old one is there, or the new one, and whole."""

import contextlib
import dataclasses
import itertools
import shutil

import pytest

from har.errors import DataError
from har.windows.prepare import is_prepared, prepare
from tests.datasets.own import card_with, lines, write
from tests.kills import killed_at


@pytest.fixture
def cards(tmp_path):
    """Return two cards of one source, which differ in what they make of it."""
    card = card_with(tmp_path)
    source = write(tmp_path / "raw", {"anna/1.csv": lines("1,2,3,walk", "4,5,6,sit")})
    return (card, dataclasses.replace(card, rate_hz=100.0)), source


def started_again(cards, source, root):
    """Return the number of the card whose store is there without its source, and that nothing is left by the next."""
    for card in cards:
        with contextlib.suppress(DataError):
            prepare(card, root=root)
    whole = [i for i, card in enumerate(cards) if is_prepared(card, root, thorough=True)]
    assert len(whole) == 1
    prepare(cards[1 - whole[0]], source=source, root=root)
    assert sorted(path.name for path in (root / "prepared").iterdir()) == [".locks", "mine"]
    return whole[0]


def test_killed_at_any_step_a_whole_store_is_there(cards, tmp_path, monkeypatch):
    cards, source = cards
    prepare(cards[0], source=source, root=tmp_path / "first")
    found = []
    for step in itertools.count(1):
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "first", root)
        with killed_at(step, monkeypatch) as died:
            prepare(cards[1], source=source, root=root)
        found.append(started_again(cards, source, root))
        if not died:
            break
    assert found == sorted(found)  # the old one at every step until the new one is in place
    assert set(found) == {0, 1}


def test_a_store_that_was_being_replaced_comes_back_before_its_source_is_looked_for(cards, tmp_path):
    cards, source = cards
    folder = prepare(cards[0], source=source, root=tmp_path)
    folder.rename(folder.with_name(".mine.old"))
    assert prepare(cards[0], root=tmp_path) == folder
    assert started_again(cards, source, tmp_path) == 0
