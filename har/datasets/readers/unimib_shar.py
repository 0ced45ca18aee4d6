"""UniMiB-SHAR: windows of a smartphone in a trouser pocket, nine activities and eight falls (Micucci et al. 2017).

Source: www.sal.disco.unimib.it/technologies/unimib-shar, doi 10.3390/app7101101. Licence: none stated; research with
citation.

Raw layout, MATLAB 5:

    UniMiB-SHAR/data/acc_data.mat      acc_data (11771, 453): x (151) | y (151) | z (151), m/s²
    UniMiB-SHAR/data/acc_labels.mat    acc_labels (11771, 3), uint8: class 1-17, subject 1-30, trial 1-6

Facts: 30 subjects, 7,579 windows of daily activities and 4,192 of falls, 3 s at 50 Hz around a peak above 1.5 g.

Quirks: the three axes lie one after the other in a row; read as 151 triples they are scrambled, as Li et al. (2018)
have them (`read_scrambled`, for a card of its own). adl_*, fall_* and two_classes_* hold the same windows under other
classes and are not read. Ten subjects lack one or two classes. Windows of one trial may overlap, so each is a recording
of its own. A release of 2016 has the same names and 51 samples a window, axes interleaved: it is refused by its shape.

Protocol: leave one subject out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card
from har.datasets.recording import RawRecording, Stream
from har.errors import DataError, candidates

_SAMPLES = 151
_OLD_SAMPLES = 51  # of the release of 2016
_FILES = ("data/acc_data.mat", "data/acc_labels.mat")


def read(card: Card, source: Path) -> Iterator[RawRecording]:
    """Yield the windows by subject, those of one subject in the order of the file, in m/s².

    Args:
        card: The UniMiB-SHAR card.
        source: The folder `UniMiB-SHAR`.

    Raises:
        DataError: A file is missing or damaged, or is the earlier release.
    """
    return _read(card, source, windows_of)


def read_scrambled(card: Card, source: Path) -> Iterator[RawRecording]:
    """Yield the same windows with their axes scrambled as in Li et al. (2018); see `scrambled_windows_of`."""
    return _read(card, source, scrambled_windows_of)


def _read(card: Card, source: Path, layout: Callable[[NDArray[Any]], NDArray[np.float64]]) -> Iterator[RawRecording]:
    """Yield the windows, which `layout` makes of the rows."""
    data_path, labels_path = (source / name for name in _FILES)
    labels_N3 = _matrix(labels_path, "acc_labels")
    data_NX = _matrix(data_path, "acc_data")
    width = data_NX.shape[1]
    if width == 3 * _OLD_SAMPLES:
        raise DataError(
            f"{data_path} has {width} values a window, 51 of each axis: it is the release of 2016.",
            f"Get the release of 2017, with {3 * _SAMPLES} values a window: {card.homepage}",
        )
    if width != 3 * _SAMPLES:
        raise DataError(f"{data_path} has {width} values a window, not {3 * _SAMPLES}.", "Get the file again.")
    if labels_N3.shape != (len(data_NX), 3):
        raise DataError(
            f"{labels_path} has {labels_N3.shape[0]} rows of {labels_N3.shape[1]}, but {data_path} has {len(data_NX)}.",
            "Row n of both is window n, with class, subject and trial: get the files again.",
        )
    channels = tuple(channel.name for channel in card.channels)
    signal_NTC = layout(data_NX)
    for i in np.argsort(labels_N3[:, 1], kind="stable").tolist():
        code, subject, trial = (int(value) for value in labels_N3[i])
        label = card.label_of(code, f"{labels_path}, row {i + 1}")
        yield RawRecording(
            str(subject),
            f"{trial}-{i + 1}",
            (Stream(channels, signal_NTC[i]),),
            np.full(_SAMPLES, label, np.int16),
            files=_FILES,
        )


def windows_of(data_NX: NDArray[Any]) -> NDArray[np.float64]:
    """Return float64 (windows, samples, 3) of rows that hold x, then y, then z.

    Args:
        data_NX: (windows, 3 x samples).
    """
    return np.asarray(data_NX, np.float64).reshape(len(data_NX), 3, -1).transpose(0, 2, 1)


def scrambled_windows_of(data_NX: NDArray[Any]) -> NDArray[np.float64]:
    """Return float64 (windows, samples, 3) of the same rows cut into triples, which are samples of one axis.

    The rows' layout is x, then y, then z, so this is wrong; it is what the published code of Li et al. (2018) does.

    Args:
        data_NX: (windows, 3 x samples).
    """
    return np.asarray(data_NX, np.float64).reshape(len(data_NX), -1, 3)


def _matrix(path: Path, variable: str) -> NDArray[Any]:
    """Return a matrix of a MATLAB file."""
    import scipy.io

    if not path.is_file():
        raise DataError(f"there is no file {path}.", "Give the folder UniMiB-SHAR with --source.")
    try:
        content = scipy.io.loadmat(path)
    except Exception as error:  # noqa: BLE001 - scipy raises whatever damaged bytes lead to
        raise DataError(f"{path} is no MATLAB file of version 5 ({error}).", "Get the file again.") from None
    if variable not in content or content[variable].ndim != 2 or not np.issubdtype(content[variable].dtype, np.number):
        there = [name for name in content if not name.startswith("_")]
        raise DataError(f"{path}: there is no matrix {variable!r}.", candidates(variable, there))
    matrix: NDArray[Any] = content[variable]
    return matrix
