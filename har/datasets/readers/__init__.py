"""Readers: from the files of a source to recordings, one module a layout. Readers never import each other.

A reader is a function `read(card, source)`; it yields `RawRecording` in the source's units, in an order that depends on
nothing but the files, with labels as indices into the card's activities. It opens no bytes that it has not verified.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path

from har.datasets.card import Card
from har.datasets.recording import RawRecording
from har.errors import DataError

# name in a card -> module, imported when it is used, and its function where that is not `read`
READERS: dict[str, str] = {
    "files": "har.datasets.readers.files",
    "spar": "har.datasets.readers.spar",
    "ucihar": "har.datasets.readers.ucihar",
    "unimib-shar": "har.datasets.readers.unimib_shar",
    "unimib-shar-li2018-scrambled": "har.datasets.readers.unimib_shar:read_scrambled",
}


def read(card: Card, source: Path) -> Iterator[RawRecording]:
    """Yield the recordings of a source in its own units, one at a time.

    Args:
        card: Names the reader.
        source: The file or folder that `har.datasets.fetch.locate` found.

    Raises:
        DataError: The files are damaged or not what the card says, or a subject has no label at all.
    """
    labelled: dict[str, tuple[bool, str]] = {}
    module, _, function = READERS[card.reader].partition(":")
    for recording in getattr(importlib.import_module(module), function or "read")(card, source):
        if not recording.lacks:
            before, place = labelled.get(recording.subject, (False, recording.place))
            labelled[recording.subject] = (before or bool((recording.label_T >= 0).any()), place)
        yield recording
    for subject, (has_labels, place) in labelled.items():
        if not has_labels:
            raise DataError(
                f"{card.name}: no sample of subject {subject} has a label ({place}).",
                "Correct the card or the labels; or leave the subject's files out.",
            )
