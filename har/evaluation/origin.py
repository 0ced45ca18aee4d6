"""Where a page comes from: the protocol, the provenance of its runs, and the commands that make it again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

from har.evaluation.arms import inferences_of, parts_of
from har.evaluation.gathering import Gathered
from har.evaluation.measures import DEFAULT_POLICY

_WORDS = {"window_s": "window, s", "step_s": "step, s", "min_purity": "minimum purity", "rate_hz": "rate, Hz"}


def protocol(result: dict[str, Any], gathered: Gathered) -> dict[str, str]:
    """Return how a study was made, as names and texts."""
    study = gathered.study
    subjects = {subject for fold in study["folds"] for subject in fold["test"]}
    box = {
        "data set": str(study["data_set"]),
        "subjects": str(len(subjects)),
        "folds": f"{len(study['folds'])} ({study['protocol'].get('folds', 'as listed in folds.json')})",
        "repeats": str(study["repeats"]),
        "runs": f"{result['runs']['counted']} of {result['runs']['declared']} count",
    }
    box |= named({name: value for name, value in study["protocol"].items() if name != "folds"})
    if study["protocol"].get("activities", 0) is None:
        box["activities"] = "all of the data set"
    if len(inferences_of(study)) > 1:
        box["statistics at inference"] = ", ".join(inferences_of(study))
    is_last = takes_last_step(study["protocol"])
    chosen = "those of the last step, the one evaluation" if is_last else "best validation macro F1"
    box["selection of weights"] = f"{chosen}; the test subjects are scored once, with those weights"
    fitted = list(dict.fromkeys(parts_of(run.arm)[0] for run in gathered.runs if run.at_once))
    if fitted:
        box["fitted at once"] = (
            f"{', '.join(fitted)}: without steps, batches or a learning rate; validation macro F1 chooses of what the"
            " head tries"
        )
    box["absent activities"] = f"policy {result['policy']} per subject, all activities where pooled"
    per = "repeat, the same in every fold" if result["shared_seeds"] else "fold and repeat"
    own = [name for name, settings in study["variants"].items() if "seed_offset" in settings]
    shared = f"all variants but {', '.join(own)} share them" if own else "all variants share them"
    box["seeds"] = f"from {study.get('seed')}, one per {per}; {shared}"
    for part in ("validation", "test"):
        box[f"activities missing from {part}"] = _missing(gathered, part)
    return box


def takes_last_step(settings: Mapping[str, Any]) -> bool:
    """Return whether the last step's weights are a run's own: it is the one evaluation, so nothing is chosen.

    Args:
        settings: With ``max_steps`` and ``val_check_interval``; where variants differ in these, they may be missing.
    """
    steps = settings.get("max_steps")
    return steps is not None and steps == settings.get("val_check_interval")


def named(values: Mapping[str, Any]) -> dict[str, str]:
    """Return settings as a reader would write them: names without underscores, values as words."""
    return {_WORDS.get(name, name.replace("_", " ")): words(value) for name, value in values.items()}


def words(value: Any) -> str:
    """Return a value of the protocol as a reader would write it; an object as its class and its settings."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        settings = value.get("init_args", {name: entry for name, entry in value.items() if name != "class_path"})
        said = [str(value["class_path"]).rpartition(".")[2]] if "class_path" in value else []
        if isinstance(settings, dict):
            said += [f"{str(name).replace('_', ' ')} {words(entry)}" for name, entry in settings.items()]
        return ", ".join(said)
    if isinstance(value, list):
        return " ".join(words(entry) for entry in value)
    return str(value)


def provenance(records: list[dict[str, Any]]) -> dict[str, str]:
    """Return what runs were made from and on, as names and texts; several values are all listed.

    Args:
        records: The content of each run's `run.json`.
    """
    hashes = [record.get("hashes") or {} for record in records]
    versions = [record.get("versions") or {} for record in records]
    box = {
        "data (SHA-256)": _values(found.get("data") for found in hashes),
        "splits (SHA-256)": _values((found.get("split") for found in hashes), most=1),
        "commit": _values(record.get("commit") for record in records),
        "threads per run": _values(record.get("threads") for record in records),
        "machine": _values(record.get("machine") for record in records),
    }
    for name in sorted({name for found in versions for name in found}):
        box[name] = _values(found.get(name) for found in versions)
    times = [record[key] for record in records for key in ("started", "finished") if record.get(key)]
    if times:
        box["made"] = f"{min(times)} to {max(times)}"
    return box


def study_commands(folder: Path, study: dict[str, Any], policy: str) -> list[tuple[str, str]]:
    """Return the commands that make a study and its pages again, each with what it does; the last one is the page's."""
    command = str(study.get("command") or "har study FILE.yaml")
    place, where = _place(folder, study, command)
    option = "" if policy == DEFAULT_POLICY else f" --policy {policy}"
    return [
        ("all runs that are missing, then this report", command),
        (f"scores and contrasts, from the runs on disk{where}", f"har evaluate {place}{option}"),
        (f"this report, from the runs on disk{where}", f"har report {place}{option}"),
    ]


def _place(folder: Path, study: dict[str, Any], command: str) -> tuple[str, str]:
    """Return the study's folder as a command names it, and the words that say from where.

    The folder is named as the study's own command names it: below its --runs, or below ./runs. A study that lies
    elsewhere without that option (by $HAR_RUNS, or moved) is named from within.
    """
    own = Path(study["name"], study["data_set"])
    try:
        parts = shlex.split(command)
    except ValueError:  # a quote without its other half, in a file changed by hand
        parts = []
    root = next((value for name, value in pairwise(parts) if name == "--runs"), None)
    if root is None and folder.resolve().parts[-3:] != ("runs", *own.parts):
        return ".", ", from within this folder"
    return shlex.quote((Path(root or "runs") / own).as_posix()), ""


def _missing(gathered: Gathered, part: str) -> str:
    """Return how many runs have no window of some activity in a part of their data, and of which activities."""
    records = {run.folder: run.record for run in gathered.runs}  # a run counts once, however many inferences it has
    stated = [found[part] for record in records.values() if part in (found := record.get("classes_missing") or {})]
    runs = sum(bool(names) for names in stated)
    if not runs:
        return "none" if stated else "not stated"
    counts = Counter(name for names in stated for name in names)
    return f"{runs} of {len(stated)} runs: " + ", ".join(f"{name} ({count})" for name, count in counts.most_common())


def _values(found: Iterable[Any], most: int = 3) -> str:
    """Return the distinct values as a text, the first few of them."""
    distinct = list(dict.fromkeys(str(value) for value in found if value is not None))
    more = f" and {len(distinct) - most} more" if len(distinct) > most else ""
    return (", ".join(distinct[:most]) + more) or "not stated"
