"""Downloads: by HTTP, resumed where they were cut off, and not opened before their hash was checked.

Pooch does the transfer. What has arrived lies in `<name>.part`, with the server's mark of the version (ETag or date)
beside it; another call asks for the rest only, and for all of it when the server's file has changed since.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from pathlib import Path
from typing import IO, Any

from har.datasets.card import Archive
from har.errors import DataError
from har.files import sha256_of_file, write_text

_log = logging.getLogger(__name__)

ATTEMPTS = 4
TIMEOUT_S = 60.0  # of silence; UCI's server needs up to half a minute before it begins to send
_PAUSE_S = 2.0
_CHUNK_BYTES = 1 << 16  # what is lost of a connection that breaks


def download(archive: Archive, folder: Path) -> Path:
    """Return a downloaded archive whose hash is the card's.

    Args:
        archive: Its address, name and hash. Without a hash, the one of the file is logged as a warning.
        folder: Where it is put, under its name.

    Raises:
        DataError: The server cannot be reached or does not have it, or the hash or size differs. What has arrived
            before a broken connection is kept for the next call; a file with a wrong hash is deleted.
        OSError: The disk is full or cannot be written.
    """
    target = folder / archive.name
    part = folder / f"{archive.name}.part"
    folder.mkdir(parents=True, exist_ok=True)
    for attempt in range(ATTEMPTS):
        if part.exists() and part.stat().st_size == archive.bytes:
            break  # stopped between the last byte and the check
        problem = _receive(str(archive.url), part, knows_hash=archive.sha256 is not None)
        if problem is None:
            break
        if attempt + 1 < ATTEMPTS:
            time.sleep(_PAUSE_S * attempt)  # at once, then after a while
    else:
        arrived = part.stat().st_size if part.exists() else 0
        raise DataError(
            f"{archive.name} could not be downloaded from {archive.url}: {problem} ({arrived} bytes have arrived).",
            "Run the same command again: it goes on from there. Or get the file by hand and give it with --source.",
        )
    try:
        check_archive(archive, part)
    except DataError:
        part.unlink()
        raise
    finally:
        _mark(part).unlink(missing_ok=True)
    part.replace(target)
    return target


def check_archive(archive: Archive, path: Path) -> str:
    """Return the SHA-256 of a file, after it was held against the size and hash that the card states for it.

    Raises:
        DataError: They differ.
    """
    size = path.stat().st_size
    if archive.bytes is not None and size != archive.bytes:
        raise DataError(
            f"{path} has {size} bytes, not {archive.bytes}; it was not opened.",
            "It is cut off or another version. Remove it and get it again.",
        )
    digest = sha256_of_file(path)
    if archive.sha256 is None:
        _log.warning("%s: nobody has stated a SHA-256 for this file. The one of yours is %s.", path.name, digest)
    elif digest != archive.sha256:
        raise DataError(
            f"{path} has SHA-256 {digest}, not {archive.sha256}; it was not opened.",
            "It is damaged or another version. Remove it and get it again.",
        )
    return digest


def _mark(part: Path) -> Path:
    """Return the file that holds the server's mark of the version."""
    return part.with_name(f"{part.name}.version")


def _receive(url: str, part: Path, *, knows_hash: bool) -> str | None:
    """Receive what is missing from `part`; return what went wrong, or None.

    Raises:
        DataError: Another attempt cannot help: the server does not have the file, or the address is none.
    """
    import pooch  # with requests, a third of a second
    import requests

    mark = _mark(part).read_text("utf-8") if _mark(part).exists() else None
    if part.exists() and mark is None and not knows_hash:
        part.unlink()  # two versions of the file could be joined, and nothing would tell
    offset = part.stat().st_size if part.exists() else 0
    headers = {"Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if mark is not None:
            headers["If-Range"] = mark
    with part.open("ab") as stream, contextlib.ExitStack() as responses:
        # pooch leaves the closing of a broken response to the garbage collector
        hooks = {"response": lambda response, **_: _begin(responses.enter_context(response), stream, part)}
        transfer = pooch.HTTPDownloader(
            progressbar=sys.stderr.isatty(), chunk_size=_CHUNK_BYTES, timeout=TIMEOUT_S, headers=headers, hooks=hooks
        )
        try:
            transfer(url, stream, None)
        except requests.HTTPError as error:
            return _refusal(url, part, error.response.status_code if error.response is not None else 0)
        except (requests.exceptions.InvalidURL, requests.exceptions.MissingSchema) as error:
            raise DataError(f"{url} is no address: {error}.", "Correct the url in the card.") from error
        except requests.RequestException as error:
            return f"{type(error).__name__}: {error}"
    return None


def _begin(response: Any, stream: IO[bytes], part: Path) -> None:
    """Start anew where the server sends all of the file, and note which version it sends."""
    if response.status_code == 200:
        stream.truncate(0)
    if response.status_code in (200, 206):
        mark = response.headers.get("ETag", "")
        # a weak ETag is no promise that the bytes are the same, and is not allowed in If-Range
        mark = response.headers.get("Last-Modified", "") if not mark or mark.startswith("W/") else mark
        if mark:
            write_text(_mark(part), mark)


def _refusal(url: str, part: Path, status: int) -> str:
    """Return why the server did not send, where another attempt may help.

    Raises:
        DataError: It cannot help.
    """
    if status == 416:  # nothing lies behind what has arrived: it was another file, or it is complete
        part.unlink()
        _mark(part).unlink(missing_ok=True)
        return "the server has less than what had arrived before"
    if status < 500 and status not in (408, 429):
        raise DataError(
            f"{url} cannot be downloaded: the server answers {status}.",
            "The file may have moved: get it by hand from the homepage and give it with --source.",
        )
    return f"the server answers {status}"
