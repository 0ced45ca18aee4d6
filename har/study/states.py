"""Which runs of a plan are there, from the run folders alone; and the refusal to mix two configurations."""

from __future__ import annotations

import enum
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from har.errors import DataError, UsageError
from har.evaluation.predictions import predictions_file
from har.evaluation.probes import PROBES
from har.evaluation.scores import scores_file
from har.norms.inferences import RUNNING
from har.study.runs import PlannedRun
from har.training.stored import read_run
from har.windows.splits import Fold

_SHOWN_KEYS = 5
_PARQUET = b"PAR1"  # the first and the last four bytes of every Parquet file
_REASONS = {
    "config": "its settings are not the ones asked for now",
    "data": "the data set was prepared anew, with another content",
    "split": "its subjects are divided in another way",
}


class State(enum.StrEnum):
    """Where a run stands.

    DONE: finished, with the configuration, data and split that are asked for, and its results are there.
    DAMAGED: finished likewise, but results are missing or cut off; is made again from the start.
    LACKING: finished likewise, but without some of the inferences asked for; these are predicted, nothing is trained.
    CUT_OFF: interrupted; goes on from its last checkpoint.
    FAILED: ended with an error; is made again from the start.
    DIVERGED: training diverged with the configuration, data and split asked for, as it would again. Of a trial that is
        the outcome; any other run is reported as failed at every start, and made again when its folder is deleted.
    MISSING: not begun, or nothing of use is left of it.
    """

    DONE = "done"
    DAMAGED = "damaged"
    LACKING = "lacks predictions"
    CUT_OFF = "cut off"
    FAILED = "failed"
    DIVERGED = "diverged"
    MISSING = "missing"

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to be made."""
        return self in (State.DONE, State.DIVERGED)

    @property
    def goes_on(self) -> bool:
        """Whether what there is of the run is kept, and the run goes on from it."""
        return self in (State.CUT_OFF, State.LACKING)


Identity = Callable[[dict[str, Any], Fold], Mapping[str, str]]


def states(runs: Iterable[PlannedRun], identity: Identity) -> list[State]:
    """Look at every run's folder.

    Args:
        runs: The planned runs.
        identity: Returns the hashes of configuration, data and split that a run must have. Is asked only about runs
            that have been begun, since it reads the store.

    Returns:
        One state per run.

    Raises:
        UsageError: A finished run was made with something else; names the run, what differs and the settings.
        DataError: A run's record is damaged.
    """
    return [_state(run, identity) for run in runs]


def _state(run: PlannedRun, identity: Identity) -> State:
    """Return the state of one run; see `states`."""
    record = read_record(run.folder)
    if record is None:
        return State.MISSING
    wanted = identity(run.config, run.fold)
    differing = [name for name, value in wanted.items() if record.get("hashes", {}).get(name) != value]
    other_probes = record.get("probes") != run.config.get("probes")
    if record["status"] == "done":
        if differing:
            raise _changed(run, differing)
        if other_probes and run.config.get("probes"):
            raise _unprobed(run, record)
        if lost_files(run):
            return State.DAMAGED
        return State.LACKING if lacking(run) else State.DONE
    if record["status"] == "failed":
        return State.DIVERGED if record.get("diverged") is True and not differing else State.FAILED
    resumable = not (differing or other_probes) and _is_whole(run.folder / "checkpoints" / "last.ckpt")
    return State.CUT_OFF if resumable else State.MISSING


def has_diverged(run: PlannedRun) -> bool:
    """Return whether the training of a run diverged, by its record."""
    return (read_record(run.folder) or {}).get("diverged") is True


def lacking(run: PlannedRun) -> list[str]:
    """Return the inferences asked for that a finished run has not made."""
    made = (read_record(run.folder) or {}).get("inferences", [RUNNING])
    return [name for name in run.config["inferences"] if name not in made]


def lost_files(run: PlannedRun) -> list[str]:
    """Return which results of a finished run are missing, empty or cut off, relative to its folder."""
    absent = lacking(run)
    made = [name for name in run.config["inferences"] if name not in absent]
    tables = [*(predictions_file(name) for name in made), Path("truth.parquet")]
    tables += [Path(PROBES)] if run.config.get("probes") else []
    lost = [table for table in tables if not _is_parquet(run.folder / table)]
    scores = scores_file(RUNNING)
    path = run.folder / scores
    if not path.is_file() or path.stat().st_size == 0:
        lost.append(scores)
    return [file.as_posix() for file in lost]


def _is_parquet(path: Path) -> bool:
    """Return whether a Parquet file is there from its first to its last bytes."""
    try:
        with path.open("rb") as file:
            first = file.read(len(_PARQUET))
            file.seek(-len(_PARQUET), os.SEEK_END)
            return first == _PARQUET == file.read() and path.stat().st_size > 2 * len(_PARQUET)
    except OSError:  # missing, or too short to go back in
        return False


def _is_whole(checkpoint: Path) -> bool:
    """Return whether a checkpoint (a zip archive) is there to its last byte, after whatever cut its run off."""
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is None
    except Exception:  # noqa: BLE001 - zipfile raises many kinds for bytes that are no archive
        return False


def read_record(folder: Path) -> dict[str, Any] | None:
    """Return a run folder's ``run.json``, None when there is none.

    Raises:
        DataError: The file is no record of a run. (A run writes it whole or not at all.)
    """
    if not (folder / "run.json").is_file():
        return None
    try:
        return read_run(folder)
    except DataError as error:
        raise DataError(error.what, f"Delete {folder}; the study makes it again.") from None


def clear(run: PlannedRun, state: State) -> None:
    """Remove what an unfinished or damaged run left behind, so that it can begin anew.

    Args:
        run: The run.
        state: Where it stands. A finished run that is not damaged is never removed.

    Raises:
        UsageError: The folder has content, but no record of a run: it may be somebody's own.
    """
    folder = run.folder
    if not folder.exists():
        return
    record = read_record(folder)
    if record is None and any(path.is_file() and not _is_early(path.name) for path in folder.rglob("*")):
        raise UsageError(
            f"{folder} has files, but no run.json: it is not known to be a run.",
            "Move it away or delete it, then start the study again.",
        )
    if record is not None and record["status"] == "done" and state is not State.DAMAGED:
        raise UsageError(f"{folder} is a finished run, which is never overwritten.", "Delete it, if it is to go.")
    shutil.rmtree(folder)


def _is_early(name: str) -> bool:
    """Return whether a file is one of those that a run writes before its record."""
    return name in {".lock", "config.yaml", "fold.json", "transitions.json"} or name.endswith(".part")


def _changed(run: PlannedRun, differing: Sequence[str]) -> UsageError:
    """Build the error for a finished run that was made with something else."""
    what = f"the finished run {run.folder} cannot be counted: {'; '.join(_REASONS[name] for name in differing)}."
    error = UsageError(what, "Use another place with --runs FOLDER, or delete that study's folder to begin anew.")
    if "config" in differing:
        changes = list(differences(_saved_config(run.folder), run.config))
        more = f" and {len(changes) - _SHOWN_KEYS} more" if len(changes) > _SHOWN_KEYS else ""
        error.add_note("; ".join(changes[:_SHOWN_KEYS]) + more if changes else "run.json has other hashes")
    return error


def _unprobed(run: PlannedRun, record: Mapping[str, Any]) -> UsageError:
    """Build the error for a finished run that was not measured as is asked for now; it is not made again unasked."""
    how = "with other probes" if record.get("probes") else "without probes, which are measured while a run trains"
    return UsageError(
        f"the finished run {run.folder} was made {how}.",
        "Leave --probes out to count it as it is; or use another place with --runs FOLDER, or delete that study's "
        "folder: the runs then come out the same, with their probes.",
    )


def _saved_config(folder: Path) -> Any:
    """Return the run's own configuration, None when it cannot be read."""
    try:
        return yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError):
        return None


def differences(before: Any, now: Any, key: str = "") -> Iterator[str]:
    """Yield ``key: before, now asked for: now`` for every setting in which two configurations differ."""
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted({*before, *now}):
            yield from differences(before.get(name), now.get(name), f"{key}.{name}" if key else str(name))
    elif before != now:
        yield f"{key} was {before!r} and is {now!r} now"
