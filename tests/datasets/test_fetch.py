"""Sources: found without importing anything, and refused with what to do."""

import dataclasses
import importlib.metadata

import pytest

from har.datasets.fetch import locate, verified_bytes
from har.datasets.registry import get_card
from har.errors import DataError
from tests.fakes.stores import faked


@pytest.fixture
def card():
    return get_card("spar")


def _with_source(card, **changes):
    return dataclasses.replace(card, source=dataclasses.replace(card.source, **changes))


def test_a_missing_distribution_says_how_to_install_it(card):
    with pytest.raises(DataError) as caught:
        locate(_with_source(card, distribution="no-such-wheel"))
    assert "no-such-wheel==1.2.5 is not installed" in caught.value.what
    assert "pip install" in caught.value.hint
    assert "--source" in caught.value.hint
    assert caught.value.exit_code == 3


def test_another_version_is_refused(card):
    with pytest.raises(DataError, match=r"seglearn 1\.2\.5 is installed, not 1\.2\.4"):
        locate(_with_source(card, version="1.2.4"))


def test_a_file_missing_from_the_distribution_is_refused(card):
    with pytest.raises(DataError, match=r"data/none\.npy is missing from the installed seglearn==1\.2\.5"):
        locate(_with_source(card, file="data/none.npy"))


def test_a_given_source_wins_over_the_installed_one(card, tmp_path, monkeypatch):
    _, written = faked("spar", tmp_path)
    monkeypatch.setattr(importlib.metadata, "distribution", None)
    assert locate(card, written["source"]) == written["source"]
    assert locate(card, str(tmp_path)) == written["source"]


def test_a_given_source_that_is_not_there_is_refused(card, tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*watch_dataset\.npy"):
        locate(card, tmp_path)


def test_a_wrong_hash_is_refused(card, tmp_path):
    path = tmp_path / "watch_dataset.npy"
    path.write_bytes(b"something else")
    with pytest.raises(DataError, match=f"not {card.source.sha256}") as caught:
        verified_bytes(card, path)
    assert "pip install" in caught.value.hint
