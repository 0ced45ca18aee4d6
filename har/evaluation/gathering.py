"""A study's runs, gathered from its folder and scored.

Reads `study.json` and the run folders that it lists, nothing else. A run counts when its `run.json` says done and its
files bear that out; every other one is listed as a problem, and nothing is put in its place. One whose training
diverged has no predictions, but a learning curve: it is kept apart, for those who ask how long training takes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from har.errors import DataError, HarError, candidates
from har.evaluation.arms import RUNNING, arm, arms, inferences_of, parts_of
from har.evaluation.counts import Counts, count, natural
from har.evaluation.kinds import LISTED, NAMES, STUDY, TARGET, TUNED, damage_of, misfit, misnamed, wrong_entry
from har.evaluation.measures import DEFAULT_POLICY
from har.evaluation.scores import read_run, scores_file, summary
from har.evaluation.tuning_tables import tuning_tables
from har.files import parse_json, write_json

_STUDY_KEYS = ("name", "question", "data_set", "variants", "contrasts", "repeats", "folds", "protocol", "runs", "notes")
_WRITE_AGAIN = "Write it again: har study FILE.yaml"


@dataclass(frozen=True)
class Run:
    """One finished run of a study under one inference, scored.

    Attributes:
        arm: Name of its variant and inference, see `har.evaluation.arms`.
        fold: Name of its fold.
        repeat: Its repeat.
        folder: Its folder, relative to the study's.
        record: The content of its `run.json`.
        counts: What is counted of its predictions.
        windows: Digest of what was predicted: recording, interval and truth of every window.
        curve: The content of its `metrics.jsonl`.
    """

    arm: str
    fold: str
    repeat: int
    folder: str
    record: dict[str, Any]
    counts: Counts
    windows: str
    curve: list[dict[str, Any]]

    @property
    def activities(self) -> list[str]:
        """K names."""
        return self.counts.activities

    @property
    def at_once(self) -> bool:
        """Whether its features were fitted at once, so that it has no optimiser steps."""
        return bool(self.record.get("at_once"))

    @property
    def confusions(self) -> Mapping[str, np.ndarray]:
        """Subject to int64 (activities, activities), rows true."""
        return self.counts.confusions


@dataclass(frozen=True)
class DivergedRun:
    """A run of a study whose training diverged, as it would again.

    Attributes:
        arm: Name of its variant, under running statistics.
        fold: Name of its fold.
        repeat: Its repeat.
        folder: Its folder, relative to the study's.
        record: The content of its `run.json`.
        curve: The content of its `metrics.jsonl`: the evaluations before the divergence, perhaps none.
        max_steps: The optimiser steps that it was to make.
    """

    arm: str
    fold: str
    repeat: int
    folder: str
    record: dict[str, Any]
    curve: list[dict[str, Any]]
    max_steps: int


@dataclass(frozen=True)
class Gathered:
    """A study as found on disk.

    Attributes:
        study: The content of `study.json`.
        runs: The runs that count, once for each inference.
        problems: One sentence for every run that does not.
        activities: K names, shared by all runs that count; empty when none does.
        tuning: The content of `tuning.json`, if the study tunes a setting and it is there.
        fewer: Where every fold is there with several numbers of training subjects, the same study with each smaller
            number, ascending; everything else is then of the largest.
        diverged: The runs whose training diverged; each is a problem too.
    """

    study: dict[str, Any]
    runs: list[Run]
    problems: list[str]
    activities: list[str]
    tuning: dict[str, Any] | None = None
    fewer: tuple[tuple[int, Gathered], ...] = ()
    diverged: tuple[DivergedRun, ...] = ()

    @property
    def arms(self) -> list[str]:
        """Every pair of variant and inference of the study, by name."""
        return arms(self.study["variants"], inferences_of(self.study))

    def of(self, name: str) -> list[Run]:
        """Return the runs of one arm."""
        return [run for run in self.runs if run.arm == name]


def load_study(folder: Path) -> dict[str, Any]:
    """Read the `study.json` of a study folder.

    Raises:
        DataError: When the folder or the file is missing, damaged or lacks an entry. Names the studies nearby.
    """
    path = folder / "study.json"
    if not path.is_file():
        what = "has no study.json, so it is no study" if folder.is_dir() else "does not exist"
        near = studies_near(folder)
        hint = f"Studies here: {', '.join(near[:8])}." if near else "A study is made by: har study FILE.yaml"
        raise DataError(f"{folder} {what}.", hint)
    study = read_json(path)
    missing = [key for key in _STUDY_KEYS if key not in study] if isinstance(study, dict) else list(_STUDY_KEYS)
    if missing:
        raise DataError(f"{path}: entry {missing[0]!r} is missing.", _WRITE_AGAIN)
    empty = [f"entry {key!r} is empty" for key in _STUDY_KEYS if study[key] is None]
    if wrong := next(iter(empty), None) or misfit(study, STUDY) or _wrong_within(study):
        raise DataError(f"{path}: {wrong}.", _WRITE_AGAIN)
    _check_lists(path, study)
    return dict(study)


def _wrong_within(study: dict[str, Any]) -> str | None:
    """Return what is wrong within an entry, or with one that not every study has, None where nothing is."""
    for name, settings in study["variants"].items():
        if not isinstance(settings, dict):
            return f"variant {name!r} is {str(settings)[:60]!r}, not a mapping"
    if "target" in study and (wrong := wrong_entry(study["target"], TARGET, ())) is not None:
        return f"target {wrong}"
    numbers, size = study["protocol"].get("train_subjects") or [], study["protocol"].get("batch_size")
    if not isinstance(numbers, list) or not all(type(number) is int for number in numbers):
        return f"train_subjects is {str(numbers)[:60]!r}, not a list of whole numbers"
    if size is not None and (type(size) is not int or size < 1):
        return f"batch_size is {str(size)[:60]!r}, not a whole number above 0"
    return misnamed(study, ("inferences", "notes")) or misfit(study.get("tuning") or {}, TUNED)


def _check_lists(path: Path, study: dict[str, Any]) -> None:
    """Raise a `DataError` where a list of a study lacks what it needs, or names a fold or variant that is not there."""
    for name, kinds in LISTED.items():
        for place, entry in enumerate(study[name]):
            wrong = wrong_entry(entry, kinds, NAMES.get(name, ()))
            if wrong is not None:
                raise DataError(f"{path}: entry {name}[{place}] {wrong}.", _WRITE_AGAIN)
    known = {"fold": [fold["name"] for fold in study["folds"]], "variant": list(study["variants"])}
    named = [(f"runs[{place}]", key, run[key]) for place, run in enumerate(study["runs"]) for key in known]
    for place, found in enumerate(study["contrasts"]):
        named += [(f"contrasts[{place}]", "variant", parts_of(found[side])[0]) for side in ("a", "b")]
    for where, key, name in named:
        if name not in known[key]:
            raise DataError(
                f"{path}: entry {where} is of {key} {name!r}, which is not among the {key}s.",
                candidates(name, known[key]),
            )


def gather(folder: Path, policy: str = DEFAULT_POLICY) -> Gathered:
    """Read and score every run of a study, and write each run's `scores.json` and `scores-<inference>.json`.

    Args:
        folder: The study's folder.
        policy: The policy of absent activities for the headline of each run.

    Returns:
        The runs that count, and why the others do not.

    Raises:
        DataError: When the folder is no study.
    """
    study = load_study(folder)
    runs: list[Run] = []
    diverged: list[DivergedRun] = []
    tuning, problems = _read_tuning(folder, study)
    tested = {fold["name"]: set(fold["test"]) for fold in study["folds"]}
    for entry in study["runs"]:
        try:
            record = _finished(folder / entry["folder"])
        except HarError as error:
            problems.append(f"Run {entry['folder']} does not count: {error.what.rstrip('.')}.")
            diverged += _diverged(folder, entry)
            continue
        for inference in inferences_of(study):
            try:
                run = _read_entry(folder, entry, record, inference, tested[entry["fold"]], policy)
                if runs and run.activities != runs[0].activities:
                    raise DataError(f"its activities differ from those of {runs[0].folder}")
                runs.append(run)
            except HarError as error:
                which = "" if inference == RUNNING else f" under {inference}"
                problems.append(f"Run {entry['folder']} does not count{which}: {error.what.rstrip('.')}.")
    activities = runs[0].activities if runs else []
    return _by_training_subjects(Gathered(study, runs, problems, activities, tuning, diverged=tuple(diverged)))


def _by_training_subjects(whole: Gathered) -> Gathered:
    """Set runs of folds with fewer training subjects apart, where the protocol has several numbers of them."""
    numbers = sorted(whole.study["protocol"].get("train_subjects") or [])
    if len(numbers) < 2:
        return whole
    parts = [_with_training_subjects(whole, number) for number in numbers]
    return replace(parts[-1], problems=whole.problems, fewer=tuple(zip(numbers[:-1], parts[:-1], strict=True)))


def _with_training_subjects(whole: Gathered, number: int) -> Gathered:
    """Return a study as if it had only the folds with one number of training subjects."""
    folds = [fold for fold in whole.study["folds"] if len(fold["train"]) == number]
    names = {fold["name"] for fold in folds}
    study = {**whole.study, "folds": folds, "runs": [run for run in whole.study["runs"] if run["fold"] in names]}
    runs = [run for run in whole.runs if run.fold in names]
    diverged = tuple(run for run in whole.diverged if run.fold in names)
    return replace(whole, study=study, runs=runs, problems=[], diverged=diverged)


def _read_tuning(folder: Path, study: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """Read what a study has tuned, if anything; a sentence where that cannot be read."""
    if "tuning" not in study:
        return None, []
    path = folder / "tuning.json"
    try:
        found = dict(read_json(path))
        for table in tuning_tables(found):
            table.csv()  # where it cannot be shown, something is not what it must be
    except DataError as error:
        return None, [f"What was tuned is not shown: {error.what.rstrip('.')}."]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return None, [f"What was tuned is not shown: {path} is damaged ({type(error).__name__}: {error})."]
    return found, []


def read_json(path: Path) -> Any:
    """Read a JSON file; a missing or damaged one is a `DataError`."""
    try:
        return parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(f"{path.name} is missing", f"Looked for {path}.") from None
    except (ValueError, OSError) as error:
        raise DataError(f"{path} is damaged ({error}).", "Restore it, or make the study again.") from error


def studies_near(folder: Path) -> list[str]:
    """Return the studies that a folder has to do with.

    These are the studies that it lies in and those at most two folders below it. A folder that does not exist may be
    mistyped: then they are those below the folder it would lie in whose names are near, else those directly in there.
    """
    above = [place for place in (folder, *folder.parents) if place.is_dir()]
    found = [place for place in above[:4] if (place / "study.json").is_file()]  # run / fold / variant / study
    for start in above[:1]:
        below = {
            path.parent: path.parent.relative_to(start).parts[0]
            for depth in ("*", "*/*")
            for path in sorted(start.glob(f"{depth}/study.json"))
        }
        typed = folder.parts[len(start.parts) :]  # what does not exist
        near = get_close_matches(typed[0], set(below.values())) if typed else []
        found += [place for place, name in below.items() if not typed or (name in near if near else place.name == name)]
    return list(dict.fromkeys(str(place) for place in found))


def _finished(place: Path) -> dict[str, Any]:
    """Return the record of a run that is done; raise a `DataError` that says why it does not count."""
    if not (place / "run.json").is_file():
        raise DataError("it was never finished (there is no run.json)")
    record = read_json(place / "run.json")
    if (wrong := damage_of(record)) is not None:
        raise DataError(f"its run.json is damaged ({wrong})")
    if record.get("status") != "done":
        reason = " ".join(str(record.get("error") or "").split())
        raise DataError(f"its status is {record.get('status')}" + (f" ({reason})" if reason else ""))
    return dict(record)


def _diverged(folder: Path, entry: dict[str, Any]) -> list[DivergedRun]:
    """Return a run that does not count as a diverged one, if it is that and its curve and its budget can be read."""
    place = folder / entry["folder"]
    try:
        record = read_json(place / "run.json")
        if record.get("diverged") is not True:
            return []
        config = yaml.safe_load((place / "config.yaml").read_text(encoding="utf-8"))
        steps, curve = int(config["trainer"]["max_steps"]), read_curve(place / "metrics.jsonl")
    except (HarError, OSError, yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError):
        return []  # that the run does not count has been said
    name = arm(entry["variant"], RUNNING)
    return [DivergedRun(name, entry["fold"], int(entry["repeat"]), entry["folder"], record, curve, steps)]


def _read_entry(
    folder: Path, entry: dict[str, Any], record: dict[str, Any], inference: str, tested: set[str], policy: str
) -> Run:
    """Read and score one inference of a run; raise a `DataError` that says why it does not count."""
    place = folder / entry["folder"]
    frame, truth = read_run(place, inference)
    if (made := record.get("test_windows", len(frame))) != len(frame):
        raise DataError(f"it has predictions of {len(frame)} windows, where run.json counts {made}")
    counts = count(frame, truth)
    strangers = sorted(set(counts.confusions) ^ tested, key=natural)
    if strangers:
        raise DataError(f"its windows are not those of its test subjects (subject {strangers[0]})")
    scores = summary(counts, policy)
    path = place / scores_file(inference)
    if not _holds(path, scores):  # a study may have a thousand runs, and a write waits for the disk
        write_json(path, scores)
    return Run(
        arm=arm(entry["variant"], inference),
        fold=entry["fold"],
        repeat=int(entry["repeat"]),
        folder=entry["folder"],
        record=record,
        counts=counts,
        windows=_digest(frame),
        curve=read_curve(place / "metrics.jsonl"),
    )


def _holds(path: Path, value: Any) -> bool:
    """Tell whether a JSON file is there and holds a value already."""
    try:
        return bool(parse_json(path.read_text(encoding="utf-8")) == value)
    except (OSError, ValueError):
        return False


def read_curve(path: Path) -> list[dict[str, Any]]:
    """Read a run's learning curve; a run without one has none."""
    if not path.is_file():
        return []
    try:
        points = [parse_json(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error})") from error
    if not all(isinstance(point, dict) and "step" in point for point in points):
        raise DataError(f"{path} is damaged (a line is no evaluation with a step)")
    return points


def _digest(frame: pd.DataFrame) -> str:
    """Return a hash of which windows of whom were predicted and what their truth is, whatever the order of the rows."""
    recording_N, start_N, end_N = (frame[name].to_numpy() for name in ("recording", "start_s", "end_s"))
    order = np.lexsort((end_N, start_N, recording_N))
    digest = hashlib.sha256()
    digest.update(recording_N[order].astype(np.int64).tobytes())
    for time_N in (start_N, end_N):
        digest.update(np.rint(time_N[order] * 1e6).astype(np.int64).tobytes())  # microseconds
    for name in ("subject", "truth"):
        digest.update(json.dumps(frame[name].to_numpy()[order].tolist()).encode())
    return digest.hexdigest()
