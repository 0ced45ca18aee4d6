"""Over variants: does a variant with more of something score higher? Description, since variants are few and chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.association import is_constant
from har.evaluation.gathering import Gathered
from har.evaluation.paired import by_repeat
from har.evaluation.probe_values import Values, in_order, is_of_depth

_FEWEST = 3  # variants: two are always perfectly correlated
_DRAWS = 2_000
_SEED = 20_180_405


def over_variants(gathered: Gathered, scored: Mapping[str, Any], values: Values) -> list[dict[str, Any]]:
    """Return each probe's mean of every variant, and its rank correlation with the variants' macro F1.

    The interval resamples subjects and keeps the variants: it says how firm the order of these variants is, and nothing
    of others. There is no test.

    Args:
        gathered: The runs of a study.
        scored: Arm to its scores ``per_subject``.
        values: What the runs' probes come to.

    Returns:
        One object per probe that at least three variants have: ``probe``, ``means`` and ``scores`` by variant,
        ``subjects``, ``rho`` and ``interval`` (None where the probe or the score is the same for all).
    """
    tables: dict[str, dict[str, dict[str, float]]] = {}
    for name in (name for name in gathered.arms if parts_of(name)[1] == RUNNING):
        runs = gathered.of(name)
        for probe in dict.fromkeys(probe for run in runs for probe in values[run.folder] if not is_of_depth(probe)):
            mean_SR, subjects = by_repeat(
                (subject, run.repeat, values[run.folder][probe])
                for run in runs
                if probe in values[run.folder]
                for subject in run.confusions
            )
            tables.setdefault(probe, {})[name] = dict(zip(subjects, np.nanmean(mean_SR, axis=1).tolist(), strict=True))
    return [
        _related(probe, table, {name: scored[name]["per_subject"] for name in table})
        for probe, table in ((probe, tables[probe]) for probe in in_order(tables))
        if len(table) >= _FEWEST
    ]


def _related(
    probe: str, table: Mapping[str, Mapping[str, float]], scores: Mapping[str, Mapping[str, float]]
) -> dict[str, Any]:
    """Return one probe over the variants that have it, by the subjects whom all of them have tested."""
    subjects = sorted(set.intersection(*(set(found) & set(scores[name]) for name, found in table.items())))
    x_SV, y_SV = (
        np.array([[source[name][subject] for name in table] for subject in subjects]).reshape(len(subjects), len(table))
        for source in (table, scores)
    )
    rho, interval = None, None
    if subjects and not is_constant(x_SV.mean(axis=0)) and not is_constant(y_SV.mean(axis=0)):
        rho = float(_rank_correlation(x_SV.mean(axis=0)[None], y_SV.mean(axis=0)[None])[0])
        S = len(subjects)
        times_BS = np.random.default_rng(_SEED).multinomial(S, np.full(S, 1 / S), size=_DRAWS) / S
        drawn_B = _rank_correlation(times_BS @ x_SV, times_BS @ y_SV)
        if S > 1 and not np.isnan(drawn_B).all():
            interval = [float(end) for end in np.nanquantile(drawn_B, [0.025, 0.975])]
    return {
        "probe": probe,
        "subjects": len(subjects),
        "means": {name: float(np.mean([*found.values()])) for name, found in table.items()},
        "scores": {name: float(np.mean([*found.values()])) for name, found in scores.items()},
        "rho": rho,
        "interval": interval,
    }


def _rank_correlation(x_BV: np.ndarray, y_BV: np.ndarray) -> np.ndarray:
    """Return Spearman's correlation of each row: float64 (rows,), NaN where one of the two is constant."""
    from scipy.stats import rankdata

    x_BV, y_BV = (rankdata(v_BV, axis=1) - (v_BV.shape[1] + 1) / 2 for v_BV in (x_BV, y_BV))
    spread_B = np.sqrt((x_BV**2).sum(axis=1) * (y_BV**2).sum(axis=1))
    both_B = (x_BV * y_BV).sum(axis=1)
    rho_B: np.ndarray = np.divide(both_B, spread_B, out=np.full(len(both_B), np.nan), where=spread_B > 0)
    return rho_B
