"""Sources: found without importing anything, and refused with what to do."""

import contextlib
import dataclasses
import hashlib
import importlib.metadata
import itertools
import logging
import shutil
import zipfile

import pytest

import har.datasets.fetch
from har.datasets.card import Archive, Files, Source, Table, Tree
from har.datasets.fetch import locate, raw_folder, rung, tree_sha256, verified_bytes
from har.datasets.registry import get_card
from har.errors import DataError
from tests.datasets.server import serving
from tests.fakes import mhealth
from tests.fakes.stores import faked, plain_card
from tests.kills import killed_at


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


# -- data that are downloaded --


@pytest.fixture
def official(tmp_path):
    """Return an archive as UCI has them, a zip in a zip, and the folder that it was made from."""
    unpacked = tmp_path / "official"
    mhealth.write(unpacked)
    inner, outer = tmp_path / "inner.zip", tmp_path / "m.zip"
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(unpacked.rglob("*.*")):
            archive.write(path, path.relative_to(unpacked))
    with zipfile.ZipFile(outer, "w") as archive:
        archive.write(inner, "MHEALTHDATASET.zip")
    inner.unlink()
    return outer, unpacked


def _card(archive, *, url=None, tree=None, **changes):
    """Return a card whose source is this archive."""
    content = archive.read_bytes()
    stated = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content), **changes}
    source = Source("download", archives=(Archive("m.zip", url, **stated),), root="MHEALTHDATASET", tree=tree)
    files = Files((Table("mHealth_subject{subject:d}.log", {"acc_x": (1,), "gyro_x": (9,)}),))
    return plain_card(source=source, reader="files", files=files)


def _tree(folder):
    return Tree("*.log", tree_sha256(folder, sorted(folder.glob("*.log"))))


def test_what_is_nowhere_is_an_error_with_both_ways_out(official, tmp_path):
    with pytest.raises(DataError) as caught:
        locate(_card(official[0], url="http://nowhere/m.zip"), root=tmp_path)
    assert caught.value.what.startswith("source of plain: neither mHealth_subject*.log nor m.zip is in")
    assert "har prepare CARD.yaml --download" in caught.value.hint
    assert "har prepare CARD.yaml --source PATH" in caught.value.hint


def test_a_built_in_card_is_named_in_the_commands(official, tmp_path):
    card = dataclasses.replace(_card(official[0], url="http://nowhere/m.zip"), name="spar")
    with pytest.raises(DataError, match="har prepare spar --download"):
        locate(card, root=tmp_path)


def test_without_an_address_the_homepage_is_named(official, tmp_path):
    card = dataclasses.replace(_card(official[0]), homepage="https://example.org")
    with pytest.raises(DataError, match=r"Get m\.zip from https://example\.org"):
        locate(card, root=tmp_path, allow_download=True)


def test_nothing_is_downloaded_unless_it_is_allowed(official, tmp_path, monkeypatch):
    monkeypatch.setattr(har.datasets.fetch, "download", None)
    with pytest.raises(DataError, match="--download"):
        locate(_card(official[0], url="http://nowhere/m.zip"), root=tmp_path)


def test_the_whole_ladder_from_the_server_down(official, tmp_path):
    outer, unpacked = official
    with serving(outer.read_bytes()) as server:
        card = _card(outer, url=server.url, tree=_tree(unpacked / "MHEALTHDATASET"))
        assert rung(card, tmp_path) == "download"
        folder = locate(card, root=tmp_path, allow_download=True)
        assert folder == raw_folder(card, tmp_path) / "files" / "MHEALTHDATASET"
        assert len(list(folder.glob("*.log"))) == 10
        assert rung(card, tmp_path) == "unpacked"
        shutil.rmtree(folder.parent)
        assert rung(card, tmp_path) == "archive"
        assert locate(card, root=tmp_path) == folder  # from the archive that lies there
        (raw_folder(card, tmp_path) / "m.zip").unlink()
        assert locate(card, root=tmp_path) == folder  # from what is unpacked
        assert len(server.asked) == 1


def test_a_damaged_archive_here_is_an_error_and_not_downloaded_over(official, tmp_path):
    outer, _ = official
    with serving(outer.read_bytes()) as server:
        card = _card(outer, url=server.url, bytes=None)
        place = raw_folder(card, tmp_path) / "m.zip"
        place.parent.mkdir(parents=True)
        place.write_bytes(b"PK damaged")
        with pytest.raises(DataError, match=r"m\.zip has SHA-256 .* it was not opened") as caught:
            locate(card, root=tmp_path, allow_download=True)
        assert "Remove it" in caught.value.hint
        assert server.asked == []
        assert place.read_bytes() == b"PK damaged"
        assert not (raw_folder(card, tmp_path) / "files").exists()


