"""SPAR: smartwatch recordings of seven shoulder exercises (Burns et al., arXiv 1802.01489).

Source: the file `seglearn/data/watch_dataset.npy` of the wheel seglearn 1.2.5 (BSD-3-Clause, David M. Burns 2018). The
package is never imported: it is here for that file alone.

Raw layout: a NumPy file with one pickled dictionary:

    X         list of 140 float64 arrays (n, 6), Fortran order: ax ay az in g, wx wy wz in rad/s
    y         int64 (140,), 0-6, index into y_labels
    subject   int64 (140,), 1-10
    side      float64 (140,), 1 right arm, 0 left arm
    X_labels  ['ax', 'ay', 'az', 'wx', 'wy', 'wz']
    y_labels  ['PEN', 'ABD', 'FEL', 'IR', 'ER', 'TRAP', 'ROW']

Facts: 10 subjects x 7 exercises x 2 arms, each once; 244,102 rows at 50 Hz (1.36 h), 947-2,618 rows a recording.

Quirks: loading runs a pickle, so the hash is checked first, on the same bytes; the recordings lie in random order and
are sorted here by subject, exercise and side; there are no time stamps and no null activity; the arms mirror axes.

Protocol: leave one subject out.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from har.datasets.card import Card
from har.datasets.fetch import verified_bytes
from har.datasets.recording import RawRecording, Stream

_SIDES = ("left", "right")


def read(card: Card, source: Path) -> Iterator[RawRecording]:
    """Yield the recordings by subject, exercise and side, in g and rad/s.

    Args:
        card: The SPAR card, with the file's SHA-256.
        source: `watch_dataset.npy`.

    Raises:
        DataError: The hash differs, or an activity code is not in the card.
    """
    data = np.load(io.BytesIO(verified_bytes(card, source)), allow_pickle=True).item()
    keys = list(zip(data["subject"].tolist(), data["y"].tolist(), data["side"].astype(int).tolist(), strict=True))
    channels = tuple(channel.name for channel in card.channels)
    for i in sorted(range(len(keys)), key=keys.__getitem__):
        subject, code, side = keys[i]
        trial = f"{data['y_labels'][code]}-{_SIDES[side]}"
        label = card.label_of(code, f"subject {subject}, trial {trial}")
        signal_TC = data["X"][i]
        yield RawRecording(
            subject=str(subject),
            trial=trial,
            streams=(Stream(channels, signal_TC),),
            label_T=np.full(len(signal_TC), label, np.int16),
            extra={"side": _SIDES[side]},
            files=(source.name,),
        )
