"""Files: whole or not at all, hashes, and the folders where data and runs live.

Everything the project writes for others to read goes through `replacing`: a temporary file in the same folder,
flushed to disk, then renamed. A reader therefore sees the old file or the new one, never a part of one, also after a
power cut or a full disk.
"""

from __future__ import annotations

import hashlib
import json
import os
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
