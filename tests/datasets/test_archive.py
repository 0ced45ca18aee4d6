"""Archives: whole or not at all, nowhere but in their folder, and no more than they announce."""

import contextlib
import errno
import io
import random
import shutil
import stat
import tarfile
import zipfile

import pytest

import har.datasets.archive
from har.datasets.archive import is_archive, unpack
from har.errors import DataError


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def _tar(path, members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return path


def _tree(folder):
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def _nothing_left(tmp_path, archive):
    return [path.name for path in tmp_path.iterdir()] == [archive.name]


def test_a_zip_with_any_byte_changed_is_unpacked_or_refused(tmp_path):
    path = _zip(tmp_path / "a.zip", {"ä.txt": b"one " * 20})
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x81]) + whole[place + 1 :])
        with contextlib.suppress(DataError):
            unpack([path], tmp_path / "out")


@pytest.mark.parametrize("make", [_zip, _tar, lambda path, members: _tar(path, members, "w")])
def test_an_archive_is_unpacked_as_it_is(tmp_path, make):
    members = {"a/b/c.txt": b"one", "./d.txt": b"", "a/e.bin": bytes(100_000)}
    unpack([make(tmp_path / "x", members)], tmp_path / "files")
    assert _tree(tmp_path / "files") == {"a/b/c.txt": b"one", "d.txt": b"", "a/e.bin": bytes(100_000)}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["files", "x"]


def test_archives_inside_an_archive_are_unpacked_where_they_lie(tmp_path):
    inner = _zip(tmp_path / "inner.zip", {"set/data.txt": b"1 2 3"})
    outer = _tar(tmp_path / "outer.tgz", {"top/inner.zip": inner.read_bytes(), "top/notes.gz": b"no archive"})
    unpack([outer], tmp_path / "files")
    assert _tree(tmp_path / "files") == {"top/set/data.txt": b"1 2 3", "top/notes.gz": b"no archive"}


def test_archives_are_not_followed_for_ever(tmp_path):
    path = _zip(tmp_path / "x.zip", {"data.txt": b"1"})
    for depth in range(4):
        path = _zip(tmp_path / f"{depth}.zip", {path.name: path.read_bytes()})
    with pytest.raises(DataError, match="archives inside archives inside archives"):
        unpack([path], tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_an_old_folder_is_replaced_as_a_whole(tmp_path):
    unpack([_zip(tmp_path / "x.zip", {"old.txt": b"1"})], tmp_path / "files")
    unpack([_zip(tmp_path / "x.zip", {"new.txt": b"2"})], tmp_path / "files")
    assert _tree(tmp_path / "files") == {"new.txt": b"2"}


def test_what_a_killed_process_left_behind_is_not_mixed_in(tmp_path):
    (tmp_path / ".files.part").mkdir()
    (tmp_path / ".files.part" / "half.txt").write_text("1")
    unpack([_zip(tmp_path / "x.zip", {"new.txt": b"2"})], tmp_path / "files")
    assert _tree(tmp_path / "files") == {"new.txt": b"2"}
    assert not (tmp_path / ".files.part").exists()


def test_resource_forks_are_left_out(tmp_path):
    unpack([_zip(tmp_path / "x.zip", {"a.csv": b"1", "__MACOSX/._a.csv": b"2"})], tmp_path / "files")
    assert _tree(tmp_path / "files") == {"a.csv": b"1"}


@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize("name", ["../x.txt", "a/../../x.txt", "/etc/x.txt", "..\\x.txt", "C:\\x.txt", "C:x.txt"])
def test_a_member_that_leads_out_of_the_folder_is_refused(tmp_path, make, name):
    inside = tmp_path / "deep"
    inside.mkdir()
    archive = make(inside / "x", {"good.txt": b"1", name: b"2"})
    with pytest.raises(DataError, match="a path that leads out of its folder") as caught:
        unpack([archive], inside / "files")
    assert caught.value.exit_code == 3
    assert _nothing_left(inside, archive)
    assert _nothing_left(tmp_path, inside)


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive = _zip(tmp_path / "x.zip", {link: "/etc/passwd"})
    with pytest.raises(DataError, match="a link or device, 'link'"):
        unpack([archive], tmp_path / "files")
    assert _nothing_left(tmp_path, archive)


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path, kind):
    entry = tarfile.TarInfo("odd")
    entry.type, entry.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        archive.addfile(entry)
    with pytest.raises(DataError, match="a link or device, 'odd'"):
        unpack([tmp_path / "x.tar"], tmp_path / "files")


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    archive = _zip(tmp_path / "x.zip", {"zeros": bytes(80 * 1024**2)})
    with pytest.raises(DataError, match="83886080 bytes in an archive of"):
        unpack([archive], tmp_path / "files")
    assert _nothing_left(tmp_path, archive)


