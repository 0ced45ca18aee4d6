"""From the folders of finished studies to the CSV files of docs/results."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

from docs.findings import tables
from docs.findings.expected import expected_rows
from docs.findings.probing import probe_rows
from docs.findings.tables import Row
from har.errors import DataError
from har.evaluation.arms import RUNNING, parts_of
from har.evaluation.comparison import judge
from har.evaluation.gathering import Gathered, gather
from har.evaluation.measures import DEFAULT_POLICY, accuracy, f1, macro_f1


def studies_below(roots: Iterable[Path]) -> list[Path]:
    """Return the study folders below some folders of runs (ROOT/STUDY/DATA SET).

    Raises:
        DataError: There is none.
    """
    roots = list(roots)
    found = sorted({path.parent for root in roots for path in root.glob("*/*/study.json")})
    if not found:
        names = ", ".join(map(str, roots))
        raise DataError(f"there is no study below {names}.", "Name the folder that --runs of har study named.")
    return found


def is_finished(gathered: Gathered) -> bool:
    """Tell whether every declared run of a study counts, or has diverged, as it would again."""
    counted = {run.folder for run in gathered.runs} | {run.folder for run in gathered.diverged}
    return {entry["folder"] for entry in gathered.study["runs"]} <= counted


def key_of(gathered: Gathered) -> tuple[str, str]:
    """Return the names of a study and its data set; with other activities than all of them their number is added."""
    study = gathered.study
    chosen = study["protocol"].get("activities") or study["protocol"].get("null") == "unlabelled"
    data_set = f"{study['data_set']}-{len(gathered.activities)}" if chosen else str(study["data_set"])
    return str(study["name"]), data_set


def collect(roots: Iterable[Path], out: Path) -> list[str]:
    """Read every finished study and write what is known of it; other studies' rows stay as they are.

    A study that is there several times on one data set, as when its layers were measured apart with fewer repeats, is
    judged where it has most runs; its probes are those of the first place that has any.

    Args:
        roots: Folders of runs.
        out: Where the CSV files lie.

    Returns:
        A sentence for every study found.

    Raises:
        DataError: There is no study, or what there is cannot be read.
    """
    new: dict[str, list[Row]] = {name: [] for name in tables.COLUMNS}
    said: list[str] = []
    places: dict[tuple[str, str], list[tuple[Path, Gathered]]] = {}
    for folder in studies_below(roots):
        gathered = gather(folder, DEFAULT_POLICY)
        key = key_of(gathered)
        if is_finished(gathered):
            places.setdefault(key, []).append((folder, gathered))
        else:
            said.append(f"{' on '.join(key)}: left out, since not all of its runs are done ({folder}).")
    for (study, data_set), found in places.items():
        folder, gathered = max(found, key=lambda one: len(one[1].runs))
        ordered = [(folder, gathered), *(one for one in found if one[0] != folder)]
        probes, repeats = next((made for one in ordered if (made := probe_rows(*one))[0]), ([], 0))
        for name, rows in study_rows(folder, gathered, probes, repeats).items():
            new[name] += [{"study": study, "data_set": data_set, **row} for row in rows]
        said.append(f"{study} on {data_set}: {len(gathered.study['runs'])} runs.")
    for name, rows in new.items():
        tables.write(out, name, tables.put_together(tables.read(out, name), rows, set(places)))
    return said


def study_rows(
    folder: Path, gathered: Gathered, probes: list[dict[str, Any]], probed: int
) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of one study for each file, without its name and data set.

    Args:
        folder: The study's folder.
        gathered: Its runs.
        probes: What its probes come to.
        probed: In how many repeats they were measured.
    """
    result = judge(folder, gathered, DEFAULT_POLICY)
    has_own = result["why"]["probed"] > 0
    return {
        tables.STUDIES: [_study(gathered, probed)],
        tables.SCORES: _scores(gathered),
        tables.ACTIVITIES: _activities(gathered),
        tables.VARIANTS: _variants(result),
        tables.CONTRASTS: [_contrast(found) for found in result["contrasts"]],
        tables.ACTIVITY_CONTRASTS: _of_contrasts(result, "activities", tables.ACTIVITY_CONTRASTS),
        tables.PROBES: probes,
        tables.ASSOCIATIONS: _of_contrasts(result, "probes", tables.ASSOCIATIONS) if has_own else [],
        **(_target(result["target"]) if "target" in result else {}),
        tables.EXPECTED: expected_rows(gathered.runs),
    }


def _study(gathered: Gathered, probed: int) -> dict[str, Any]:
    """Return how a study was made."""
    study, records = gathered.study, [run.record for run in gathered.runs if parts_of(run.arm)[1] == RUNNING]
    protocol = study["protocol"]
    learner = protocol.get("learner", {}).get("init_args", {})
    seconds = [record["seconds"] for record in records]
    own = {
        key: protocol.get(key) for key in ("window_s", "step_s", "batch_size", "max_steps", "learning_rate", "scaling")
    }
    return own | {
        "question": study["question"],
        "file": _in_project(study.get("file", "")),
        "form": study.get("form", "whole"),
        "division": Path(str(protocol.get("folds", ""))).name,
        "fold_count": len(study["folds"]),
        "validation_subjects": protocol.get("validation_subjects"),
        "subjects": len({subject for fold in study["folds"] for subject in fold["test"]}),
        "repeats": study["repeats"],
        "runs": len(study["runs"]),
        "activities": "; ".join(gathered.activities),
        "rate_hz": records[0].get("rate_hz"),
        "filters": " ".join(map(str, learner.get("filters", []))),
        "kernel": learner.get("kernel"),
        "run_seconds": median(seconds),
        "machine": _distinct(record.get("machine") for record in records),
        "torch": _distinct((record.get("versions") or {}).get("torch") for record in records),
        "commit": _distinct(str(record.get("commit") or "")[:7] for record in records),
        "probed": probed,
    }