def test_an_archive_without_a_stated_hash_is_taken_and_its_hash_is_said(official, tmp_path, caplog):
    outer, _ = official
    with caplog.at_level(logging.WARNING):
        locate(_card(outer, sha256=None), outer, root=tmp_path)
    assert hashlib.sha256(outer.read_bytes()).hexdigest() in caplog.text


@pytest.mark.parametrize("where", ["", "MHEALTHDATASET"])
def test_a_given_folder_may_be_the_root_or_what_holds_it(official, tmp_path, where):
    outer, unpacked = official
    assert locate(_card(outer), unpacked / where, root=tmp_path) == unpacked / "MHEALTHDATASET"
    assert not raw_folder(_card(outer), tmp_path).exists()


def test_a_given_archive_is_checked_and_unpacked_under_the_data_root(official, tmp_path):
    outer, unpacked = official
    shutil.rmtree(unpacked)
    folder = locate(_card(outer), outer, root=tmp_path / "data")
    assert folder == tmp_path / "data" / "raw" / "m" / "files" / "MHEALTHDATASET"
    with pytest.raises(DataError, match="it was not opened"):
        locate(_card(outer, sha256="0" * 64), outer, root=tmp_path / "data")


def test_a_given_folder_may_hold_the_archive(official, tmp_path):
    outer, unpacked = official
    shutil.rmtree(unpacked)
    assert locate(_card(outer), outer.parent, root=tmp_path / "data").name == "MHEALTHDATASET"


def test_what_a_person_unpacked_into_the_raw_folder_is_found(official, tmp_path):
    outer, unpacked = official
    card = _card(outer)
    shutil.copytree(unpacked, raw_folder(card, tmp_path))
    assert locate(card, root=tmp_path) == raw_folder(card, tmp_path) / "MHEALTHDATASET"


def test_who_waited_for_another_process_takes_what_it_unpacked(official, tmp_path, monkeypatch):
    outer, unpacked = official
    card = _card(outer, url="http://127.0.0.1:9/m.zip")
    folder = raw_folder(card, tmp_path) / "files"

    @contextlib.contextmanager
    def waiting(_path):
        shutil.copytree(unpacked, folder)  # meanwhile
        yield

    monkeypatch.setattr(har.datasets.fetch, "FileLock", waiting)
    monkeypatch.setattr(har.datasets.fetch, "download", None)
    assert locate(card, root=tmp_path, allow_download=True) == folder / "MHEALTHDATASET"


def test_what_lies_in_folders_of_its_own_is_found_where_it_is_the_only_one(official, tmp_path):
    outer, unpacked = official
    wrapped = tmp_path / "wrapped" / "MHEALTH data" / "v1"
    shutil.copytree(unpacked, wrapped)
    assert locate(_card(outer), tmp_path / "wrapped", root=tmp_path) == wrapped / "MHEALTHDATASET"
    shutil.copytree(unpacked, tmp_path / "wrapped" / "another copy")
    with pytest.raises(DataError, match="does not hold"):
        locate(_card(outer), tmp_path / "wrapped", root=tmp_path)


def test_a_page_in_the_place_of_an_archive_is_not_kept(official, tmp_path):
    page = b"<!doctype html><title>moved</title>"
    with serving(page) as server:
        card = _card(official[0], url=server.url, sha256=None, bytes=None)
        with pytest.raises(DataError, match="is no archive: it begins with b'<!doctype html>") as caught:
            locate(card, root=tmp_path, allow_download=True)
        assert "--source" in caught.value.hint
    assert [path.name for path in raw_folder(card, tmp_path).iterdir()] == [".lock"]


def test_killed_at_any_step_of_unpacking_again_the_files_are_there(official, tmp_path, monkeypatch):
    outer, unpacked = official
    card = _card(outer, tree=_tree(unpacked / "MHEALTHDATASET"))
    locate(card, outer, root=tmp_path / "first")
    for step in itertools.count(1):
        root = tmp_path / str(step)
        shutil.copytree(tmp_path / "first", root)
        with killed_at(step, monkeypatch) as died:
            locate(card, outer, root=root)
        assert locate(card, root=root) == raw_folder(card, root) / "files" / "MHEALTHDATASET"
        if not died:
            break
    assert step > 10


