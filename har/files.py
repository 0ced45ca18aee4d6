"""Files: whole or not at all, hashes, and the folders where data and runs live.

Everything the project writes for others to read goes through `replacing`: a temporary file in the same folder,
flushed to disk, then renamed. A reader therefore sees the old file or the new one, never a part of one, also after a
power cut or a full disk. Whole folders go through `replacing_folder`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def data_root(root: str | Path | None = None) -> Path:
    """Return the folder of raw and prepared data: `root`, else ``$HAR_DATA``, else ``./data``."""
    return Path(root or os.environ.get("HAR_DATA") or "data")


def runs_root(root: str | Path | None = None) -> Path:
    """Return the folder of run folders: `root`, else ``$HAR_RUNS``, else ``./runs``."""
    return Path(root or os.environ.get("HAR_RUNS") or "runs")


def parse_json(text: str | bytes) -> Any:
    """Return the value of a JSON text.

    Raises:
        ValueError: It is none, its brackets are nested deeper than Python reads, or a whole number is beyond 64 bits.
    """
    try:
        return json.loads(text, parse_int=lambda digits: held(int(digits), digits))
    except RecursionError:
        raise ValueError("its brackets are nested too deeply") from None


def held(number: int, written: str) -> int:
    """Return a whole number that 64 bits hold, as NumPy, torch and Parquet do.

    Args:
        number: The number.
        written: As it was written, for the message.

    Raises:
        ValueError: They do not.
    """
    if not -(2**63) <= number < 2**63:
        raise ValueError(f"the number {written[:6]}… of {len(written.lstrip('+-'))} digits is more than 64 bits hold")
    return number


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to; rename it to `path` when the block ends without an error.

    Args:
        path: The file to be written. Its folder is made if it is missing.

    Yields:
        A path in the same folder. It is removed when the block raises.

    Raises:
        OSError: When the folder cannot be written or the disk is full. `path` is then as it was before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())  # mkstemp makes files that their owner alone can read
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def replacing_folder(folder: Path) -> Iterator[Path]:
    """Give a new folder to fill; put it in the place of `folder`, old or none, when the block ends without an error.

    A folder that holds something is not replaced in one step on every system: between two renames there is none of this
    name. A process that is killed just then leaves the old one as ``.NAME.old``, and `recover_folder` brings it back.

    Args:
        folder: The place. One process at a time: the caller has a lock.

    Yields:
        ``.NAME.part`` beside it, empty.

    Raises:
        OSError: The disk is full or cannot be written. `folder` is then as it was before.
    """
    recover_folder(folder)
    part, old = _beside(folder)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            folder.replace(old)
        part.replace(folder)
        flush(folder.parent)
    finally:
        recover_folder(folder)


def has_leftovers(folder: Path) -> bool:
    """Return whether a process was killed, or is at work, in `replacing_folder`: something of it lies beside."""
    return any(path.exists() for path in _beside(folder))


def recover_folder(folder: Path) -> None:
    """Bring back what `replacing_folder` was about to replace when it was killed; remove what it left over.

    Args:
        folder: The place. One process at a time: the caller has a lock.
    """
    part, old = _beside(folder)
    _remove(part)
    if old.exists() and folder.exists():
        old.replace(part)  # what is removed has another name, so that what is brought back is always whole
        _remove(part)
    elif old.exists():
        old.replace(folder)


def _beside(folder: Path) -> tuple[Path, Path]:
    """Return where the new folder is filled, and where the old one is for an instant: on the same disk, and hidden."""
    return folder.with_name(f".{folder.name}.part"), folder.with_name(f".{folder.name}.old")


def _remove(folder: Path) -> None:
    """Remove a folder as far as possible; one that is a link loses the link alone."""
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(folder, ignore_errors=True)


def flush(path: Path) -> None:
    """Bring a file, or the entries of a folder where the system can do that, to the disk."""
    if os.name != "posix" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all. NaN is refused: JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sha256_of_json(value: Any) -> str:
    """Return the SHA-256 of a JSON value in canonical form (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
