"""Errors that a user can act on: what went wrong, with the value and the place, and what to do about it.

Every error that a user can cause is a `HarError`; the command line prints it as two lines and exits with its code.
Anything else that escapes is a bug of the project and keeps its traceback.
"""

from __future__ import annotations

import difflib
import errno
import os
from collections.abc import Iterable
from pathlib import Path

# A full or read-only disk is the user's to mend, so it is an error line and not a traceback.
_DISK_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "permission was denied",
    errno.EPERM: "permission was denied",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where a file is needed",
    errno.ENOENT: "there is no such file or folder",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EIO: "the disk failed",
}


class HarError(Exception):
    """What happened, with the value and the place, and what to do.

    Args:
        what: One sentence of what is wrong, with the value and the place.
        hint: One sentence of what to do. May be empty where `what` says it already.

    Attributes:
        exit_code: Exit status of the command line, see `docs/architecture.md`.
    """

    exit_code = 1

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what, hint)
        self.what = what
        self.hint = hint

    def __str__(self) -> str:
        """Return both sentences, and the context added with `add_note`."""
        notes = [f"  ({note})" for note in getattr(self, "__notes__", [])]
        return "\n".join([self.what, *([f"  {self.hint}"] if self.hint else []), *notes])


class RunError(HarError):
    """A run or a study failed while it ran."""

    exit_code = 1


class DivergenceError(RunError):
    """Training diverged. The same configuration and seed would diverge again."""


class UsageError(HarError):
    """The command line or a configuration asks for something that cannot be done."""

    exit_code = 2


class DataError(HarError):
    """Data are missing, damaged or not what their card says."""

    exit_code = 3


class LeakageError(RunError):
    """Something of a test or validation subject would reach training."""


def candidates(value: object, known: Iterable[object]) -> str:
    """Return the sentence that names what was probably meant and what there is.

    Args:
        value: The value that is not known.
        known: Every value that is.

    Returns:
        For example ``"Did you mean 'every'? Known: every, first, input."``.
    """
    names = sorted({str(name) for name in known})
    close = difflib.get_close_matches(str(value), names, n=2, cutoff=0.5)
    close = close or [name for name in names if name.casefold() == str(value).casefold()]
    shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    listing = f"Known: {shown}." if names else "There are none."
    if close:
        return f"Did you mean {' or '.join(repr(name) for name in close)}? {listing}"
    return listing


def unknown(kind: str, value: object, known: Iterable[object], where: str = "") -> UsageError:
    """Build the error for a name that is not in a registry.

    Args:
        kind: What the name stands for, such as ``"norm placement"``.
        value: The name given.
        known: Every name that exists.
        where: The place it was given, such as ``"in spar-cnn.yaml"``.

    Returns:
        The error, to be raised by the caller.
    """
    return UsageError(f"{kind} {value!r} is not known{f' ({where})' if where else ''}.", candidates(value, known))


def disk_failure(error: OSError) -> str | None:
    """Return in words what a disk or file system refused.

    Args:
        error: With the place as its file name, where the system has told it.

    Returns:
        For example ``"the disk is full at data/prepared"``; None where it is no matter of disks, but a bug. Where a
        right is missing, also whose the place is and who asks: in a container neither is what it is outside.
    """
    reason = _DISK_ERRORS.get(error.errno or 0)
    if reason is None or not error.filename:
        return reason
    denied = error.errno in {errno.EACCES, errno.EPERM} and isinstance(error.filename, str)
    return f"{reason} at {error.filename}{_whose(Path(error.filename)) if denied else ''}"


def _whose(path: Path) -> str:
    """Return the owner of what there is of a path, and who this process is; nothing on systems without such numbers."""
    if not hasattr(os, "getuid"):
        return ""
    for place in (path, *path.parents):
        try:
            found = place.stat()
        except OSError:  # not there, or in a folder that may not be searched
            continue
        return (
            f": {place} belongs to user {found.st_uid} and group {found.st_gid} (mode {found.st_mode & 0o7777:o}), "
            f"this is user {os.getuid()} and group {os.getgid()}"
        )
    return ""
