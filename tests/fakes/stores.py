"""Cards of fakes, and stores made of nothing but labels."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from har.datasets.card import Activity, Card, Channel, Facts, Source, Tree
from har.datasets.fetch import tree_sha256
from har.datasets.recording import Recording, natural_order
from har.datasets.registry import get_card
from har.windows.store import Store

# Cards that share the files of another one, and with them its fake. What is particular to one stands under `cards`.
_FAKES = {
    "wisdm-phone": "wisdm",
    "wisdm-watch": "wisdm",
    "opportunity-locomotion": "opportunity",
    "opportunity-li2018": "opportunity",
    "unimib-shar-li2018-scrambled": "unimib_shar",
}


def faked(name: str, folder: Path, **options: Any) -> tuple[Card, dict[str, Any]]:
    """Write the fake of a built-in card; return the card with the fake's hashes and counts, and what was written."""
    module = importlib.import_module(f"tests.fakes.{_FAKES.get(name, name.replace('-', '_'))}")
    written = module.write(folder, **options)
    written = {**written, **written.get("cards", {}).get(name, {})}
    card = get_card(name)
    rows = {activity.name: written["rows_per_code"][activity.code] for activity in card.activities}
    facts = Facts(written["recordings"], written["rows"], rows, files=written.get("files"))
    return dataclasses.replace(card, source=_hashed(card.source, written["source"]), facts=facts), written


def _hashed(source: Source, place: Path) -> Source:
    """Return the source of a card with the hashes of a fake."""
    if place.is_file():
        return dataclasses.replace(source, sha256=hashlib.sha256(place.read_bytes()).hexdigest())
    if source.tree is None:
        return source
    folder = place / (source.root or "")
    digest = tree_sha256(folder, list(folder.glob(source.tree.files)))
    return dataclasses.replace(source, tree=Tree(source.tree.files, digest))


def plain_card(activities: Sequence[str] = ("walk", "sit"), null: str | None = None, **changes: Any) -> Card:
    """Return a card of a data set that nobody has: two channels, 10 Hz, no subjects or counts stated."""
    values: dict[str, Any] = {
        "name": "plain",
        "source": Source("distribution", "seglearn", "1.2.5", "seglearn/data/watch_dataset.npy", "0" * 64),
        "reader": "spar",
        "rate_hz": 10.0,
        "channels": (
            Channel("acc_x", "accelerometer", "wrist", "x", "g"),
            Channel("gyro_x", "gyroscope", "wrist", "x", "rad/s"),
        ),
        "activities": tuple(Activity(i, name) for i, name in enumerate(activities)),
        "null_activity": null,
    }
    return Card(**{**values, **changes})


def plain_recording(subject: str, labels: Sequence[int], trial: str = "a", **changes: Any) -> Recording:
    """Return a recording for `plain_card`, whose signal counts its values."""
    signal = np.arange(2 * len(labels), dtype=np.float32).reshape(-1, 2)
    values = {"subject": subject, "trial": trial, "signal_TC": signal, "label_T": np.array(labels, np.int16)}
    return Recording(**{**values, **changes})


def memory_store(
    recordings: Sequence[tuple[str, Sequence[int]]],
    activities: Sequence[str] = ("walk", "sit"),
    null: str | None = None,
    rate_hz: float = 10.0,
) -> Store:
    """Return a store that is on no disk: one (subject, labels) a recording; its signal is the row number."""
    lengths = [len(labels) for _, labels in recordings]
    stops = np.cumsum(lengths, dtype=np.int64)
    table = pd.DataFrame(
        {
            "recording": np.arange(len(recordings), dtype=np.int32),
            "subject": [subject for subject, _ in recordings],
            "trial": "a",
            "start": stops - lengths,
            "stop": stops,
        }
    )
    return Store(
        folder=Path("nowhere"),
        name="plain",
        signal_TC=np.repeat(np.arange(stops[-1], dtype=np.float32)[:, None], 2, axis=1),
        label_T=np.concatenate([np.array(labels, np.int16) for _, labels in recordings]),
        recordings=table,
        rate_hz=rate_hz,
        channels=["acc_x", "gyro_x"],
        activities=list(activities),
        null=null,
        subjects=natural_order(subject for subject, _ in recordings),
        manifest={},
        sha256="0" * 64,
    )
