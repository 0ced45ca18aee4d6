"""Downloads: resumed, hashed before they are opened, and clear about what went wrong. The server is on this machine."""

import errno
import hashlib
import logging

import pytest

import har.datasets.download
from har.datasets.card import Archive
from har.datasets.download import ATTEMPTS, check_archive, download
from har.errors import DataError
from tests.datasets.server import serving

CONTENT = bytes(range(256)) * 4000  # a million bytes, so that a part of it is more than one chunk


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(har.datasets.download, "_PAUSE_S", 0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with serving(CONTENT) as running:
        yield running


def _archive(server, **changes):
    values = {"name": "data.zip", "url": server.url, "sha256": hashlib.sha256(CONTENT).hexdigest()}
    return Archive(**{**values, **changes})


def test_a_file_is_downloaded_under_its_name_and_nothing_else_is_left(server, tmp_path):
    path = download(_archive(server), tmp_path)
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["data.zip"]


def test_a_broken_connection_is_resumed_where_it_broke(server, tmp_path):
    server.cut_after = [300_000, 400_000]
    assert download(_archive(server), tmp_path).read_bytes() == CONTENT
    assert server.asked[0] is None
    offsets = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in server.asked[1:]]
    assert offsets == sorted(offsets)
    assert 200_000 < offsets[0] <= 300_000
    assert 600_000 < offsets[1] <= 700_000


def test_what_has_arrived_is_kept_for_the_next_command(server, tmp_path):
    server.cut_after = [200_000] + [0] * (ATTEMPTS - 1)
    with pytest.raises(DataError) as caught:
        download(_archive(server), tmp_path)
    arrived = (tmp_path / "data.zip.part").stat().st_size
    assert 100_000 < arrived <= 200_000
    assert f"({arrived} bytes have arrived)" in str(caught.value)
    assert "goes on from there" in caught.value.hint
    assert not (tmp_path / "data.zip").exists()
    server.asked.clear()
    assert download(_archive(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [f"bytes={arrived}-"]


def test_another_version_on_the_server_is_not_joined_to_the_old_one(server, tmp_path):
    server.cut_after = [200_000] + [0] * (ATTEMPTS - 1)
    with pytest.raises(DataError):
        download(_archive(server, sha256=None), tmp_path)
    server.content, server.version = CONTENT[::-1], '"2"'
    assert download(_archive(server, sha256=None), tmp_path).read_bytes() == CONTENT[::-1]


def test_without_hash_and_version_a_download_starts_anew(server, tmp_path):
    server.version = None
    server.cut_after = [200_000] + [0] * (ATTEMPTS - 1)
    with pytest.raises(DataError):
        download(_archive(server, sha256=None), tmp_path)
    server.content = CONTENT[::-1]
    assert download(_archive(server, sha256=None), tmp_path).read_bytes() == CONTENT[::-1]


def test_a_server_that_takes_no_ranges_sends_all_of_it_again(server, tmp_path):
    server.takes_ranges = False
    server.cut_after = [300_000]
    assert download(_archive(server), tmp_path).read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(bytes(2_000_000))
    assert download(_archive(server), tmp_path).read_bytes() == CONTENT


def test_a_part_that_is_complete_is_not_asked_for_again(server, tmp_path):
    (tmp_path / "data.zip.part").write_bytes(CONTENT)
    assert download(_archive(server, bytes=len(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert server.asked == []


@pytest.mark.parametrize("change", [{"sha256": "0" * 64}, {"bytes": 7}])
def test_a_wrong_file_is_refused_and_deleted(server, tmp_path, change):
    with pytest.raises(DataError, match="it was not opened"):
        download(_archive(server, **change), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_a_stated_hash_the_one_of_the_file_is_said(server, tmp_path, caplog):
    with caplog.at_level(logging.WARNING):
        download(_archive(server, sha256=None), tmp_path)
    assert f"nobody has stated a SHA-256 for this file. The one of yours is {_archive(server).sha256}" in caplog.text


def test_a_file_that_is_not_there_is_said_at_once(server, tmp_path):
    server.statuses = [404] * ATTEMPTS
    with pytest.raises(DataError, match=r"data\.zip cannot be downloaded: the server answers 404") as caught:
        download(_archive(server), tmp_path)
    assert "--source" in caught.value.hint
    assert len(server.asked) == 1


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    assert download(_archive(server), tmp_path).read_bytes() == CONTENT


def test_no_server_at_all_is_one_clear_error(tmp_path):
    with pytest.raises(DataError, match=r"could not be downloaded from http://127\.0\.0\.1:9/x\.zip"):
        download(Archive("x.zip", "http://127.0.0.1:9/x.zip"), tmp_path)


def test_an_address_that_is_none_is_the_cards_error(tmp_path):
    with pytest.raises(DataError, match="Correct the url in the card"):
        download(Archive("x.zip", "example"), tmp_path)


def test_a_full_disk_is_no_broken_connection(server, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(har.datasets.download, "_begin", full)
    with pytest.raises(OSError, match="No space left") as caught:
        download(_archive(server), tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert len(server.asked) == 1


def test_a_local_file_is_held_against_size_and_hash(tmp_path):
    path = tmp_path / "data.zip"
    path.write_bytes(b"other")
    with pytest.raises(DataError, match="has 5 bytes, not 6"):
        check_archive(Archive("data.zip", bytes=6), path)
    with pytest.raises(DataError, match=r"Remove it and get it again\.$"):
        check_archive(Archive("data.zip", sha256="1" * 64), path)
