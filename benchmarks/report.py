"""Times the report of a large study: python -m benchmarks.report.

What is timed, and why, stands in benchmarks/README.md: from the files of 1200 runs to the pages of their study.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import pandas as pd

from benchmarks.timing import Comparison, compare, in_turn
from har.evaluation.report import write_report
from tests.fakes.study import FakeStudy, write_study

_VARIANTS = ("none", "input", "first", "every", "last", "input_every", "input_scalar", "group")
_CONTRASTS = [("every", "input"), ("every", "first"), ("every", "none"), ("input", "none"), ("group", "every")]


def plan(variants: int, subjects: int, repeats: int) -> FakeStudy:
    """Return a study of seven activities with 30 windows of each subject and activity.

    Args:
        variants: Number of variants, at most eight.
        subjects: Number of subjects, and so of folds.
        repeats: Runs of each variant and fold.
    """
    hit = {name: 0.6 + 0.03 * place for place, name in enumerate(_VARIANTS[:variants])}
    contrasts = [pair for pair in _CONTRASTS if set(pair) <= set(hit)] or [("input", "none")]
    activities = [f"activity-{k}" for k in range(7)]
    return FakeStudy(hit, contrasts, subjects, repeats, activities, windows=30)


def bare_read(folder: Path) -> None:
    """Read the predictions and the truth of every run with pandas and do nothing with them."""
    for run in folder.glob("*/*/*/predictions/running.parquet"):
        pd.read_parquet(run)
        pd.read_parquet(run.parents[1] / "truth.parquet")


def measure(variants: int = 8, subjects: int = 30, repeats: int = 5, turns: int = 1) -> dict[str, Comparison]:
    """Make the study, print seconds and megabytes of its report, and compare it with a bare read of its files."""
    with tempfile.TemporaryDirectory() as place:
        folder = write_study(Path(place) / "runs" / "large" / "fake", plan(variants, subjects, repeats))
        actions = {"har": lambda: write_report(folder), "plain": lambda: bare_read(folder)}
        times = in_turn(actions, turns)
        megabytes = (folder / "report.html").stat().st_size / 1e6
    (wall, own), (_, read) = times["har"], times["plain"]
    runs = variants * subjects * repeats
    print(f"{runs} runs: {min(wall):.1f} s ({min(own):.1f} CPU s), report.html {megabytes:.2f} MB")
    print(f"pandas.read_parquet of their files alone: {min(read):.1f} CPU s\n")
    figures = {"runs": runs, "seconds": min(wall), "CPU seconds": min(own), "megabytes": megabytes}
    bare = f"pandas.read_parquet of the same files and nothing else: {min(read):.1f} CPU s"
    return {"report": compare(own, read, "of a bare read of the runs' files, processor time", plain=bare, har=figures)}


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", type=int, default=8, help="variants, at most 8")
    parser.add_argument("--subjects", type=int, default=30, help="subjects")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each variant and subject")
    options = parser.parse_args()
    measure(options.variants, options.subjects, options.repeats)


if __name__ == "__main__":
    main()