def _in_project(file: str) -> str:
    """Return a study file as it is named from the project's folder."""
    _, found, rest = file.rpartition("configs/")
    return found + rest if found else Path(file).name


def _distinct(values: Iterable[Any]) -> str:
    """Return the different values as a text."""
    return "; ".join(dict.fromkeys(str(value) for value in values if value))


def _scores(gathered: Gathered) -> list[dict[str, Any]]:
    """Return the scores of every subject in every run."""
    return [
        {
            **_arm(run.arm),
            "fold": run.fold,
            "subject": subject,
            "repeat": run.repeat,
            "windows": int(counts_KK.sum()),
            "accuracy": accuracy(counts_KK),
            "macro_f1": macro_f1(counts_KK, DEFAULT_POLICY),
        }
        for run in gathered.runs
        for subject, counts_KK in run.confusions.items()
    ]


def _activities(gathered: Gathered) -> list[dict[str, Any]]:
    """Return what every subject performs in every run, of the variants that a contrast names with running statistics.

    Other inferences are many times as many rows, and the text shows no activity of theirs.
    """
    pairs = [(found["a"], found["b"]) for found in gathered.study["contrasts"]]
    named = {name for pair in pairs for name in pair if _is_running(pair)}
    return [
        {
            **_arm(run.arm),
            "subject": subject,
            "repeat": run.repeat,
            "activity": activity,
            "true": int(counts_KK[k].sum()),
            "predicted": int(counts_KK[:, k].sum()),
            "right": int(counts_KK[k, k]),
            "f1": float(f1(counts_KK)[k]),
        }
        for run in gathered.runs
        if run.arm in named
        for subject, counts_KK in run.confusions.items()
        for k, activity in enumerate(run.activities)
        if counts_KK[k].any()
    ]


def _variants(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the scores of every arm over all its runs."""
    keys = [key for key in tables.COLUMNS[tables.VARIANTS] if key not in ("variant", "inference")]
    return [{**_arm(name), **{key: found[key] for key in keys}} for name, found in result["variants"].items()]


def _contrast(found: dict[str, Any]) -> dict[str, Any]:
    """Return one declared contrast."""
    low, high = found["interval"] or (None, None)
    return {key: found.get(key) for key in tables.COLUMNS[tables.CONTRASTS]} | {"low": low, "high": high}


def _of_contrasts(result: dict[str, Any], entry: str, name: str) -> list[dict[str, Any]]:
    """Return what is known of every contrast of variants by activity, or along with the probes."""
    rows = []
    for found in result["why"]["contrasts"]:
        pair = {key: found[key] for key in ("a", "b", "primary")}
        for row in found[entry] if _is_running((found["a"], found["b"])) else []:
            low, high = row["interval"] or (None, None)
            whole = {**pair, **row, "low": low, "high": high}
            rows.append({key: whole[key] for key in tables.COLUMNS[name]})
    return rows


def _target(target: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return how many steps variants take to a study's target."""
    variants, curves = [], []
    for name, own in target["variants"].items():
        variants.append(
            {
                "variant": name,
                **{key: target[key] for key in ("reference", "share")},
                **{key: own[key] for key in ("runs", "folds", "followed", "reached")},
                "limit_steps": target["limits"].get("steps"),
                "median_steps": own["median"]["steps"],
                "restricted_mean_steps": own["restricted_mean"]["steps"],
            }
        )
        curves += [{"variant": name, "step": step, "share": share} for step, share in own["curve"]]
    return {
        tables.TARGETS: variants,
        tables.TARGET_CURVES: curves,
        tables.TARGET_CONTRASTS: [_target_contrast(pair) for pair in target["contrasts"]],
    }


def _target_contrast(pair: dict[str, Any]) -> dict[str, Any]:
    """Return how the steps of two variants compare."""
    steps = pair["units"]["steps"]
    ratio, difference = (steps[f"{key}_interval"] or (None, None) for key in ("ratio", "difference"))
    return {
        **{key: pair[key] for key in ("a", "b", "folds", "folds_both", "sentence")},
        "ratio": steps["ratio"],
        "ratio_low": ratio[0],
        "ratio_high": ratio[1],
        "difference": steps["difference"],
        "difference_low": difference[0],
        "difference_high": difference[1],
    }


def _is_running(pair: tuple[str, str]) -> bool:
    """Tell whether both arms of a contrast predict with running statistics."""
    return {parts_of(name)[1] for name in pair} == {RUNNING}


def _arm(name: str) -> dict[str, str]:
    """Return variant and inference of an arm."""
    variant, inference = parts_of(name)
    return {"variant": variant, "inference": inference}
