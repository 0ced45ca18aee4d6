"""Archives: unpacked whole or not at all, and nowhere but into their folder.

A zip or tar file is read member by member. Refused before anything is written: absolute paths, `..`, links and
devices, encrypted members, two members of one name, and more than `MOST_BYTES` or `MOST_RATIO` times the archive (a
bomb). What is written goes to a temporary folder that is renamed at the end. Archives inside the archive (UCI has many)
are unpacked where they lie. Resource forks of macOS (`__MACOSX/`) are no data and are left out.
"""

from __future__ import annotations

import dataclasses
import errno
import functools
import lzma
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from har.errors import DataError

MOST_BYTES = 64 * 1024**3
# Sensor text shrinks to about a tenth; a stream of zeros, the stuff of bombs, to a thousandth.
MOST_RATIO = 100
_FREE_OF_RATIO = 64 * 1024**2  # small archives of small files may shrink well
_MOST_MEMBERS = 500_000
_DEEPEST = 2
_CHUNK_BYTES = 1 << 20
_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")
_RESOURCE_FORKS = "__MACOSX"
_BROKEN = (zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError)


@dataclasses.dataclass(frozen=True)
class _Member:
    """A file of an archive: its path, its size as the archive states it, and what opens it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes] | None]


def is_archive(path: Path) -> bool:
    """Return whether a file is one that `unpack` can read."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def unpack(archives: Sequence[Path], folder: Path, accept: Callable[[Path], None] | None = None) -> None:
    """Unpack archives into one new folder, with all archives inside of them.

    Args:
        archives: Zip or tar files. Their hashes were checked by the caller.
        folder: Is made; what was there is replaced once all is unpacked and accepted.
        accept: Is given the temporary folder with all that was unpacked; what it raises leaves `folder` as it was.

    Raises:
        DataError: An archive is damaged, no archive, or holds what must not be unpacked; nothing is left behind.
        OSError: The disk is full or cannot be written; nothing is left behind.
    """
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
    try:
        for archive in archives:
            _unpack(archive, part, archive.name, 0)
        if accept is not None:
            accept(part)
        if folder.exists():
            shutil.rmtree(folder)
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _unpack(archive: Path, folder: Path, shown: str, depth: int) -> None:
    """Unpack one archive, then those inside of it."""
    size = archive.stat().st_size
    with _members(archive, shown) as members:
        _check(members, size, shown)
        needed, free = sum(member.size for member in members), _free(folder)
        if needed > free:
            raise OSError(errno.ENOSPC, f"unpacking {shown} needs {needed} bytes and {free} are free", str(folder))
        for member in members:
            _write(member, folder, shown)
    if not members:
        folder.mkdir(parents=True, exist_ok=True)
    inner = [folder / member.path for member in members if member.path.suffix.lower() in _SUFFIXES]
    for path in inner:
        if is_archive(path):
            if depth == _DEEPEST:
                raise _refused(shown, f"archives inside archives inside archives, such as {path.name}")
            _unpack(path, path.parent, f"{shown}/{path.name}", depth + 1)
            path.unlink()


def _free(folder: Path) -> int:
    """Return the free bytes on the disk of a folder that may not be there yet."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@contextmanager
def _members(archive: Path, shown: str) -> Iterator[list[_Member]]:
    """Give the files of an archive while it is open; damage is a `DataError`."""
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as opened:
                yield list(_of_zip(opened, shown))
        elif tarfile.is_tarfile(archive):
            with tarfile.open(archive) as tar:
                yield list(_of_tar(tar, shown))
                while tar.fileobj is not None and tar.fileobj.read(_CHUNK_BYTES):
                    pass  # the checksum of what is compressed stands at its end
        else:
            raise DataError(f"{archive} is neither a zip nor a tar file.", "Get the archive again.")
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's; bz2 and gzip report damage as one without a number
        raise DataError(f"archive {shown} is damaged: {error}.", "Get the archive again.") from error


def _of_zip(opened: zipfile.ZipFile, shown: str) -> Iterator[_Member]:
    """Yield the files of a zip."""
    for entry in opened.infolist():
        path = _path(entry.filename, shown)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(shown, f"a link or device, {entry.filename!r}")
        if entry.flag_bits & 1:
            raise _refused(shown, f"an encrypted member, {entry.filename!r}")
        if not entry.is_dir() and path.parts[0] != _RESOURCE_FORKS:
            yield _Member(path, entry.file_size, functools.partial(opened.open, entry))


def _of_tar(opened: tarfile.TarFile, shown: str) -> Iterator[_Member]:
    """Yield the files of a tar."""
    for entry in opened:
        path = _path(entry.name, shown)
        if not (entry.isfile() or entry.isdir()):
            raise _refused(shown, f"a link or device, {entry.name!r}")
        if entry.isfile() and path.parts[0] != _RESOURCE_FORKS:
            yield _Member(path, entry.size, functools.partial(opened.extractfile, entry))


def _path(name: str, shown: str) -> PurePosixPath:
    """Return the path of a member that stays inside the folder."""
    path = PurePosixPath(name.replace("\\", "/"))  # Windows reads both as separators
    if not name or path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise _refused(shown, f"a path that leads out of its folder, {name!r}")
    return path


def _check(members: list[_Member], size: int, shown: str) -> None:
    """Refuse what is too much, and files that would be written twice."""
    total, paths = sum(member.size for member in members), [str(member.path).casefold() for member in members]
    if len(members) > _MOST_MEMBERS:
        raise _refused(shown, f"{len(members)} files")
    if total > MOST_BYTES or total > max(_FREE_OF_RATIO, MOST_RATIO * size):
        raise _refused(shown, f"{total} bytes in an archive of {size}")
    if len(set(paths)) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise _refused(shown, f"two files {twice!r}")


def _write(member: _Member, folder: Path, shown: str) -> None:
    """Write one member. The libraries read no more bytes than the archive announced for it."""
    target = folder / member.path
    target.parent.mkdir(parents=True, exist_ok=True)
    source = member.open()
    if source is None:
        raise RuntimeError(f"{member.path} is no file")
    if target.exists():
        raise _refused(shown, f"two files {str(member.path)!r}")
    with source, target.open("xb") as stream:
        shutil.copyfileobj(source, stream, _CHUNK_BYTES)
    if target.stat().st_size != member.size:
        raise DataError(f"archive {shown} is damaged: {member.path} is cut off.", "Get the archive again.")


def _refused(shown: str, what: str) -> DataError:
    """Return the error for an archive that must not be unpacked."""
    return DataError(
        f"archive {shown} holds {what}; it was not unpacked.", "This is not the official archive: get it again."
    )
