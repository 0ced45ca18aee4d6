"""The tables of steps to the target, from what `har.evaluation.steps_to_target` found."""

from __future__ import annotations

from typing import Any

from har.evaluation.numbers import Column, Table, number
from har.evaluation.steps_to_target import UNITS, target_in_words


def target_tables(found: dict[str, Any]) -> list[Table]:
    """Return the table of variants, that of their curves, that of contrasts and that of runs.

    Args:
        found: The entry ``target`` of `contrasts.json`.
    """
    return [_variants(found), _curves(found), _contrasts(found), _runs(found)]


def _variants(found: dict[str, Any]) -> Table:
    """Return share reached, medians and restricted means of each variant."""
    columns = [Column("variant"), Column("share reached", "score")]
    for unit in UNITS:
        columns += [Column(f"{unit}, median", _kind(unit)), Column(f"{unit}, restricted mean", _mean_kind(unit))]
    columns += [Column("folds", "count"), Column("runs", "count")]
    rows = [
        [
            name,
            own["reached"],
            *(own[key][unit] for unit in UNITS for key in ("median", "restricted_mean")),
            own["folds"],
            own["runs"],
        ]
        for name, own in found["variants"].items()
    ]
    note = (
        f"Target: {target_in_words(found)}, in the same fold and repeat. Reached at the first of two evaluations in a"
        " row at or above it. Runs that never reach it are censored: they stay in every number here. Median: when half"
        " the runs have reached it (product-limit estimate), n/a where fewer do." + _limits(found)
    )
    return Table("steps-to-target", f"Training until {target_in_words(found)}", columns, rows, note)


def _curves(found: dict[str, Any]) -> Table:
    """Return the share of each variant's runs that have reached the target, at every step where it changes."""
    columns = [Column("variant"), Column("step", "count"), Column("share reached by then", "score")]
    rows = [[name, step, share] for name, own in found["variants"].items() for step, share in own["curve"]]
    note = "Product-limit estimate; every fold weighs the same."
    return Table("steps-to-target-curves", "Share that has reached the target", columns, rows, note)


def _limits(found: dict[str, Any]) -> str:
    """Return up to where restricted means go, in words."""
    if not found["limits"]:
        return ""
    ends = ", ".join(f"{number(found['limits'][unit], _kind(unit))} {unit}" for unit in UNITS)
    return f" Restricted mean: of the time to the target or {ends}, whichever comes first."


def _contrasts(found: dict[str, Any]) -> Table:
    """Return ratio and difference of the times of the variants that the study contrasts."""
    columns = [Column("a"), Column("b"), Column("time in"), Column("a / b", "ratio")]
    columns += [Column("95 % from", "ratio"), Column("to", "ratio"), Column("folds where both reach it", "count")]
    columns += [Column("a - b, restricted mean", "change"), Column("95 % from", "change"), Column("to", "change")]
    columns += [Column("folds", "count")]
    rows = []
    for pair in found["contrasts"]:
        for unit in UNITS:
            own = pair["units"][unit]
            ratio = [own["ratio"], *(own["ratio_interval"] or (None, None)), pair["folds_both"]]
            difference = [own["difference"], *(own["difference_interval"] or (None, None)), pair["folds"]]
            rows.append([pair["a"], pair["b"], unit, *ratio, *difference])
    note = (
        "Ratio: exp of the mean difference of log times over the folds where both variants reach the target, repeats"
        " averaged first; these folds are a selection, the restricted means are over all. Seconds are those of the"
        " runs' machine, evaluations included. Described, not tested: no verdict follows."
    )
    return Table("steps-to-target-contrasts", "Times to the target, a against b", columns, rows, note)


def _runs(found: dict[str, Any]) -> Table:
    """Return when each run reached its target."""
    columns = [Column("variant"), Column("fold"), Column("repeat", "count"), Column("target, macro F1", "score")]
    columns += [Column(unit, _kind(unit)) for unit in UNITS] + [Column("followed to step", "count")]
    keys = ("variant", "fold", "repeat", "target", *UNITS)
    rows = [[*(run[key] for key in keys), run["followed"]["steps"]] for run in found["runs"]]
    note = "A run without times did not reach the target by its last step."
    return Table("steps-to-target-runs", "Time to the target of every run", columns, rows, note)


def _kind(unit: str) -> str:
    """Return how times in a unit are written."""
    return "seconds" if unit == "seconds" else "count"


def _mean_kind(unit: str) -> str:
    """Return how means of times in a unit are written."""
    return "seconds" if unit == "seconds" else "mean"
