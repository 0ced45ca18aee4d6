"""What the probes say of the layers of two variants: a table, and sentences chosen by the sign of a difference.

A sentence stands where the 95 % interval of the difference over folds does not contain 0. That is description: the
intervals are of one probe by itself, and folds share training data.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from docs.findings import tables
from docs.findings.found import Found
from docs.findings.probing import SHOWN
from har.evaluation.numbers import Column, Table, number, with_minus

# Probe, what is said where a has more of it than b, and where it has less.
_SAYS = (
    (
        "loss.smoothness",
        "The loss is rougher: over the same distance along the gradient, the gradient changes more",
        "The loss is smoother: over the same distance along the gradient, the gradient changes less",
    ),
    ("act.dead", "More channels are dead", "Fewer channels are dead"),
    (
        "act.stable_rank",
        "What the last convolution hands on varies in more directions",
        "What the last convolution hands on varies in fewer directions",
    ),
    (
        "read.activity",
        "From what the last convolution hands on, a linear reader tells the activity of training people more often",
        "From what the last convolution hands on, a linear reader tells the activity of training people less often",
    ),
    (
        "read.gravity",
        "More of gravity, hence of posture, can be read there",
        "Less of gravity, hence of posture, can be read there",
    ),
    (
        "read.amplitude",
        "More of the movement's amplitude can be read there",
        "Less of the movement's amplitude can be read there",
    ),
    ("read.subject", "Who it is can be read there more often", "Who it is can be read there less often"),
    (
        "gap.flip",
        "More decisions differ between the network in training and the one in use",
        "Fewer decisions differ between the network in training and the one in use",
    ),
    (
        "gap.mode_loss",
        "The loss in training is further above that in use",
        "The loss in training is less above that in use",
    ),
    (
        "batch.activity",
        "In a batch of a single activity, probabilities change more with the batch",
        "In a batch of a single activity, probabilities change less with the batch",
    ),
    ("bn.esm_mean", "Stored means fit a new person less well", "Stored means fit a new person better"),
    ("bn.esm_var", "Stored variances fit a new person less well", "Stored variances fit a new person better"),
    ("bn.neff", "Statistics rest on more independent samples", "Statistics rest on fewer independent samples"),
)


def probed(found: Sequence[Found]) -> list[Found]:
    """Return the studies whose layers were measured."""
    return [one for one in found if one.rows[tables.PROBES]]


def probes_table(found: Found, a: str, b: str) -> str:
    """Return the probes of every variant, mean over folds, and the difference of two of them with its interval."""
    columns = [Column("probe"), *(Column(name) for name in found.variants), Column(f"{a} − {b} (95 % interval)")]
    rows: list[list[Any]] = []
    for probe in SHOWN:
        means = [_mean(found, name, probe.name) for name in found.variants]
        if any(mean is not None for mean in means):
            rows.append([probe.words, *map(_number, means), _difference(found, probe.name, a, b)])
    return Table("", "", columns, rows).markdown()


def explanations(found: Found, a: str, b: str) -> list[str]:
    """Return what differs in the layers of two variants, as far as an interval without 0 says so, and what does not."""
    said, open_ = [], []
    words = {probe.name: probe.words for probe in SHOWN}
    for name, more, less in _SAYS:
        compared = found.probe_difference(name, a, b)
        if compared is None:
            continue
        mean, ends, _ = compared
        if ends is None or ends[0] <= 0 <= ends[1]:
            open_.append(words[name])
            continue
        values = ", ".join(f"`{variant}` {_number(_mean(found, variant, name))}" for variant in (a, b))
        apart = f"difference {_number(mean)}, 95 % interval {' to '.join(map(_number, ends))}"
        said.append(f"{more if mean > 0 else less} ({values}; {apart}).")
    if open_:
        said.append(f"Not told apart: {'; '.join(open_)}.")
    return said


def _mean(found: Found, variant: str, probe: str) -> float | None:
    """Return the mean over folds of a probe."""
    values = list(found.probe(variant, probe).values())
    return float(np.mean(values)) if values else None


def _difference(found: Found, probe: str, a: str, b: str) -> str:
    """Return the difference of a probe of two variants with its interval, where both have it."""
    compared = found.probe_difference(probe, a, b)
    if compared is None:
        return "n/a"
    mean, ends, _ = compared
    return f"{_number(mean)} ({'no interval' if ends is None else ' to '.join(map(_number, ends))})"


def _number(value: float | None) -> str:
    """Return a probe's value as it is printed; what is nothing but rounding is 0."""
    if value is None:
        return "n/a"
    return with_minus(number(value if abs(value) > 1e-9 else 0.0, "probe"))
