"""Preparing: from a card's source to a complete store, or to nothing."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from har.datasets.card import Card
from har.datasets.fetch import holds_data, locate
from har.datasets.gathering import source_sha256, unmatched
from har.datasets.readers import read
from har.datasets.recipe import Recipe
from har.datasets.registry import card_names
from har.errors import DataError, UsageError, unknown
from har.files import data_root, has_leftovers, parse_json, recover_folder, replacing_folder, sha256_of_file, write_json
from har.windows.account import Preparation
from har.windows.signal import Plan
from har.windows.store import Store, write_store

# Beside the manifest and not in it: the same data packed in another way are the same store.
_ARCHIVES = "archives.json"
_PATIENCE_S = 1.0  # with another process that prepares the same store, before a person is told why nothing happens

_log = logging.getLogger(__name__)


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


def is_prepared(
    card: Card,
    root: str | Path | None = None,
    *,
    recipe: Recipe | None = None,
    name: str | None = None,
    source: str | Path | None = None,
    thorough: bool = False,
) -> bool:
    """Return whether a complete store made from this very card by this very recipe is there.

    Args:
        card: The data set.
        root: The data root.
        recipe: None for the card's.
        name: Of the store; None for the card's.
        source: A person's own folder or archive, which must be what the store was made from.
        thorough: Compare the files' hashes too, and not only their sizes.
    """
    try:
        store = Store.open(store_folder(name or card.name, root))
        if thorough:
            store.verify()
    except DataError:
        return False
    is_same = bool(store.manifest.get("card_sha256") == card.sha256) and _has_recipe(store, recipe or card.preparation)
    return is_same and (source is None or _is_source(card, store, Path(source), root))


def _is_source(card: Card, store: Store, source: Path, root: str | Path | None) -> bool:
    """Return whether a person's folder, file or archive is what a store was made from."""
    if not holds_data(card, source):
        given = _given_sha256(card, source)
        return bool(given) and given == (_stated_sha256(card) or _recorded_sha256(store))
    try:
        folder = locate(card, source, root=root)  # whose hash is the card's, where it states one
    except DataError:
        return False  # preparing will say why
    found = (source_sha256(card, folder), unmatched(card, folder))
    return (store.manifest.get("source_sha256"), store.manifest["done"].get("unread_files")) == found


def _given_sha256(card: Card, source: Path) -> list[str]:
    """Return the hash of the file that a source is, or of the card's files by name that a folder holds."""
    wanted = card.source
    names = [wanted.file] if wanted.file else [archive.name for archive in wanted.archives]
    paths = [source] if source.is_file() else [source / Path(name).name for name in names]
    return [sha256_of_file(path) for path in paths] if all(path.is_file() for path in paths) else []


def _stated_sha256(card: Card) -> list[str]:
    """Return the hashes of the card's files, none where one of them is not stated."""
    stated = [card.source.sha256] if card.source.file else [archive.sha256 for archive in card.source.archives]
    return [digest for digest in stated if digest] if all(stated) else []


def _recorded_sha256(store: Store) -> list[str]:
    """Return the hashes of the archives that a store was made from, none where nobody gave it any."""
    path = store.folder / _ARCHIVES
    try:
        return list(parse_json(path.read_text("utf-8"))["sha256"]) if path.is_file() else []
    except (ValueError, KeyError, TypeError):
        return []  # then it is not known, and the store is made again


def _has_recipe(store: Store, recipe: Recipe) -> bool:
    """Return whether a store was made by this recipe."""
    return bool(store.manifest["preparation"].get("recipe") == json.loads(json.dumps(dataclasses.asdict(recipe))))