def test_an_archive_that_is_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(har.datasets.archive, "MOST_BYTES", 10)
    with pytest.raises(DataError, match="11 bytes in an archive of"):
        unpack([_zip(tmp_path / "x.zip", {"a": b"12345678901"})], tmp_path / "files")


@pytest.mark.parametrize("names", [["a.txt", "A.txt"], ["a.txt", "./a.txt"]])
def test_two_files_of_one_name_are_refused(tmp_path, names):
    with pytest.raises(DataError, match=r"two files 'a\.txt'"):
        unpack([_zip(tmp_path / "x.zip", dict.fromkeys(names, b"1"))], tmp_path / "files")


def test_an_inner_archive_writes_over_nothing(tmp_path):
    inner = _zip(tmp_path / "inner.zip", {"a.txt": b"other"})
    outer = _zip(tmp_path / "outer.zip", {"a.txt": b"1", "inner.zip": inner.read_bytes()})
    with pytest.raises(DataError, match=r"outer\.zip/inner\.zip holds two files 'a\.txt'"):
        unpack([outer], tmp_path / "files")
    assert not (tmp_path / "files").exists()


@pytest.mark.parametrize("announced", [100, 300_000])
def test_a_member_of_another_size_than_it_announces_is_refused(tmp_path, announced):
    archive = _zip(tmp_path / "x.zip", {"a.txt": random.Random(1).randbytes(200_000)})
    content = bytearray(archive.read_bytes())
    at = content.index(b"PK\x01\x02") + 24  # the size in the directory
    content[at : at + 4] = announced.to_bytes(4, "little")
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"archive x\.zip is damaged"):
        unpack([archive], tmp_path / "files")
    assert _nothing_left(tmp_path, archive)


def test_an_encrypted_member_is_refused(tmp_path):
    archive = _zip(tmp_path / "x.zip", {"a.txt": b"1"})
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    archive.write_bytes(content)
    with pytest.raises(DataError, match=r"an encrypted member, 'a\.txt'"):
        unpack([archive], tmp_path / "files")


def _tar_bz2(path, members):
    return _tar(path, members, "w:bz2")


def _tar_xz(path, members):
    return _tar(path, members, "w:xz")


@pytest.mark.parametrize("make", [_zip, _tar, _tar_bz2, _tar_xz])
def test_a_damaged_archive_is_refused_and_leaves_nothing(tmp_path, make):
    archive = make(tmp_path / "x", {"a.txt": random.Random(1).randbytes(2_000_000)})  # several blocks of bz2
    content = bytearray(archive.read_bytes())
    content[len(content) * 3 // 4] ^= 0xFF
    archive.write_bytes(content)
    with pytest.raises(DataError, match="archive x is damaged"):
        unpack([archive], tmp_path / "files")
    assert _nothing_left(tmp_path, archive)


def test_a_tar_that_is_cut_off_is_refused(tmp_path):
    archive = _tar(tmp_path / "x.tar", {"a.txt": bytes(100_000)}, "w")
    archive.write_bytes(archive.read_bytes()[:60_000])
    with pytest.raises(DataError, match="damaged"):
        unpack([archive], tmp_path / "files")
    assert _nothing_left(tmp_path, archive)


def test_what_is_no_archive_is_refused(tmp_path):
    path = tmp_path / "x.zip"
    path.write_bytes(b"<html>not found</html>")
    assert not is_archive(path)
    with pytest.raises(DataError, match="neither a zip nor a tar"):
        unpack([path], tmp_path / "files")


def test_too_little_room_is_known_before_anything_is_written(tmp_path, monkeypatch):
    archive = _zip(tmp_path / "x.zip", {"a.txt": bytes(2000)})
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10_000, 9_000, 1_000))
    with pytest.raises(OSError, match="needs 2000 bytes and 1000 are free") as caught:
        unpack([archive], tmp_path / "files")
    assert caught.value.errno == errno.ENOSPC
    assert _nothing_left(tmp_path, archive)


