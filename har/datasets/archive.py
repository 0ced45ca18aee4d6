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
from har.files import replacing_folder

MOST_BYTES = 64 * 1024**3
# Sensor text shrinks to about a tenth; a stream of zeros, the stuff of bombs, to a thousandth.
MOST_RATIO = 100
_FREE_OF_RATIO = 64 * 1024**2  # small archives of small files may shrink well
_MOST_MEMBERS = 500_000
_DEEPEST = 2
_LONGEST_NAME, _LONGEST_PATH = 255, 3000  # bytes, as file systems count; of a path with the folder 4096
_CHUNK_BYTES = 1 << 20
_SUFFIXES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz")
_ZIP_BEGINS = b"PK\x03\x04"
_RESOURCE_FORKS = "__MACOSX"
_BROKEN = (
    *(zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, NotImplementedError),
    UnicodeDecodeError,  # of a member's name
)


@dataclasses.dataclass(frozen=True)
class _Member:
    """A file of an archive: its path, its size as the archive states it, and what opens it."""

    path: PurePosixPath
    size: int
    open: Callable[[], IO[bytes] | None]


class _Budget:
    """What an archive and all archives inside of it may unpack to together; their own bytes count as well.

    Args:
        size: Bytes of the outermost archive.
    """

    def __init__(self, size: int) -> None:
        self._size, self._bytes, self._files = size, 0, 0

    def spend(self, members: list[_Member], shown: str) -> None:
        """Add the files of an archive, and refuse what is too much."""
        self._files += len(members)
        self._bytes += sum(member.size for member in members)
        if self._files > _MOST_MEMBERS:
            raise _refused(shown, f"{self._files} files")
        if self._bytes > MOST_BYTES or self._bytes > max(_FREE_OF_RATIO, MOST_RATIO * self._size):
            raise _refused(shown, f"{self._bytes} bytes in an archive of {self._size}")


def is_archive(path: Path) -> bool:
    """Return whether a file is one that `unpack` can read."""
    return path.is_file() and (zipfile.is_zipfile(path) or tarfile.is_tarfile(path))


def begins_as_zip(path: Path) -> bool:
    """Return whether a file begins as a zip does, also one whose end is missing."""
    with path.open("rb") as stream:
        return stream.read(len(_ZIP_BEGINS)) == _ZIP_BEGINS


def unpack(archives: Sequence[Path], folder: Path, accept: Callable[[Path], None] | None = None) -> None:
    """Unpack archives into one new folder, with all archives inside of them.

    Args:
        archives: Zip or tar files. Their hashes were checked by the caller.
        folder: Is made; what was there is replaced once all is unpacked and accepted. The caller has a lock.
        accept: Is given the temporary folder with all that was unpacked; what it raises leaves `folder` as it was.

    Raises:
        DataError: An archive is damaged, no archive, or holds what must not be unpacked; nothing is left behind.
        OSError: The disk is full or cannot be written; nothing is left behind.
    """
    with replacing_folder(folder) as part:
        for archive in archives:
            _unpack(archive, part, archive.name, 0, _Budget(archive.stat().st_size))
        if accept is not None:
            accept(part)


def _unpack(archive: Path, folder: Path, shown: str, depth: int, budget: _Budget) -> None:
    """Unpack one archive, then those inside of it."""
    with _members(archive, shown) as members:
        budget.spend(members, shown)
        _check(members, shown)
        needed, free = sum(member.size for member in members), shutil.disk_usage(folder).free
        if needed > free:
            raise OSError(errno.ENOSPC, f"unpacking {shown} needs {needed} bytes and {free} are free", str(folder))
        for member in members:
            _write(member, folder, shown)
    inner = [folder / member.path for member in members if member.path.suffix.lower() in _SUFFIXES]
    for path in inner:
        if is_archive(path) or begins_as_zip(path):
            if depth == _DEEPEST:
                raise _refused(shown, f"archives inside archives inside archives, such as {path.name}")
            _unpack(path, path.parent, f"{shown}/{path.name}", depth + 1, budget)
            path.unlink()


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
            if begins_as_zip(archive):
                raise DataError(f"archive {shown} is cut off or damaged: its directory is missing.", "Get it again.")
            raise DataError(f"{archive} is neither a zip nor a tar file.", "Get the archive again.")
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and _is_of_disk(error):
            raise
        raise DataError(f"archive {shown} is damaged: {error}.", "Get the archive again.") from error


def _is_of_disk(error: OSError) -> bool:
    """Return whether a disk failed, and not the archive: bz2 and gzip report damage without a number.

    Where a damaged zip places a member in front of itself, the system refuses to go there and names no file.
    """
    return error.errno is not None and (error.errno != errno.EINVAL or error.filename is not None)


def _of_zip(opened: zipfile.ZipFile, shown: str) -> Iterator[_Member]:
    """Yield the files of a zip."""
    for entry in opened.infolist():
        path = _path(entry.filename, shown)
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _refused(shown, f"a link or device, {entry.filename!r}")
        if entry.flag_bits & 1:
            raise _refused(shown, f"an encrypted member, {entry.filename!r}")
        if not entry.is_dir() and _is_data(path, shown):
            yield _Member(path, entry.file_size, functools.partial(opened.open, entry))


def _of_tar(opened: tarfile.TarFile, shown: str) -> Iterator[_Member]:
    """Yield the files of a tar."""
    for entry in opened:
        path = _path(entry.name, shown)
        if not (entry.isfile() or entry.isdir()):
            raise _refused(shown, f"a link or device, {entry.name!r}")
        if entry.isfile() and _is_data(path, shown):
            yield _Member(path, entry.size, functools.partial(opened.extractfile, entry))


def _is_data(path: PurePosixPath, shown: str) -> bool:
    """Return whether a file is more than a resource fork; one that has the name of the folder itself is refused."""
    if not path.parts:
        raise _refused(shown, f"a file without a name, {str(path)!r}")
    return path.parts[0] != _RESOURCE_FORKS


def _path(name: str, shown: str) -> PurePosixPath:
    """Return the path of a member that stays inside the folder."""
    path = PurePosixPath(name.replace("\\", "/"))  # Windows reads both as separators
    if not name or path.is_absolute() or ".." in path.parts or ":" in name or "\0" in name:
        raise _refused(shown, f"a path that leads out of its folder, {name!r}")
    sizes = [len(part.encode("utf-8", "replace")) for part in path.parts]
    if max(sizes, default=0) > _LONGEST_NAME or sum(sizes) + len(sizes) > _LONGEST_PATH:
        raise _refused(shown, f"a name that is too long for a disk, {name!r}")
    return path


def _check(members: list[_Member], shown: str) -> None:
    """Refuse files that would be written twice, or that are a folder of another file."""
    paths = [str(member.path).casefold() for member in members]
    files = set(paths)
    if len(files) < len(paths):
        twice = Counter(paths).most_common(1)[0][0]
        raise _refused(shown, f"two files {twice!r}")
    for member in members:
        if any(str(parent).casefold() in files for parent in member.path.parents):
            raise _refused(shown, f"{str(member.path)!r} below what is a file")


def _write(member: _Member, folder: Path, shown: str) -> None:
    """Write one member. The libraries read no more bytes than the archive announced for it."""
    target = folder / member.path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):  # of the archive around this one
        raise _refused(shown, f"{str(member.path)!r} below what is a file") from None
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
        f"archive {shown} holds {what}; it was not unpacked.", "Get the official archive again, or pack your own anew."
    )
