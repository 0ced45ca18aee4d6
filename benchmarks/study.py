"""Times a study beside the plain stack that makes the same runs: python -m benchmarks.study.

What is compared, and why, stands in benchmarks/README.md. It needs SPAR, which `har study` prepares by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.timing import Comparison, compare
from har.study.definition import load_study
from har.study.plan import Options, Plan, make_plan
from har.windows.prepare import open_store
from har.windows.splits import save_folds

_STUDY = Path(__file__).with_name("placement.yaml")
_THREADS = (1, 2)  # the plain stack is run with each; the faster one counts


@dataclass(frozen=True)
class Timed:
    """What one side took and found.

    Attributes:
        wall_s: From its start to its end, imports included.
        cpu_s: Processor seconds of all its processes.
        macro_f1: Mean over the test subjects, by variant.
    """

    wall_s: float
    cpu_s: float
    macro_f1: dict[str, float]


def measure(rounds: int = 1, folds: int | None = None, steps: int | None = None) -> dict[str, Comparison]:
    """Make the study with each side in turn, print what it took and return the ratios by name.

    Args:
        rounds: How often; each round starts from nothing.
        folds: Number of folds, all when None.
        steps: Steps of a run, those of the experiment when None.
    """
    overrides = {} if steps is None else {"trainer.max_steps": steps}
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        file = _study_file(place, folds)
        plan = make_plan(load_study(file), Options(overrides=overrides))
        _plain_inputs(plan, place)
        found: dict[str, list[Timed]] = {}
        for number in range(rounds):
            for threads in _THREADS:
                found.setdefault(f"plain, {threads} threads", []).append(_plain(place, number, threads))
            found.setdefault("har", []).append(_har(file, plan, place / f"har-{number}"))
    return _judged(found, len(plan.runs))


def _study_file(place: Path, folds: int | None) -> Path:
    """Return the shipped study, or a copy of it with its first folds alone."""
    if folds is None:
        return _STUDY
    study = yaml.safe_load(_STUDY.read_text(encoding="utf-8"))
    save_folds(place / "folds.json", list(make_plan(load_study(_STUDY)).folds[:folds]))
    study |= {"base": str((_STUDY.parent / study["base"]).resolve()), "protocol": {"folds": "folds.json"}}
    file = place / "study.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    return file


def _plain_inputs(plan: Plan, place: Path) -> None:
    """Write data and runs of the plan as the plain stack reads them."""
    config = plan.runs[0].config
    store = open_store(plan.data_set, config["data"]["root"])
    recordings = {name: store.recordings[name].to_numpy() for name in ("start", "stop")}
    subjects = store.recordings["subject"].to_numpy(str)
    np.savez(place / "data.npz", signal=store.signal_TC, label=store.label_T, subject=subjects, **recordings)
    runs = [
        {
            "name": f"{run.variant}-{run.fold.name}-{run.repeat}",
            "placement": run.config["model"]["norm"]["placement"],
            "seed": run.config["seed_everything"],
            **{part: list(getattr(run.fold, part)) for part in ("train", "validation", "test")},
        }
        for run in plan.runs
    ]
    network = config["model"]["learner"]["init_args"]
    settings = {
        "samples": round(config["data"]["window_s"] * store.rate_hz),
        "step": round(config["data"]["step_s"] * store.rate_hz),
        **{key: network[key] for key in ("filters", "kernel", "pool")},
        "batch_size": config["data"]["batch_size"],
        **{key: config["trainer"][key] for key in ("max_steps", "val_check_interval")},
        **{key: config["model"][key] for key in ("learning_rate", "weight_decay")},
    }
    (place / "runs.json").write_text(json.dumps({"settings": settings, "runs": runs}), encoding="utf-8")


def _plain(place: Path, number: int, threads: int) -> Timed:
    """Let the plain stack make all runs."""
    folder = place / f"plain-{threads}-{number}"
    folder.mkdir()
    script = Path(__file__).with_name("plain.py")
    command = [sys.executable, script, place / "data.npz", place / "runs.json", folder, "--threads", threads]
    wall_s, cpu_s = _timed(command, {"OMP_NUM_THREADS": str(threads)})
    scores: dict[str, list[float]] = {}
    for result in json.loads((folder / "results.json").read_text(encoding="utf-8")):
        scores.setdefault(result["name"].split("-")[0], []).append(result["macro_f1"])
    return Timed(wall_s, cpu_s, {variant: statistics.mean(values) for variant, values in scores.items()})


def _har(file: Path, plan: Plan, runs: Path) -> Timed:
    """Let the project make the study: runs, evaluation and report."""
    command = [sys.executable, "-m", "har", "study", file, "--runs", runs, "--jobs", 2]
    for key, value in (plan.options.overrides or {}).items():
        command += ["--set", f"{key}={value}"]
    wall_s, cpu_s = _timed(command, {})
    content = json.loads((runs / plan.study.name / plan.data_set / "contrasts.json").read_text(encoding="utf-8"))
    return Timed(wall_s, cpu_s, {name: found["macro_f1"] for name, found in content["variants"].items()})


def _timed(command: list[Any], environment: dict[str, str]) -> tuple[float, float]:
    """Return wall and processor seconds of a command and its children."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(  # noqa: S603 - our own scripts
        [str(word) for word in command],
        check=True,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - wall, cpu


