"""Stores: a prepared data set as files that any tool can open.

    signal.npy           float32 (rows, channels), SI units, all recordings one after the other, time-major
    label.npy            int16 (rows,), index into the activities, -1 where unlabelled
    recordings.parquet   recording, subject, trial, start, stop (rows, half-open), begin_s, and the card's extras
    manifest.json        facts, preparation recipe, hashes of the source and of the files above; written last

No time, path or host stands in them, so that the same source makes the same bytes. T = samples, C = sensor channels.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import tokenize
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import DTypeLike, NDArray

from har.datasets.card import Card
from har.datasets.consistency import check_splits
from har.datasets.recipe import Recipe
from har.datasets.recording import Recording, check, natural_order
from har.datasets.registry import card_names
from har.errors import DataError
from har.files import data_root, flush, parse_json, sha256_of_file, write_json
from har.windows.account import Preparation
from har.windows.signal import Plan

if TYPE_CHECKING:
    import pandas as pd  # 0.2 s, which preparing does without

FORMAT = 1
_MANIFEST = "manifest.json"
_FILES = ("signal.npy", "label.npy", "recordings.parquet")
# What reading a damaged store may raise; a TokenError where numpy reads the head of an array as Python.
_UNREADABLE = (
    *(KeyError, TypeError, AttributeError, ValueError, OSError, EOFError, tokenize.TokenError),
    pa.ArrowException,
)


@dataclasses.dataclass(frozen=True)
class Store:
    """A prepared data set, opened for reading. Nothing is loaded: signal and labels are memory maps.

    Attributes:
        folder: Where it lies.
        name: The data set.
        signal_TC: float32 (rows, channels), m/s² and rad/s, read-only.
        label_T: int16 (rows,), index into `activities`, -1 where unlabelled, read-only.
        recordings: One row a recording: recording (int32, the row's own number), subject, trial, start, stop (int64,
            rows of the store, half-open), begin_s (float64, from the begin of the source's recording, which a gap may
            have divided), and the extras of the card as text.
        rate_hz: Samples per second.
        channels: Names, in the order of the columns.
        activities: Names; a label is an index into them.
        null: Name of the null activity, or None.
        subjects: In natural order.
        manifest: All of manifest.json; `manifest["preparation"]` is what a model must be fed.
        sha256: Hash of manifest.json, and with it of everything in the store.
    """

    folder: Path
    name: str
    signal_TC: NDArray[np.float32]
    label_T: NDArray[np.int16]
    recordings: pd.DataFrame
    rate_hz: float
    channels: list[str]
    activities: list[str]
    null: str | None
    subjects: list[str]
    manifest: dict[str, Any]
    sha256: str

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open a store, after its files were found complete.

        Args:
            folder: As `har.windows.prepare.store_folder` names it.

        Raises:
            DataError: There is none, or it is damaged or of an unknown format; the command that mends it is named.
        """
        manifest, digest = read_manifest(folder)
        try:
            preparation = manifest["preparation"]
            for name, entry in manifest["files"].items():
                _check_size(folder, name, entry["bytes"])
            store = cls(
                folder=folder,
                name=manifest["name"],
                signal_TC=np.load(folder / "signal.npy", mmap_mode="r"),
                label_T=np.load(folder / "label.npy", mmap_mode="r"),
                recordings=pq.read_table(folder / "recordings.parquet").to_pandas(),
                rate_hz=float(preparation["rate_hz"]),
                channels=[channel["name"] for channel in preparation["channels"]],
                activities=[activity["name"] for activity in manifest["activities"]],
                null=manifest["null"],
                subjects=list(manifest["subjects"]),
                manifest=manifest,
                sha256=digest,
            )
        except _UNREADABLE as error:
            raise _damaged(folder, f"cannot be read ({type(error).__name__}: {error})") from error
        rows = int(store.recordings["stop"].iloc[-1])
        if store.signal_TC.shape != (rows, len(store.channels)) or store.label_T.shape != (rows,):
            raise _damaged(folder, "has files that do not belong together")
        if (wrong := store._impossible()) is not None:
            raise _damaged(folder, f"says what cannot be: {wrong}")
        return store

    def _impossible(self) -> str | None:
        """Return what of the manifest cannot be, None where all can."""
        if not 0 < self.rate_hz < math.inf:
            return f"rate_hz is {self.rate_hz}"
        for key, names in (("activities", self.activities), ("channels", self.channels), ("subjects", self.subjects)):
            if not names or not all(isinstance(name, str) and name for name in names):
                return f"{key} are {str(names)[:60]}"
        if self.null is not None and self.null not in self.activities:
            return f"null is {str(self.null)[:60]!r}, which is no activity"
        return None

    @property
    def cautions(self) -> list[str]:
        """What every run and report on the data must say: by its card, and by what preparation found."""
        return cautions_of(self.manifest)

    def verify(self) -> None:
        """Compare the hash of every file with the manifest.

        Raises:
            DataError: One of them was changed after it was written.
        """
        for name, entry in self.manifest["files"].items():
            if sha256_of_file(self.folder / name) != entry.get("sha256"):
                raise _damaged(self.folder, f"holds a {name} that was changed after it was written")


