"""What ``har study --dry-run`` prints: every run with its state, the trials in short, and the estimated time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from har.study.conduct import Survey, additions, damages
from har.study.progress import duration
from har.study.record import of_data_set
from har.study.runs import Place, Trial


def listing(found: Survey, jobs: int) -> str:
    """Return every run with its state, the trials of each variant and value, and the estimated time.

    Args:
        found: The plan, held against the disk.
        jobs: Number of worker processes.
    """
    runs = [(run, str(state)) for run, state in found.pairs() if not isinstance(run, Trial)]
    waiting: list[tuple[Place, str]] = [(place, "waits for its trials") for place in found.plan.awaiting]
    shared: list[tuple[Place, str]] = [(run, f"is the run of {same.variant}") for run, same in found.plan.shared]
    rows = [
        (place.variant, place.fold.name, f"repeat-{place.repeat}", state) for place, state in [*runs, *shared, *waiting]
    ]
    left = f"about {duration(found.left_s(jobs))} with {jobs} at a time" if found.left else "nothing to do"
    what = "runs and trials" if found.plan.tuning else "runs"
    done = f"{found.total - found.left} of {found.total} {what} are done: {left}."
    basis = [f"Estimate: {found.basis}."] if found.left else []
    return "\n".join(
        [
            *_aligned(rows),
            "",
            *_trials(found),
            *of_data_set(found.plan),
            *damages(found),
            *additions(found),
            done,
            *basis,
        ]
    )


def _trials(found: Survey) -> list[str]:
    """Return one line for the trials of each variant and value, and an empty one."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for run, state in found.pairs():
        if isinstance(run, Trial):
            counts.setdefault((run.variant, f"{run.key}={run.value:g}"), Counter())[str(state)] += 1
    rows = [
        (*place, f"{own.total()} trials", ", ".join(f"{count} {state}" for state, count in own.items()))
        for place, own in sorted(counts.items(), key=lambda item: list(found.plan.study.variants).index(item[0][0]))
    ]
    return [*_aligned(rows), ""] if rows else []


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return rows of words as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return [line.rstrip() for line in lines]
