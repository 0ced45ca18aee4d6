"""Two prepared data sets as one, over the activities that they share: to train on one and test on the other.

    name: hapt-and-usc-had
    stores: [hapt, usc-had-50]        # prepared alike: rate, channels, no computed ones
    activities:                       # shared name: in each store, one or more of its own
      walking: {hapt: [walking], usc-had-50: [walking-forward, walking-left, walking-right]}
      lying: {hapt: [lying], usc-had-50: [sleeping]}

Subjects are named `<store>-<subject>`, so that nobody of one is taken for somebody of the other. Samples with another
activity are unlabelled. For stores a and b there are the splits `a-to-b` and `b-to-a`: train on the first, test on the
second. The manifest names the stores with their hashes and preparations.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from har.datasets.card import Activity, Card, Channel, Source, Split
from har.datasets.recording import UNLABELLED, Recording
from har.datasets.registry import card_names
from har.datasets.schema import read_mapping
from har.errors import DataError, UsageError, candidates
from har.files import recover_folder, replacing_folder, write_json
from har.strict_yaml import read_yaml
from har.windows.prepare import alone, store_folder
from har.windows.store import Store, read_manifest, write_store

_ALIKE = ("name", "sensor", "axis", "unit")  # of a channel; body sites may differ, which is part of what is asked


@dataclasses.dataclass(frozen=True)
class Joining:
    """Which stores are put together, and which of their activities are one.

    Attributes:
        name: Of the store that is made.
        stores: Names of two or more prepared data sets.
        activities: Shared name to the names in each store.
    """

    name: str
    stores: tuple[str, ...]
    activities: dict[str, dict[str, tuple[str, ...]]]


def is_joining(path: Path) -> bool:
    """Tell whether a YAML file puts stores together, as opposed to a card."""
    value = read_yaml(path) if path.is_file() else None
    return isinstance(value, dict) and "stores" in value


def read_joining(path: Path) -> Joining:
    """Read a file as in the module's text.

    Raises:
        UsageError: Something about it is impossible; all of it is named.
    """
    problems: list[str] = []
    found: Joining | None = read_mapping(Joining, read_yaml(path), "", problems)
    if found is not None:
        problems = _problems(found)
    if problems or found is None:
        raise UsageError(f"{path} joins nothing:", "\n  - ".join(["Correct:", *problems]))
    return found


def join(found: Joining, root: str | Path | None = None) -> Path:
    """Make the store of two data sets together, unless a complete one of the same stores is there.

    Args:
        found: What to put together.
        root: The data root.

    Returns:
        The store's folder.

    Raises:
        UsageError: The stores were not prepared alike, an activity is not in its store, or the name stands for
            something else.
        DataError: A store is not there or damaged.
    """
    stores = [_opened(name, found, root) for name in found.stores]
    _require_alike(stores)
    _require_activities(found, stores)
    made_of = _made_of(found, stores)
    folder = store_folder(found.name, root)
    with alone(folder):
        recover_folder(folder)
        if _is_there(folder, made_of):
            return folder
        with replacing_folder(folder) as part:
            write_store(part, _card(found, stores), _recordings(found, stores))
            manifest, _ = read_manifest(part)
            cautions = [f"{store.name}: {caution}" for store in stores for caution in store.cautions]
            said = {"cautions": cautions} if cautions else {}
            write_json(part / "manifest.json", {**manifest, "joined": made_of, **said})
    return folder


def _problems(found: Joining) -> list[str]:
    """Return what is impossible about a file, whatever the stores hold."""
    problems = []
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", found.name) or found.name in card_names():
        problems.append(f"name: {found.name!r} is no name of a store, or a built-in data set's")
    if len(found.stores) < 2 or len(set(found.stores)) < len(found.stores):
        problems.append("stores: at least two different ones are needed")
    if len(found.activities) < 2:
        problems.append("activities: at least two are needed, so that there is something to tell apart")
    for shared, own in found.activities.items():
        problems += [
            f"activities.{shared}: {name!r} is none of the stores. {candidates(name, found.stores)}"
            for name in own
            if name not in found.stores
        ]
        problems += [f"activities.{shared}: store {name} has none" for name in found.stores if not own.get(name)]
    for name in found.stores:
        named = [activity for own in found.activities.values() for activity in own.get(name, ())]
        twice = sorted({activity for activity in named if named.count(activity) > 1})
        problems += [f"activities: {activity!r} of {name} stands under two shared ones" for activity in twice]
    return problems


def _opened(name: str, found: Joining, root: str | Path | None) -> Store:
    """Open a store, or say which command makes it."""
    folder = store_folder(name, root)
    if folder.exists():
        return Store.open(folder)
    card = max((card for card in card_names() if f"{name}-".startswith(f"{card}-")), key=len, default="CARD.yaml")
    others = (store_folder(other, root) for other in found.stores if other != name)
    rates = [read_manifest(other)[0]["preparation"]["rate_hz"] for other in others if other.exists()]
    recipe = f" --rate-hz {rates[0] if rates else 'HZ':g} --as {name}" if card != name and rates else ""
    raise DataError(
        f"{found.name} is made of {name}, which is not prepared: there is no {folder}.",
        f"Make it: har prepare {card}{recipe or ('' if card == name else f' --rate-hz HZ --as {name}')}",
    )


def _require_alike(stores: list[Store]) -> None:
    """Refuse stores that a network could not be fed alike."""
    first = stores[0]
    for other in stores[1:]:
        if other.rate_hz != first.rate_hz:
            slow, fast = sorted((first, other), key=lambda store: store.rate_hz)
            again = f"{fast.manifest['card']}-{slow.rate_hz:g}"
            raise UsageError(
                f"{first.name} has {first.rate_hz:g} Hz and {other.name} {other.rate_hz:g} Hz.",
                f"Prepare both alike: har prepare {fast.manifest['card']} --rate-hz {slow.rate_hz:g} --as {again}; "
                f"then name {again} instead of {fast.name}.",
            )
        if _channels(other) != _channels(first):
            shared = [channel[0] for channel in _channels(first) if channel in _channels(other)]
            commands = " and ".join(
                f"har prepare {store.manifest['card']} --rate-hz {store.rate_hz:g} --channels {','.join(shared)} "
                f"--as {store.name}-shared"
                for store in (first, other)
            )
            raise UsageError(
                f"the channels of {first.name} ({', '.join(first.channels)}) are not those of {other.name} "
                f"({', '.join(other.channels)}), in name, sensor, axis, unit and order.",
                f"Prepare both alike: {commands}." if shared else "They share no channel, so nothing can be joined.",
            )
    for store in stores:
        if any("made_of" in channel for channel in store.manifest["preparation"]["channels"]):
            raise UsageError(
                f"{store.name} has channels that were computed from others.",
                f"Prepare it without: har prepare {store.manifest['card']} --gravity none --as {store.name}-plain.",
            )


def _channels(store: Store) -> list[tuple[str, ...]]:
    """Return what must be alike of a store's channels."""
    return [tuple(str(one[key]) for key in _ALIKE) for one in store.manifest["preparation"]["channels"]]