def write_store(
    folder: Path, card: Card, recordings: Iterable[Recording], preparation: Preparation | None = None
) -> None:
    """Write a store, one recording in memory at a time; the manifest comes last.

    Args:
        folder: Is made if it is missing. `har.windows.prepare.prepare` gives a temporary one.
        card: The data set's facts.
        recordings: In SI units, float32, in the order of the store.
        preparation: What yields the recordings; None for recordings that are as the card says, without any recipe.
            Where the card has counts and subjects, its source must have them.

    Raises:
        DataError: A recording is not fit for a store (NaN, unknown label, …), or the card's facts do not hold. There
            is then no manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plan = preparation.plan if preparation else Plan.of(card, Recipe())
    made = dataclasses.replace(card, channels=plan.channels.made)
    table: dict[str, list[Any]] = {key: [] for key in ("subject", "trial", "start", "stop", "begin_s", *card.extras)}
    rows_of: Counter[int] = Counter()
    row = 0
    with (
        _growing(folder / "signal.npy", np.float32, (len(made.channels),)) as add_signal,
        _growing(folder / "label.npy", np.int16, ()) as add_label,
    ):
        for recording in recordings:
            check(made, recording)
            add_signal(recording.signal_TC)
            add_label(recording.label_T)
            start, row = row, row + len(recording.label_T)
            place = (recording.subject, recording.trial, start, row, recording.begin_s, *recording.extra.values())
            for column, value in zip(table.values(), place, strict=True):
                column.append(value)
            labels, times = np.unique(recording.label_T, return_counts=True)
            rows_of.update(dict(zip(labels.tolist(), times.tolist(), strict=True)))
    _write_recordings(folder / "recordings.parquet", table)
    counts: dict[str, Any] = {
        "recordings": len(table["subject"]),
        "rows": row,
        "rows_per_activity": {activity.name: rows_of[i] for i, activity in enumerate(card.activities)},
        "unlabelled_rows": rows_of[-1],
    }
    subjects = natural_order(table["subject"])
    found = {**counts, **(preparation.source_counts() if preparation else {})}
    doubts = check_facts(card, found, preparation.subjects if preparation else subjects)
    source: dict[str, Any] = {"source_counts": found, "done": preparation.described()} if preparation else {}
    if preparation and preparation.source_sha256:
        source["source_sha256"] = preparation.source_sha256
    if preparation and (cautions := preparation.cautions()):
        source["cautions"] = cautions
    account = {"counts": counts, "subjects": subjects, **source, "facts_that_differ": doubts}
    name = preparation.name if preparation else card.name
    write_json(folder / _MANIFEST, _describe(folder, plan, name, account))
    flush(folder)


def _describe(folder: Path, plan: Plan, name: str, account: dict[str, Any]) -> dict[str, Any]:
    """Return the manifest's content: facts, recipe, hashes."""
    card = plan.card
    return {
        "format": FORMAT,
        "name": name,
        "card": card.name,
        "card_sha256": card.sha256,
        "source": card.content()["source"],
        "activities": [dataclasses.asdict(activity) for activity in card.activities],
        "null": card.null_activity,
        "splits": {name: dataclasses.asdict(split) for name, split in card.splits.items()},
        **({"caution": card.caution} if card.caution else {}),
        **account,
        "preparation": plan.described(),
        "files": {
            name: {"bytes": (folder / name).stat().st_size, "sha256": sha256_of_file(folder / name)} for name in _FILES
        },
    }


def check_facts(card: Card, counts: dict[str, Any], subjects: list[str]) -> list[str]:
    """Hold the card's counts and subjects against what was found.

    Args:
        card: With facts or without.
        counts: Of the source, by the names of the facts.
        subjects: Of the source.

    Returns:
        Every difference from facts that nobody has counted in the files.

    Raises:
        DataError: Counted facts differ: then these are other files. Or there is nothing at all, or a split names a
            subject that is not there.
    """
    if counts["rows"] == 0:
        raise DataError(f"{card.name}: the source holds no recording.", "Give the right place with --source.")
    check_splits(card, subjects)
    differences = []
    if card.subjects and natural_order(card.subjects) != subjects:
        differences.append(f"subjects {subjects} instead of {natural_order(card.subjects)}")
    for key, stated in dataclasses.asdict(card.facts).items() if card.facts else ():
        if key not in counts or stated is None:
            continue
        if isinstance(stated, dict):
            differences += [
                f"{counts[key][name]} rows of {name} instead of {rows}"
                for name, rows in stated.items()
                if counts[key][name] != rows
            ]
        elif counts[key] != stated:
            differences.append(f"{counts[key]} {key.replace('_', ' ')} instead of {stated}")
    if differences and (card.facts is None or card.facts.verified):
        raise DataError(
            f"{card.name}: the source is not what its card says: {', '.join(differences)}.",
            "Get the source again, or correct the card if the source is right.",
        )
    return differences


