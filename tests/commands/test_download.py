"""`har prepare --download` and `--source ARCHIVE`, through the command line and a server on this machine."""

import hashlib
import shutil
import zipfile
from pathlib import Path

import pytest
import yaml

import har.datasets
from har.__main__ import main
from har.windows.prepare import is_prepared, prepare
from tests.datasets.server import serving
from tests.fakes import mhealth
from tests.fakes.stores import faked

_CARDS = Path(har.datasets.__file__).parent / "cards"


@pytest.fixture
def archive(tmp_path):
    mhealth.write(tmp_path / "made")
    return Path(shutil.make_archive(str(tmp_path / "official"), "zip", tmp_path / "made"))


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("HAR_DATA", str(tmp_path / "data"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "data"


def _card(folder, url, sha256):
    """Write a card of one's own: mHealth's, with another address."""
    value = yaml.safe_load((_CARDS / "mhealth.yaml").read_text())
    value["name"] = "mine"
    value["source"]["archives"] = [{"name": "mine.zip", "url": url, "sha256": sha256}]
    del value["facts"]
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(value))
    return str(path)


def test_a_data_set_is_downloaded_only_when_it_is_asked_for(archive, data, tmp_path, capsys):
    content = archive.read_bytes()
    with serving(content) as server:
        card = _card(tmp_path, server.url, hashlib.sha256(content).hexdigest())
        assert main(["prepare", card]) == 3
        assert "--download, or point to a copy" in capsys.readouterr().err
        assert server.asked == []
        assert main(["prepare", card, "--download"]) == 0
        assert "10 recordings of 10 subjects" in capsys.readouterr().out
        assert main(["prepare", card, "--download"]) == 0
        assert "already prepared" in capsys.readouterr().out
        assert len(server.asked) == 1
    assert sorted(path.name for path in (data / "raw" / "mine").iterdir()) == [".lock", "files", "mine.zip"]


def test_a_download_with_a_wrong_hash_leaves_nothing(archive, data, tmp_path, capsys):
    with serving(archive.read_bytes()) as server:
        assert main(["prepare", _card(tmp_path, server.url, "0" * 64), "--download"]) == 3
    assert "it was not opened" in capsys.readouterr().err
    assert [path.name for path in (data / "raw" / "mine").iterdir()] == [".lock"]
    assert not (data / "prepared").exists()


def test_an_archive_in_hand_is_a_source(archive, data, capsys):
    assert main(["prepare", "mhealth", "--source", str(archive)]) == 0
    out = capsys.readouterr().out
    assert "10 recordings of 10 subjects" in out
    shutil.rmtree(data / "prepared")
    assert main(["prepare", "mhealth"]) == 0  # it was unpacked under the data root


def test_another_archive_than_the_stores_is_never_already_prepared(archive, data, capsys):
    given = ["prepare", "mhealth", "--source", str(archive)]
    assert main(given) == 0
    before = (data / "prepared" / "mhealth" / "manifest.json").read_bytes()
    capsys.readouterr()
    assert main(given) == 0
    assert "already prepared" in capsys.readouterr().out
    with zipfile.ZipFile(archive, "a") as changed:
        changed.writestr("MHEALTHDATASET/notes.txt", "packed anew")
    assert main(given) == 0
    assert "already prepared" not in capsys.readouterr().out
    assert (data / "prepared" / "mhealth" / "manifest.json").read_bytes() == before  # the same data are the same store
    with zipfile.ZipFile(archive, "w") as wrong:
        wrong.writestr("readme.txt", "nothing")
    assert main(given) == 3
    archive.unlink()
    assert main(given) == 3
    assert "already prepared" not in capsys.readouterr().out
    assert main(["prepare", "mhealth"]) == 0


def test_an_archive_is_held_against_the_hash_that_the_card_states(archive, data, tmp_path, capsys):
    card = _card(tmp_path, None, hashlib.sha256(archive.read_bytes()).hexdigest())
    assert main(["prepare", card, "--source", str(archive)]) == 0
    assert main(["prepare", card, "--source", str(archive)]) == 0
    assert "already prepared" in capsys.readouterr().out
    archive.write_bytes(archive.read_bytes() + b"more")
    assert main(["prepare", card, "--source", str(archive)]) == 3
    assert "it was not opened" in capsys.readouterr().err


def test_another_folder_of_an_official_set_is_not_what_was_prepared(data, tmp_path, capsys):
    mhealth.write(tmp_path / "made")
    card = _card(tmp_path, None, None)
    words = ["prepare", card, "--source", str(tmp_path / "made")]
    assert main(words) == 0
    assert main(words) == 0
    assert "already prepared" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    assert main(["prepare", card, "--source", str(tmp_path / "empty")]) == 3
    assert "does not hold mHealth_subject*.log" in capsys.readouterr().err
    changed = tmp_path / "made" / "MHEALTHDATASET" / "mHealth_subject3.log"
    beside = shutil.make_archive(str(tmp_path / "mine"), "zip", tmp_path / "made")
    shutil.copy(beside, tmp_path / "made")  # where it is not what is read
    changed.write_text("".join(changed.read_text().splitlines(keepends=True)[:-1]))
    assert main(words) == 0
    assert "10 recordings" in capsys.readouterr().out
    assert main(words) == 0
    assert "already prepared" in capsys.readouterr().out
    assert main(["prepare", card, "--source", beside]) == 0
    assert "10 recordings" in capsys.readouterr().out


def test_files_of_a_card_with_their_hash_are_held_against_it_before_a_store_is_called_prepared(data, tmp_path):
    card, written = faked("hapt", tmp_path / "made")
    prepare(card, source=written["source"], root=data)
    assert is_prepared(card, data, source=written["source"])
    (written["source"] / "RawData" / "labels.txt").write_text("1 1 5 1 2\n")
    assert not is_prepared(card, data, source=written["source"])


def test_a_card_without_an_address_says_where_the_homepage_is(data, capsys):
    assert main(["prepare", "unimib-shar", "--download"]) == 3
    assert "Get UniMiB-SHAR.zip from http://www.sal.disco.unimib.it" in capsys.readouterr().err


def test_no_room_to_unpack_is_one_clear_error_and_leaves_nothing(archive, data, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10_000, 9_999, 1))
    assert main(["prepare", "mhealth", "--source", str(archive)]) == 3
    assert "the disk is full" in capsys.readouterr().err
    assert [path.name for path in (data / "raw" / "MHEALTH").iterdir()] == [".lock"]
    assert not (data / "prepared").exists()


def test_an_archive_that_leads_out_of_its_folder_is_one_clear_error(data, tmp_path, capsys):
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as bad:
        bad.writestr("../../escaped.log", "1 2 3")
    assert main(["prepare", "mhealth", "--source", str(tmp_path / "bad.zip")]) == 3
    assert "a path that leads out of its folder, '../../escaped.log'" in capsys.readouterr().err
    assert not list(tmp_path.rglob("escaped.log"))
