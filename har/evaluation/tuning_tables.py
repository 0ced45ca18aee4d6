"""The tables of what a study tuned, from its `tuning.json`: the values chosen, and the score of every trial."""

from __future__ import annotations

from typing import Any

from har.evaluation.numbers import Column, Table, number


def tuning_tables(tuning: dict[str, Any]) -> list[Table]:
    """Return the table of chosen values and that of trials.

    Args:
        tuning: The content of `tuning.json`.
    """
    return [_chosen(tuning), _trials(tuning)]


def _chosen(tuning: dict[str, Any]) -> Table:
    """Return the value of each variant in each fold."""
    own = list(dict.fromkeys(choice["own"] for choice in tuning["choices"]))
    folds = list(dict.fromkeys(choice["fold"] for choice in tuning["choices"]))
    values = {(choice["fold"], choice["own"]): choice["value"] for choice in tuning["choices"]}
    rows = [[fold, *(values.get((fold, name)) for name in own)] for fold in folds]
    note = (
        f"Matched: {number(tuning['matched'], 'value')}. Chosen from {_words(tuning['grid'])}: {tuning['rule']}."
        f" {tuning['trials_per_variant_and_fold']} trials per variant and fold, all in tables/tuning.csv."
    )
    return Table(
        "tuned", f"{tuning['key']} of each variant's own", [Column("fold"), *_columns(own, "value")], rows, note
    )


def _trials(tuning: dict[str, Any]) -> Table:
    """Return the scores of the trials of each variant, fold and value."""
    heads = [f"inner fold {position}" for position in range(tuning["inner_folds"])]
    columns = [Column("variant"), Column("fold"), Column(tuning["key"], "value"), *_columns(heads, "score")]
    columns += [Column("mean", "score"), Column("chosen")]
    rows = [
        [
            choice["variant"],
            choice["fold"],
            tried["value"],
            *tried["scores"],
            tried["mean"],
            "yes" if tried["value"] == choice["value"] else "no",
        ]
        for choice in tuning["choices"]
        for tried in choice["values"]
    ]
    note = (
        "Macro F1 (present) of the subjects held out in the inner fold. Without a score: training diverged, or the"
        " trial is not done."
    )
    return Table("tuning", "Trials", columns, rows, note)


def _columns(heads: list[str], kind: str) -> list[Column]:
    """Return columns of one kind."""
    return [Column(head, kind) for head in heads]


def _words(values: list[float]) -> str:
    """Return numbers as a list in words."""
    return ", ".join(number(value, "value") for value in values)