@contextmanager
def _growing(path: Path, dtype: DTypeLike, shape: tuple[int, ...]) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Write a ``.npy`` file whose number of rows is known at the end only.

    Args:
        path: The file.
        dtype: Of its elements.
        shape: Of one row.

    Yields:
        A function that appends rows.
    """
    rows = 0

    def header() -> None:
        description = np.lib.format.dtype_to_descr(np.dtype(dtype))
        np.lib.format.write_array_header_1_0(
            stream, {"descr": description, "fortran_order": False, "shape": (rows, *shape)}
        )

    def append(block: NDArray[Any]) -> None:
        nonlocal rows
        stream.write(np.ascontiguousarray(block, dtype).data)  # tofile() would not say that the disk is full
        rows += len(block)

    with path.open("wb") as stream:
        header()
        length = stream.tell()
        yield append
        stream.seek(0)
        header()  # NumPy pads a header for any number of rows, so that it can be written again in place
        if stream.tell() != length:
            raise RuntimeError(f"{path}: header grew from {length} to {stream.tell()} bytes")
        stream.flush()
        os.fsync(stream.fileno())


def _write_recordings(path: Path, table: dict[str, list[Any]]) -> None:
    """Write the table of recordings, without pandas' metadata: those would name the versions it was made with."""
    types = {"recording": pa.int32(), "start": pa.int64(), "stop": pa.int64(), "begin_s": pa.float64()}
    content = {"recording": list(range(len(table["subject"]))), **table}
    columns = [_numbers(values, types[key]) if key in types else _texts(values) for key, values in content.items()]
    pq.write_table(pa.Table.from_arrays(columns, list(content)), path)
    flush(path)


def _numbers(values: list[float], kind: pa.DataType) -> pa.Array:
    """Return a column of numbers. pa.array() would do it, but imports pandas, which is 0.2 s of a whole second."""
    found = np.array(values, kind.to_pandas_dtype())
    return pa.Array.from_buffers(kind, len(found), [None, pa.py_buffer(found)])


def _texts(values: list[str]) -> pa.Array:
    """Return a column of text."""
    encoded = [value.encode() for value in values]
    bounds = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(bounds), pa.py_buffer(b"".join(encoded)))


def read_manifest(folder: Path) -> tuple[dict[str, Any], str]:
    """Read manifest.json and its hash, without a look at the other files.

    Args:
        folder: Of the store.

    Returns:
        Its content, and the SHA-256 of its bytes.

    Raises:
        DataError: It is missing, damaged, or of another format; the command that mends it is named.
    """
    path = folder / _MANIFEST
    if not folder.is_dir():
        raise DataError(f"data set {folder.name!r} is not prepared: there is no store {folder}.", _mending(folder))
    if not path.is_file():
        raise _damaged(folder, f"is not complete: {_MANIFEST} is missing")
    content = path.read_bytes()
    try:
        manifest = parse_json(content)
        version = manifest["format"]
    except (ValueError, KeyError, TypeError):
        raise _damaged(folder, f"has a damaged {_MANIFEST}") from None
    if version != FORMAT:
        raise _damaged(folder, f"has format {version!r}, this version reads {FORMAT}")
    return manifest, hashlib.sha256(content).hexdigest()


def cautions_of(manifest: dict[str, Any]) -> list[str]:
    """Return what `Store.cautions` says, of a manifest."""
    stated = [manifest["caution"]] if manifest.get("caution") else []
    return [str(caution) for caution in [*stated, *manifest.get("cautions", [])]]


def _check_size(folder: Path, name: str, size: int) -> None:
    """Refuse a missing file, and one that is not as long as the manifest says."""
    path = folder / name
    found = path.stat().st_size if path.is_file() else None
    if found != size:
        state = "is missing" if found is None else f"has {found} bytes instead of {size}"
        raise _damaged(folder, f"is damaged: {name} {state}")


def _damaged(folder: Path, what: str) -> DataError:
    """Return the error for a store that cannot be used, with the command that mends it."""
    return DataError(f"store {folder} {what}.", _mending(folder))


def _mending(folder: Path) -> str:
    """Return the sentence that names the command which makes the store anew."""
    name = folder.name if folder.name in card_names() else f"CARD.yaml (the card of {folder.name})"
    root = folder.parent.parent
    elsewhere = "" if root.resolve() == data_root().resolve() else f" --root {root}"
    return f"Make it: har prepare {name}{elsewhere}"