def test_what_was_unpacked_from_another_archive_is_refused(official, tmp_path):
    outer, _ = official
    locate(_card(outer), outer, root=tmp_path)
    with pytest.raises(DataError, match="was unpacked from another archive than the card states"):
        locate(_card(outer, sha256="0" * 64), root=tmp_path)


def test_a_changed_file_does_not_have_the_cards_tree_hash(official, tmp_path):
    outer, unpacked = official
    card = _card(outer, tree=_tree(unpacked / "MHEALTHDATASET"))
    assert locate(card, unpacked, root=tmp_path)
    (unpacked / "MHEALTHDATASET" / "mHealth_subject3.log").unlink()
    with pytest.raises(DataError, match=r"the 9 files \*\.log in .* have the tree SHA-256"):
        locate(card, unpacked, root=tmp_path)
    shutil.copytree(unpacked, raw_folder(card, tmp_path / "by-hand"))
    with pytest.raises(DataError, match=r"the 9 files \*\.log in .* have the tree SHA-256"):
        locate(card, root=tmp_path / "by-hand")
    (locate(card, outer, root=tmp_path) / "mHealth_subject3.log").write_text("1\t2\n")
    with pytest.raises(DataError, match=r"the 10 files \*\.log in .* have the tree SHA-256"):
        locate(card, root=tmp_path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: None, "there is no folder or file"),
        (lambda path: path.mkdir(), r"does not hold mHealth_subject\*\.log, nor m\.zip"),
        (lambda path: path.write_text("1,2"), "is neither a folder nor a zip or tar archive"),
        (lambda path: path.write_bytes(b"PK\x03\x04 and no end"), "is a zip that is cut off or damaged"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "it was not opened"),
    ],
)
def test_a_given_source_that_is_none_is_refused(official, tmp_path, make, message):
    make(tmp_path / "given")
    with pytest.raises(DataError, match=message):
        locate(_card(official[0]), tmp_path / "given", root=tmp_path)


def test_an_archive_of_something_else_is_refused(tmp_path):
    other = tmp_path / "m.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("readme.txt", "nothing")
    with pytest.raises(DataError, match=r"does not hold mHealth_subject\*\.log") as caught:
        locate(_card(other), other, root=tmp_path)
    assert "another archive" in caught.value.hint


@pytest.mark.parametrize("member", ["readme.txt", "MHEALTHDATASET/mHealth_subject1.log"])
def test_a_wrong_archive_leaves_what_was_unpacked_before(official, tmp_path, member):
    outer, unpacked = official
    card = _card(outer, sha256=None, bytes=None, tree=_tree(unpacked / "MHEALTHDATASET"))
    folder = locate(card, outer, root=tmp_path)
    before = {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()}
    wrong = tmp_path / "wrong.zip"
    with zipfile.ZipFile(wrong, "w") as archive:
        archive.writestr(member, "nothing")
    with pytest.raises(DataError, match=r"wrong\.zip (does not hold|have the tree SHA-256)"):
        locate(card, wrong, root=tmp_path)
    assert {path: path.read_bytes() for path in folder.parent.rglob("*") if path.is_file()} == before
    assert not (folder.parent.parent / ".files.part").exists()
    assert locate(card, root=tmp_path) == folder


def test_ones_own_folder_must_be_given_and_may_be_an_archive(official, tmp_path):
    outer, unpacked = official
    card = dataclasses.replace(_card(outer), source=Source("folder", root="MHEALTHDATASET"))
    assert rung(card, tmp_path) == "source"
    with pytest.raises(DataError, match="no folder is given"):
        locate(card, root=tmp_path)
    assert locate(card, unpacked, root=tmp_path) == unpacked / "MHEALTHDATASET"
    assert locate(card, outer, root=tmp_path).name == "MHEALTHDATASET"


def test_a_full_disk_leaves_nothing_unpacked(official, tmp_path, monkeypatch):
    outer, _ = official
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(OSError, match="are free"):
        locate(_card(outer), outer, root=tmp_path / "data")
    assert not [path for path in (tmp_path / "data" / "raw" / "m").iterdir() if path.is_dir()]


def test_the_tree_hash_is_the_one_that_is_written_down(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.txt").write_bytes(b"two")
    (tmp_path / "a.txt").write_bytes(b"one")
    digests = [hashlib.sha256(content).hexdigest() for content in (b"one", b"two")]
    lines = f"{digests[0]}  a.txt\n{digests[1]}  b/2.txt\n"
    paths = [tmp_path / "b" / "2.txt", tmp_path / "a.txt"]
    assert tree_sha256(tmp_path, paths) == hashlib.sha256(lines.encode()).hexdigest()