def prepare(
    card: Card,
    *,
    source: str | Path | None = None,
    root: str | Path | None = None,
    recipe: Recipe | None = None,
    name: str | None = None,
    thorough: bool = False,
    allow_download: bool = False,
    jobs: int = 1,
) -> Path:
    """Make the store of a data set, unless a complete one made from the same card by the same recipe is there.

    The store is written beside its place and renamed, so that a reader sees all of it or nothing; what was there, whole
    or damaged, is replaced then. A process that is killed at any instant leaves the old store or the new one, which
    this brings back where it died between two renames. Of two processes that prepare at once, one works and the other
    waits.

    Args:
        card: The data set.
        source: Another place of its source; the hash is checked all the same.
        root: The data root.
        recipe: What is done to the signals; None for the card's recipe. Another one needs a name of its own.
        name: Of the store; None for the card's.
        thorough: See `is_prepared`.
        allow_download: Whether a source that is not here may be downloaded.
        jobs: Recordings that are prepared at once; the store is the same whatever their number.

    Returns:
        The store's folder.

    Raises:
        UsageError: The recipe is impossible, or the name stands for something else.
        DataError: The source is missing, damaged or not what the card says. No store is then left behind, and one
            that was there before is untouched.
    """
    plan, name = Plan.of(card, recipe), name or card.name
    _require_name(plan, name)
    folder = store_folder(name, root)
    recover(folder)
    _require_own(plan, name, folder)
    asked: dict[str, Any] = {"recipe": plan.recipe, "name": name, "source": source, "thorough": thorough}
    if is_prepared(card, root, **asked):
        return folder
    path = locate(card, source, root=root, allow_download=allow_download)
    with alone(folder):
        if not is_prepared(card, root, **asked):
            given = [] if source is None or holds_data(card, Path(source)) else _given_sha256(card, Path(source))
            _replace(folder, plan, path, jobs, [] if _stated_sha256(card) else given)
    return folder


def _require_name(plan: Plan, name: str) -> None:
    """Refuse a name that is none, or that stands for another recipe or data set: who reads the store relies on it."""
    card = plan.card
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        raise UsageError(f"{name!r} is no name of a store, which is a folder.", "Use small letters, digits and '-'.")
    if name == card.name and plan.recipe != card.preparation:
        raise UsageError(
            f"the store {name} is what the recipe of its card makes; this is another recipe.",
            f"Give its store a name of its own, such as --as {name}-2.",
        )
    if name != card.name and name in card_names():
        raise UsageError(f"{name!r} is another data set.", f"Choose another name than {', '.join(card_names())}.")


def _require_own(plan: Plan, name: str, folder: Path) -> None:
    """Refuse to replace a store that was made from another card, or by another recipe that a person gave this name."""
    card = plan.card
    try:
        store = Store.open(folder)
    except DataError:
        return
    made_from = store.manifest.get("card", name)
    if made_from != card.name or (name != card.name and not _has_recipe(store, plan.recipe)):
        raise UsageError(
            f"the store {folder} was made from {made_from} by another recipe.",
            "Choose another name, or remove that folder.",
        )


def recover(folder: Path) -> None:
    """Bring back or remove what a process that was killed left beside a store; wait for one that is at work.

    Args:
        folder: The store's place.
    """
    if has_leftovers(folder):
        with alone(folder):
            recover_folder(folder)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of a store.

    Its file stays: who removed it could take it from a process that has opened it and waits, while a third one makes a
    new file, and both go on. Nor can it lie in the store's folder, which is replaced under it. So the files of all
    locks, which are empty, lie in one hidden folder beside the stores.
    """
    path = folder.parent / ".locks" / folder.name
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        _log.warning("another process prepares %s: waiting until it has ended.", folder.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _replace(folder: Path, plan: Plan, source: Path, jobs: int, archives: list[str]) -> None:
    """Write the store, and the hashes of its archives, beside its folder and put it in its place, under the lock."""
    with replacing_folder(folder) as part:
        preparation = Preparation(plan, folder.name, source_sha256(plan.card, source), unmatched(plan.card, source))
        write_store(part, plan.card, preparation.recordings(read(plan.card, source), jobs), preparation)
        if archives:
            write_json(part / _ARCHIVES, {"sha256": archives})
