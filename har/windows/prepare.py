"""Preparing: from a card's source to a complete store, or to nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from filelock import FileLock

from har.datasets.card import Card
from har.datasets.fetch import locate
from har.datasets.readers import read
from har.datasets.recording import RawRecording, Recording, in_si_units
from har.datasets.registry import card_names
from har.errors import DataError, unknown
from har.files import data_root
from har.windows.store import Store, write_store


def store_folder(name: str, root: str | Path | None = None) -> Path:
    """Return the folder of a data set's store.

    Args:
        name: The data set.
        root: The data root; ``$HAR_DATA``, else ``./data``, when None.
    """
    return data_root(root) / "prepared" / name


def open_store(name: str, root: str | Path | None = None) -> Store:
    """Open the store of a data set by name.

    Args:
        name: The data set.
        root: The data root.

    Raises:
        UsageError: There is neither a card nor a store of this name.
        DataError: The data set is known but not prepared, or its store is damaged.
    """
    folder = store_folder(name, root)
    if not folder.exists():
        prepared = folder.parent.iterdir() if folder.parent.is_dir() else ()
        known = {*card_names(), *(path.name for path in prepared if path.is_dir() and not path.name.startswith("."))}
        if name not in known:
            raise unknown("data set", name, known)
    return Store.open(folder)


def is_prepared(card: Card, root: str | Path | None = None, *, thorough: bool = False) -> bool:
    """Return whether a complete store made from this very card is there.

    Args:
        card: The data set.
        root: The data root.
        thorough: Compare the files' hashes too, and not only their sizes.
    """
    try:
        store = Store.open(store_folder(card.name, root))
        if thorough:
            store.verify()
    except DataError:
        return False
    return bool(store.manifest.get("card_sha256") == card.sha256)


def prepare(
    card: Card, *, source: str | Path | None = None, root: str | Path | None = None, thorough: bool = False
) -> Path:
    """Make the store of a data set, unless a complete one made from the same card is there.

    The store is written beside its place and renamed, so that a reader sees all of it or nothing; what was there, whole
    or damaged, is replaced. Of two processes that prepare at once, one works and the other waits.

    Args:
        card: The data set.
        source: Another place of its source; the hash is checked all the same.
        root: The data root.
        thorough: See `is_prepared`.

    Returns:
        The store's folder.

    Raises:
        DataError: The source is missing, damaged or not what the card says. No store is then left behind, and one
            that was there before is untouched.
    """
    folder = store_folder(card.name, root)
    if is_prepared(card, root, thorough=thorough):
        return folder
    path = locate(card, source)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{card.name}.lock")):
        if not is_prepared(card, root, thorough=thorough):
            _replace(folder, card, path)
    return folder


def _replace(folder: Path, card: Card, source: Path) -> None:
    """Write the store beside its folder and put it in its place. The caller holds the lock."""
    part, old = folder.with_name(f".{card.name}.part"), folder.with_name(f".{card.name}.old")
    for left_over in (part, old):  # of a process that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    try:
        write_store(part, card, (in_si_units(card, _single(card, raw)) for raw in read(card, source)))
        if folder.exists():
            folder.replace(old)
        part.replace(folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _single(card: Card, raw: RawRecording) -> Recording:
    """Return a recording of one stream without timestamps, with the card's channels in their order."""
    if len(raw.streams) != 1 or raw.streams[0].time_s is not None:
        raise DataError(f"{card.name}, {raw.place}: streams with clocks of their own.", "They cannot be prepared.")
    (stream,) = raw.streams
    order = [stream.channels.index(channel.name) for channel in card.channels]
    return Recording(raw.subject, raw.trial, stream.signal_TC[:, order], raw.label_T, raw.extra)


def _flush(folder: Path) -> None:
    """Bring the renamed entries of a folder to the disk, where the system can do that."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