@pytest.mark.parametrize("make", [_zip, _tar])
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["."], "a file without a name"),
        (["a", "a/b.txt"], r"'a/b\.txt' below what is a file"),
        (["A/b/c.txt", "a"], r"'A/b/c\.txt' below what is a file"),
        (["x" * 256 + "/b.txt"], "a name that is too long for a disk, 'xxx"),
        (["x/" * 3000 + "b.txt"], "a name that is too long for a disk, 'x/x"),
    ],
)
def test_a_member_that_no_disk_can_hold_is_refused_by_its_name(tmp_path, make, names, message):
    archive = make(tmp_path / "x", dict.fromkeys(names, b"1"))
    with pytest.raises(DataError, match=message):
        unpack([archive], tmp_path / "files")
    assert _nothing_left(tmp_path, archive)


def test_an_empty_name_is_refused(tmp_path):
    archive = _zip(tmp_path / "x.zip", {zipfile.ZipInfo(""): b"1"})
    with pytest.raises(DataError, match="''; it was not unpacked"):
        unpack([archive], tmp_path / "files")


def test_an_inner_archive_goes_not_below_a_file_of_the_outer(tmp_path):
    inner = _zip(tmp_path / "inner.zip", {"a/b.txt": b"other"})
    outer = _zip(tmp_path / "outer.zip", {"a": b"1", "inner.zip": inner.read_bytes()})
    with pytest.raises(DataError, match=r"outer\.zip/inner\.zip holds 'a/b\.txt' below what is a file"):
        unpack([outer], tmp_path / "files")
    assert not (tmp_path / "files").exists()


def test_a_zip_that_is_cut_off_is_called_so(tmp_path):
    archive = _zip(tmp_path / "x.zip", {"a.txt": random.Random(1).randbytes(100_000)})
    archive.write_bytes(archive.read_bytes()[:60_000])
    with pytest.raises(DataError, match=r"x\.zip is cut off or damaged"):
        unpack([archive], tmp_path / "files")
    outer = _zip(tmp_path / "outer.zip", {"a/x.zip": archive.read_bytes()})
    with pytest.raises(DataError, match=r"outer\.zip/x\.zip is cut off or damaged"):
        unpack([outer], tmp_path / "files")


@pytest.mark.parametrize(
    ("most", "value", "message"), [("MOST_BYTES", 10_000, "bytes in"), ("_MOST_MEMBERS", 3, "4 f")]
)
def test_archives_inside_an_archive_share_what_it_may_hold(tmp_path, monkeypatch, most, value, message):
    monkeypatch.setattr(har.datasets.archive, most, value)
    inner = _zip(tmp_path / "inner.zip", {"a.txt": bytes(6_000)}).read_bytes()
    unpack([_zip(tmp_path / "one.zip", {"1/inner.zip": inner})], tmp_path / "one")
    with pytest.raises(DataError, match=message):
        unpack([_zip(tmp_path / "two.zip", {"1/inner.zip": inner, "2/inner.zip": inner})], tmp_path / "two")
    assert not (tmp_path / "two").exists()
