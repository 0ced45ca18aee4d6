"""Codes: from what a file says about an activity to a label."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from har.datasets.card import Card
from har.datasets.tables import Words
from har.errors import DataError, candidates

UNLABELLED = -1
DROPPED = -2  # samples that are no data, see `Label.drop`


class Codes:
    """The labels of a card's codes, compared as text: 1, 01 and 1.0 are the same code.

    Args:
        card: Its activities, and the codes that are unlabelled or dropped.
    """

    def __init__(self, card: Card) -> None:
        self._name = card.name
        self._known = {str(activity.code): i for i, activity in enumerate(card.activities)}
        label = card.files.label if card.files else None
        self._known.update({str(code): UNLABELLED for code in label.unlabelled} if label else {})
        self._known.update({str(code): DROPPED for code in label.drop} if label else {})

    def label(self, code: str, place: Callable[[], str]) -> int:
        """Return the label of a code.

        Args:
            code: As a file has it.
            place: Gives file and line, for the message.

        Raises:
            DataError: The card has no such code.
        """
        for text in (code, _plain(code)):
            if text in self._known:
                return self._known[text]
        what = f"{self._name}, {place()}: activity code {code!r} is not in the card."
        raise DataError(
            what, f"{candidates(code, self._known)} Add it to the activities, or to label.unlabelled or drop."
        )

    def labels(self, words: Words, place: Callable[[int], str]) -> NDArray[np.int16]:
        """Return the label of each cell of a column; an empty cell is unlabelled.

        Args:
            words: The column.
            place: Gives file and line of a row, for the message.

        Raises:
            DataError: The card does not have one of the codes.
        """

        def first_of(i: int) -> str:
            return place(int(np.flatnonzero(words.index_T == i)[0]))

        known: NDArray[np.int16] = np.full(len(words.texts) + 1, UNLABELLED, np.int16)  # the last is taken by index -1
        for i in np.unique(words.index_T[words.index_T >= 0]).tolist():
            known[i] = self.label(words.texts[i], functools.partial(first_of, i))
        label_T: NDArray[np.int16] = known[words.index_T]
        return label_T


def _plain(code: str) -> str:
    """Return a whole number without leading zeros and decimals; other text as it is."""
    try:
        number = float(code)
    except ValueError:
        return code
    return str(int(number)) if number.is_integer() else code