def _judged(found: dict[str, list[Timed]], runs: int) -> dict[str, Comparison]:
    """Print what the sides took and found, and return how much faster the project is."""
    print(f"{f'study of {runs} runs':20}{'wall s':>9}{'CPU s':>9}   mean macro F1 by variant")
    middles = {side: statistics.median(timed.wall_s for timed in all_timed) for side, all_timed in found.items()}
    for side, all_timed in found.items():
        cpu_s = statistics.median(timed.cpu_s for timed in all_timed)
        scores = "  ".join(f"{variant} {score:.4f}" for variant, score in all_timed[0].macro_f1.items())
        print(f"{side:20}{middles[side]:9.1f}{cpu_s:9.1f}   {scores}")
    plain = min((side for side in found if side != "har"), key=middles.__getitem__)
    described = {side: _described(all_timed) for side, all_timed in found.items()}
    own, other = found["har"], found[plain]
    differences = [abs(own[0].macro_f1[variant] - score) for variant, score in other[0].macro_f1.items()]
    one_thread = found[f"plain, {_THREADS[0]} threads"]
    compared = {
        "study: wall": compare(
            [timed.wall_s for timed in other], [timed.wall_s for timed in own], f"times as fast as {plain}", **described
        ),
        "study: processor": compare(
            [timed.cpu_s for timed in one_thread],
            [timed.cpu_s for timed in own],
            "times less processor time than the plain stack with one thread",
            **described,
        ),
    }
    for name, comparison in compared.items():
        print(f"{name}: {comparison}, {comparison.unit}")
    print(f"largest difference of a variant's mean macro F1: {max(differences):.4f}\n")
    return compared


def _described(all_timed: list[Timed]) -> dict[str, Any]:
    """Return what a side took and found, for the record."""
    first = all_timed[0]
    return {
        "wall_s": [round(timed.wall_s, 1) for timed in all_timed],
        "cpu_s": [round(timed.cpu_s, 1) for timed in all_timed],
        "macro_f1": {variant: round(score, 4) for variant, score in first.macro_f1.items()},
    }


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=1, help="how often each side makes the whole study")
    parser.add_argument("--folds", type=int, help="number of folds; all when left out")
    parser.add_argument("--steps", type=int, help="steps of a run; those of the experiment when left out")
    options = parser.parse_args()
    measure(options.rounds, options.folds, options.steps)


if __name__ == "__main__":
    main()
