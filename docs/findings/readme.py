"""What the README shows of the main study: one repeat of its short form, as `make study` ends."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from docs.findings import tables
from docs.findings.found import Found, Results
from har.errors import DataError
from har.evaluation import contrast
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.numbers import Column, Table
from har.files import write_text

BEGIN, END = "<!-- made by python -m docs.findings insert -->\n", "<!-- up to here -->\n"
_REPEAT = 0


def show(path: Path, results: Results) -> None:
    """Put the table and the verdict of the first repeat into the README, between its two marks.

    Args:
        path: The README.
        results: What was collected.

    Raises:
        DataError: The README lacks a mark, or the study is not there on SPAR.
    """
    found = next((one for one in results.of("bn-placement") if one.info["data_set"] == "spar"), None)
    if found is None:
        raise DataError(f"{path} cannot be filled.", "It needs the study bn-placement on SPAR: collect it.")
    put_between_marks(path, first_repeat(found))


def put_between_marks(path: Path, made: str) -> None:
    """Replace what stands between the two marks of a page.

    Args:
        path: The page.
        made: The Markdown that belongs there.

    Raises:
        DataError: The page lacks a mark.
    """
    text = path.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text.split(BEGIN, 1)[-1]:
        raise DataError(f"{path} cannot be filled.", f"It needs the lines {BEGIN.strip()!r} and {END.strip()!r}.")
    before, rest = text.split(BEGIN, 1)
    write_text(path, f"{before}{BEGIN}\n{made}\n{END}{rest.split(END, 1)[1]}")


def first_repeat(found: Found) -> str:
    """Return the scores of every variant in the first repeat, and the verdict of the primary contrast on it alone."""
    columns = [Column("variant"), Column(f"macro F1 ({DEFAULT_POLICY})", "score"), Column("SD over subjects", "score")]
    columns += [Column("pooled", "score"), Column("accuracy", "score"), Column("runs", "count")]
    rows = [[name, *_scores(found, name)] for name in found.variants]
    return f"{Table('', '', columns, rows).markdown()}\n\n> {_verdict(found)}\n"


def _scores(found: Found, variant: str) -> list[float]:
    """Return the mean and deviation over subjects, pooled macro F1, accuracy and runs of the first repeat."""
    own = [row for row in found.rows[tables.SCORES] if (row["variant"], row["repeat"]) == (variant, _REPEAT)]
    score_S = np.array([row["macro_f1"] for row in own])
    of_activity: dict[str, np.ndarray] = {}
    for row in found.rows[tables.ACTIVITIES]:
        if (row["variant"], row["repeat"]) == (variant, _REPEAT):
            counted = np.array([row["true"], row["predicted"], row["right"]])
            of_activity[row["activity"]] = of_activity.get(row["activity"], 0) + counted
    true_K, predicted_K, right_K = np.array(list(of_activity.values())).T
    pooled = float(np.mean(2 * right_K / (true_K + predicted_K)))
    accuracy = float(right_K.sum() / true_K.sum())
    return [float(score_S.mean()), float(score_S.std(ddof=1)), pooled, accuracy, len({row["fold"] for row in own})]


def _verdict(found: Found) -> str:
    """Return the sentence of the primary contrast on the first repeat."""
    estimates = [contrast.estimate(found.differences(row["a"], row["b"])[0][:, [_REPEAT]]) for row in found.contrasts]
    adjusted = contrast.holm([one.p for one in estimates])
    smallest = contrast.smallest_holm([one.subjects for one in estimates])
    at = next(place for place, row in enumerate(found.contrasts) if row["primary"])
    row = found.contrasts[at]
    return contrast.sentence(row["a"], row["b"], estimates[at], adjusted[at], smallest[at], len(estimates))
