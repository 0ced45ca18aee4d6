"""What the scores of a study must come to when it is made again, and whether they do.

A row of expected.csv is one variant (under one inference) in one repeat: the mean over subjects of macro F1, how far
another machine may be from it, and the SHA-256 of the confusions that all its scores derive from.

- On a machine of the same kind (processor, versions; studies.csv names them) the same seeds give the same confusions,
  bit for bit, and the hash is equal.
- On another one arithmetic is rounded otherwise, and training carries that on until a run differs as one with another
  seed does. So the tolerance of one repeat is 3·√2·s, s the standard deviation of such means over repeats, pooled over
  the variants of the study; of the mean over K repeats it is 1/√K of that.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from docs.findings.tables import Row
from har.evaluation.arms import arm, parts_of
from har.evaluation.counts import natural
from har.evaluation.gathering import Run
from har.evaluation.measures import DEFAULT_POLICY, macro_f1
from har.evaluation.numbers import Column, Table
from har.files import sha256_of_json

LEAST = 0.005  # of a tolerance: half a point, also where the repeats happen to agree
UNKNOWN = 0.05  # of one repeat, where there is but one and nothing tells how far repeats differ
_Place = tuple[str, int]  # arm and repeat


@dataclass(frozen=True)
class Comparison:
    """One variant made again: what was expected of it, and what it came to over the repeats that both have.

    Attributes:
        study: Name of the study.
        data_set: Its data set.
        arm: The variant, with its inference.
        repeats: How many repeats are compared.
        equal: How many of them have the same hash.
        expected: Mean over these repeats of the macro F1 that was expected.
        found: The same of what was found.
        tolerance: How far apart they may be.
    """

    study: str
    data_set: str
    arm: str
    repeats: int
    equal: int
    expected: float
    found: float
    tolerance: float

    @property
    def said(self) -> tuple[str, str]:
        """Whether they are within that, and how many repeats are bit-equal, in words."""
        return "yes" if self.is_within else "NO", f"{self.equal} of {self.repeats}"

    @property
    def is_within(self) -> bool:
        """Whether they are not further apart than that."""
        return abs(self.found - self.expected) <= self.tolerance


def expected_rows(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """Return the rows of a study's runs, without its name and data set.

    Args:
        runs: Its runs that count.
    """
    found = _by_place(runs)
    tolerance = _tolerance({place: score for place, (_, score, _) in found.items()})
    rows = []
    for (name, repeat), (subjects, score, digest) in found.items():
        variant, inference = parts_of(name)
        place = {"variant": variant, "inference": inference, "repeat": repeat, "subjects": subjects}
        rows.append({**place, "macro_f1": score, "tolerance": tolerance, "sha256": digest})
    return rows


def compare(expected: Sequence[Row], runs: Iterable[Run]) -> list[Comparison]:
    """Return how the runs of one study compare with what is expected of it.

    Args:
        expected: The rows of this study and data set.
        runs: The runs that are there; a repeat that lacks subjects is left out.
    """
    found = _by_place(runs)
    pairs: dict[str, list[tuple[Row, float, str]]] = defaultdict(list)
    for row in expected:
        name = arm(row["variant"], row["inference"])
        subjects, score, digest = found.get((name, row["repeat"]), (0, 0.0, ""))
        if subjects == row["subjects"]:
            pairs[name].append((row, score, digest))
    return [
        Comparison(
            study=rows[0][0]["study"],
            data_set=rows[0][0]["data_set"],
            arm=name,
            repeats=len(rows),
            equal=sum(row["sha256"] == digest for row, _, digest in rows),
            expected=float(np.mean([row["macro_f1"] for row, _, _ in rows])),
            found=float(np.mean([score for _, score, _ in rows])),
            tolerance=rows[0][0]["tolerance"] / math.sqrt(len(rows)),
        )
        for name, rows in pairs.items()
    ]


def comparison_table(compared: Sequence[Comparison]) -> Table:
    """Return what was compared, a row for each variant."""
    columns = [Column("study"), Column("data set"), Column("variant"), Column("repeats", "count")]
    columns += [Column("expected", "score"), Column("found", "score"), Column("tolerance", "score")]
    columns += [Column("within"), Column("bit-equal repeats")]
    rows = [
        [one.study, one.data_set, one.arm, one.repeats, one.expected, one.found, one.tolerance, *one.said]
        for one in compared
    ]
    return Table("check", f"Macro F1 ({DEFAULT_POLICY}), mean over subjects", columns, rows)


def _by_place(runs: Iterable[Run]) -> dict[_Place, tuple[int, float, str]]:
    """Return of every arm and repeat the number of subjects, the mean of their macro F1, and the confusions' hash."""
    confusions: dict[_Place, list[tuple[str, Any]]] = defaultdict(list)
    for run in runs:
        confusions[run.arm, run.repeat] += [(subject, counts_KK) for subject, counts_KK in run.confusions.items()]
    found = {}
    for place, of_subject in confusions.items():
        ordered = sorted(of_subject, key=lambda entry: natural(entry[0]))
        score = float(np.mean([macro_f1(counts_KK, DEFAULT_POLICY) for _, counts_KK in ordered]))
        digest = sha256_of_json([[subject, counts_KK.tolist()] for subject, counts_KK in ordered])
        found[place] = (len(ordered), score, digest)
    return found


def _tolerance(scores: dict[_Place, float]) -> float:
    """Return the tolerance of one repeat."""
    of_arm: dict[str, list[float]] = defaultdict(list)
    for (name, _), score in scores.items():
        of_arm[name].append(score)
    spread = [float(np.var(found, ddof=1)) for found in of_arm.values() if len(found) > 1]
    return max(LEAST, 3 * math.sqrt(2 * float(np.mean(spread)))) if spread else UNKNOWN
