"""What a variant costs in use: size, latency and F1 of each form that `har export` writes, read from its files."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from har.errors import DataError
from har.evaluation.gathering import Run, read_json
from har.evaluation.numbers import Column, Table

EXPORT = Path("export") / "deploy.json"  # in a run's folder, by `har export RUN`
DEPLOYED = "model.onnx"  # the form whose latency stands beside scores: norms folded, as it is deployed
_CHECKPOINT, _INT8 = "best.ckpt", "model-int8.onnx"
# Each form's entry in deploy.json, in the order of the table; the one in 8 bits is not always there.
_FORMS = {
    _CHECKPOINT: "checkpoint, torch eager",
    "model.pt2": "torch.export",
    DEPLOYED: "ONNX",
    _INT8: "ONNX, 8 bits",
}
_MEASURED = ("bytes", "single_ms", "single_ms_p90", "batch_ms_per_window", "macro_f1")


def use_of(folder: Path, runs: Sequence[Run]) -> tuple[dict[str, Any] | None, list[str]]:
    """Return what the exported networks of some runs cost in use, and what cannot be read.

    Args:
        folder: The study's folder.
        runs: Runs of one variant.

    Returns:
        ``runs``, how many were exported; ``forms``, each with the means over these of ``bytes``, ``single_ms``,
        ``single_ms_p90``, ``batch_ms_per_window`` and ``macro_f1``, how much less F1 that is than the checkpoint's
        (``macro_f1_loss``), and ``runs`` that have it; ``machines``; ``int8``, the methods of the form in 8 bits; and
        ``no_int8``, the reasons where there is none. None where no run was exported. Then a sentence for each file
        that is damaged.
    """
    found: list[dict[str, Any]] = []
    problems = []
    for run in runs:
        path = folder / run.folder / EXPORT
        if not path.is_file():
            continue
        try:
            found.append(_read(path))
        except (DataError, KeyError, TypeError, ValueError, AttributeError):
            problems.append(f"The cost of use of run {run.folder} is left out: {EXPORT.as_posix()} does not tell it.")
    return (_summed(found) if found else None), problems


def _read(path: Path) -> dict[str, Any]:
    """Return what one file says; a value that is missing or none that can be is a `KeyError` or `ValueError`."""
    content = read_json(path)
    forms = {}
    for name in [name for name in _FORMS if name in content["cost"] or name != _INT8]:
        values = {**content["cost"][name], "macro_f1": content["macro_f1"][name]}
        forms[name] = {key: float(values[key]) for key in _MEASURED}
        score = forms[name].pop("macro_f1")
        if not all(0 < value < math.inf for value in forms[name].values()) or not 0 <= score <= 1:
            raise ValueError(forms[name])
        forms[name]["macro_f1"] = score
    int8: Mapping[str, Any] = content["int8"]
    return {
        "forms": forms,
        "machine": str(content["machine"]),
        "int8": str(int8["method"]) if _INT8 in forms else None,
        "no_int8": None if _INT8 in forms else str(int8["why"]),
    }


def _summed(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the means of several runs' files."""
    forms: dict[str, dict[str, float]] = {}
    for name in _FORMS:
        own = [each["forms"] for each in found if name in each["forms"]]
        if own:
            forms[name] = {key: float(np.mean([each[name][key] for each in own])) for key in _MEASURED}
            loss = [each[_CHECKPOINT]["macro_f1"] - each[name]["macro_f1"] for each in own]
            forms[name] |= {"macro_f1_loss": float(np.mean(loss)), "runs": len(own)}
    several = {"machines": "machine", "int8": "int8", "no_int8": "no_int8"}
    listed = {key: sorted({each[entry] for each in found if each[entry]}) for key, entry in several.items()}
    return {"runs": len(found), "forms": forms, **listed}


def use_table(result: dict[str, Any]) -> Table | None:
    """Return what each form of each exported variant costs; None where nothing was exported.

    Args:
        result: What `har.evaluation.comparison.evaluate_study` returns.
    """
    used = {name: found["use"] for name, found in result["variants"].items() if found["use"]}
    if not used:
        return None
    columns = [Column("variant"), Column("form"), Column("kB", "seconds"), Column("one window, ms", "score")]
    columns += [Column("90th percentile, ms", "score"), Column("in a batch of 64, ms per window", "score")]
    columns += [Column("macro F1", "score"), Column("lost, F1 points", "points"), Column("runs exported", "count")]
    rows: list[list[Any]] = []
    for name, use in used.items():
        for form, entry in use["forms"].items():
            said = _FORMS[form] + (f" ({', '.join(use['int8'])})" if form == _INT8 else "")
            times = [entry[key] for key in ("single_ms", "single_ms_p90", "batch_ms_per_window")]
            ends = [entry["macro_f1"], entry["macro_f1_loss"], entry["runs"]]
            rows.append([name, said, entry["bytes"] / 1000, *times, *ends])
    machines = sorted({machine for use in used.values() for machine in use["machines"]})
    note = (
        "Means over the runs that were exported. Wall time of one thread, the forms of a run measured in turn, on"
        f" {'; '.join(machines)}; norms are folded in all but the checkpoint, whose file also holds the optimiser."
        " Macro F1 (present) is the mean over a run's own test subjects, and what is lost is lost against its"
        " checkpoint; a minus sign is a gain."
    )
    return Table("cost-of-use", "Cost of use", columns, rows, note)


def without_int8(result: dict[str, Any]) -> list[str]:
    """Return a sentence for each exported variant of which a run has no form in 8 bits, and why."""
    return [
        f"{name} has no form in 8 bits: {reason.rstrip('.')}."
        for name, found in result["variants"].items()
        if found["use"]
        for reason in found["use"]["no_int8"]
    ]
