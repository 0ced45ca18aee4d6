"""UCI-HAR: windows of a smartphone at the waist, six daily activities (Anguita et al., ESANN 2013).

Source: UCI 240, doi 10.24432/C54S4K. Licence: CC BY 4.0 says the UCI page, "any commercial use is prohibited" the
README.

Raw layout, twice (train, test):

    UCI HAR Dataset/train/subject_train.txt                         1
    UCI HAR Dataset/train/y_train.txt                               5
    UCI HAR Dataset/train/Inertial Signals/total_acc_x_train.txt      1.0128170e+000  1.0228330e+000 …

Line n of all eleven files is window n: its subject, its activity, and 128 values of each of nine signals, in g and
rad/s. Facts: 7,352 + 2,947 windows of 2.56 s at 50 Hz, 30 subjects, of whom 9 are for testing.

Quirks: windows of one bout overlap by half, so each is a recording of its own, and they are never joined to a stream.
The signals were filtered by the authors (median, low-pass of 20 Hz); body_acc is total_acc without what lies below
0.3 Hz. The 561 features in X_*.txt are not read. Copies circulate that have fewer windows and no subject files.

Protocol: the official split by subjects, in the card.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card, Format
from har.datasets.recording import RawRecording, Stream, natural_key
from har.datasets.tables import read_table
from har.errors import DataError

_PARTS = ("train", "test")
_SAMPLES = 128
_LAYOUT = Format(delimiter="whitespace", header=False)


def read(card: Card, source: Path) -> Iterator[RawRecording]:
    """Yield the windows by subject, those of one subject in the order of the files, in g and rad/s.

    Args:
        card: The UCI-HAR card; its channels are called like the files.
        source: The folder `UCI HAR Dataset`.

    Raises:
        DataError: A file is missing, damaged, or has another number of lines than the others; file and line are named.
    """
    channels = tuple(channel.name for channel in card.channels)
    found = []
    for part in _PARTS:
        folder = source / part
        subjects, codes = _integers(folder / f"subject_{part}.txt"), _integers(folder / f"y_{part}.txt")
        files = [f"{part}/Inertial Signals/{name}_{part}.txt" for name in channels]
        signals = [_windows(source / file) for file in files]
        counts = {f"{part}/y_{part}.txt": len(codes), **dict(zip(files, map(len, signals), strict=True))}
        for name, count in counts.items():
            if count != len(subjects):
                what = f"{source / name} has {count} lines, but {folder / f'subject_{part}.txt'} has {len(subjects)}."
                raise DataError(what, "Line n of each file is window n: get the files again.")
        signal_NTC = np.stack(signals, axis=-1)
        names = (f"{part}/subject_{part}.txt", f"{part}/y_{part}.txt", *files)
        for i, (subject, code) in enumerate(zip(subjects.tolist(), codes.tolist(), strict=True)):
            label = card.label_of(code, f"{folder / f'y_{part}.txt'}, line {i + 1}")
            found.append((str(subject), part, f"{part}-{i + 1}", label, signal_NTC[i], names))
    for subject, part, trial, label, signal_TC, names in sorted(found, key=lambda window: natural_key(window[0])):
        label_T = np.full(_SAMPLES, label, np.int16)
        yield RawRecording(subject, trial, (Stream(channels, signal_TC),), label_T, {"part": part}, names)


def _integers(path: Path) -> NDArray[np.int64]:
    """Return the whole number of each line."""
    _require(path)
    values_N = read_table(path, _LAYOUT, [1], []).numbers[1]
    wrong = np.flatnonzero(values_N != np.rint(values_N))
    if len(wrong):
        raise DataError(f"{path}, line {wrong[0] + 1}: {values_N[wrong[0]]} is no whole number.", "Get the file again.")
    return values_N.astype(np.int64)


def _windows(path: Path) -> NDArray[np.float64]:
    """Return one window a line: float64 (windows, 128)."""
    _require(path)
    table = read_table(path, _LAYOUT, list(range(1, _SAMPLES + 1)), [])
    if table.width != _SAMPLES:
        raise DataError(f"{path} has {table.width} values a line, not {_SAMPLES}.", "Get the file again.")
    return np.stack(list(table.numbers.values()), axis=-1)


def _require(path: Path) -> None:
    """Refuse a file that is not there."""
    if not path.is_file():
        raise DataError(
            f"there is no file {path}.",
            "Copies without subjects or raw signals circulate: get the archive from UCI.",
        )
