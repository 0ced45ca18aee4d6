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
from docs.findings.words import listed
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


def explanations(found: Sequence[Found], a: str, b: str) -> list[str]:
    """Return what differs in the layers of two variants, as far as an interval without 0 says so, and what does not.

    Args:
        found: A study on the data sets where its layers were measured.
        a: A variant.
        b: What it is held against.

    Returns:
        A sentence for each probe that tells the two apart on some data set, then one of those that do so on none.
    """
    said, open_ = [], []
    words = {probe.name: probe.words for probe in SHOWN}
    for name, more, less in _SAYS:
        signs = {one.data_set: _sign(one, name, a, b) for one in found}
        known = {data_set: sign for data_set, sign in signs.items() if sign is not None}
        if not any(known.values()):
            open_ += [words[name]] if known else []
            continue
        parts = []
        for sign, phrase in ((1, more), (-1, less)):
            told = [_told(one, name, a, b) for one in found if known.get(one.data_set) == sign]
            parts += [f"{phrase} ({'; '.join(told)})"] if told else []
        rest = [data_set for data_set, sign in known.items() if sign == 0]
        parts += [f"not told apart on {listed(rest)}"] if rest else []
        said.append("; ".join([parts[0], *(part[0].lower() + part[1:] for part in parts[1:])]) + ".")
    if open_:
        said.append(f"Not told apart: {'; '.join(open_)}.")
    return said


def alike(found: Sequence[Found], a: str, b: str) -> list[str]:
    """Return, in words, what differs in the same direction on every data set where the layers were measured."""
    phrases = []
    for name, more, less in _SAYS:
        signs = {_sign(one, name, a, b) for one in found}
        if signs in ({1}, {-1}):
            phrase = (more if signs == {1} else less).split(":")[0]
            phrases.append(phrase[0].lower() + phrase[1:])
    return phrases


def _sign(found: Found, probe: str, a: str, b: str) -> int | None:
    """Return whether a has more of a probe than b (1) or less (-1), 0 where that is open, None where it is unknown."""
    compared = found.probe_difference(probe, a, b)
    if compared is None:
        return None
    mean, ends, _ = compared
    return 0 if ends is None or ends[0] <= 0 <= ends[1] else int(np.sign(mean))


def _told(found: Found, probe: str, a: str, b: str) -> str:
    """Return data set, values of both variants and the interval of their difference."""
    values = ", ".join(f"`{variant}` {_number(_mean(found, variant, probe))}" for variant in (a, b))
    return f"{found.data_set}: {values}, difference {_difference(found, probe, a, b)}"


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