def _require_activities(found: Joining, stores: list[Store]) -> None:
    """Refuse activities that are not in their store."""
    for store in stores:
        for shared, own in found.activities.items():
            for name in own[store.name]:
                if name not in store.activities:
                    raise UsageError(
                        f"activity {name!r}, which is to be {shared!r}, is not in {store.name}.",
                        candidates(name, store.activities),
                    )


def _made_of(found: Joining, stores: list[Store]) -> list[dict[str, Any]]:
    """Return what the manifest says of each store that went in."""
    return [
        {
            "store": store.name,
            "card": store.manifest["card"],
            "sha256": store.sha256,
            "preparation": store.manifest["preparation"],
            "activities": {shared: list(own[store.name]) for shared, own in found.activities.items()},
        }
        for store in stores
    ]


def _is_there(folder: Path, made_of: list[dict[str, Any]]) -> bool:
    """Tell whether a complete store of the same stores is there; refuse to replace one that was not joined."""
    try:
        joined = Store.open(folder).manifest.get("joined")
    except DataError:
        return False
    if joined is None:
        raise UsageError(f"the store {folder} was not joined from others.", "Choose another name, or remove it.")
    return bool(joined == json.loads(json.dumps(made_of)))


def _card(found: Joining, stores: list[Store]) -> Card:
    """Return the facts of the joined data set."""
    channels = stores[0].manifest["preparation"]["channels"]
    people = {store.name: tuple(f"{store.name}-{subject}" for subject in store.subjects) for store in stores}
    return Card(
        name=found.name,
        source=Source("folder"),
        reader="files",
        rate_hz=stores[0].rate_hz,
        channels=tuple(Channel(*(one[key] for key in ("name", "sensor", "site", "axis", "unit"))) for one in channels),
        activities=tuple(Activity(number, name) for number, name in enumerate(found.activities)),
        splits={f"{a}-to-{b}": Split(people[a], people[b]) for a, b in itertools.permutations(found.stores, 2)},
    )


def _recordings(found: Joining, stores: list[Store]) -> Iterator[Recording]:
    """Yield the recordings of all stores, one store after the other, with shared labels."""
    for store in stores:
        label_of = np.full(len(store.activities) + 1, UNLABELLED, np.int16)  # the last one is that of -1
        for label, own in enumerate(found.activities.values()):
            label_of[[store.activities.index(name) for name in own[store.name]]] = label
        columns = (store.recordings[name].tolist() for name in ("subject", "trial", "start", "stop", "begin_s"))
        for subject, trial, start, stop, begin_s in zip(*columns, strict=True):
            label_T = label_of[np.asarray(store.label_T[start:stop])]
            signal_TC = np.asarray(store.signal_TC[start:stop])
            yield Recording(f"{store.name}-{subject}", trial, signal_TC, label_T, begin_s=begin_s)
