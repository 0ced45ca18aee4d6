"""Times the default run with and without probes in turn: python -m benchmarks.probes.

What is compared, and why, stands in benchmarks/README.md. It needs SPAR prepared (har prepare spar).
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path

from benchmarks.timing import Comparison, compare, in_turn
from har.evaluation.probes import PROBES, read_probes
from har.training.cli import resolve
from har.training.record import read_run
from har.training.run import run

_BASE = Path(__file__).resolve().parents[1] / "configs" / "experiments" / "spar-cnn.yaml"


def measure(repeats: int = 3) -> dict[str, Comparison]:
    """Make the runs, print what each part of a measurement costs and return the share of the whole."""
    base = resolve([_BASE], {"trainer.enable_progress_bar": False})
    probed = resolve([_BASE], {"trainer.enable_progress_bar": False, "probes": True})
    with tempfile.TemporaryDirectory() as name:
        numbers = itertools.count()
        made: dict[str, list[Path]] = {"plain": [], "probed": []}
        actions = {
            key: lambda key=key, config=config: made[key].append(run(config, Path(name) / f"run-{next(numbers)}"))
            for key, config in (("plain", base), ("probed", probed))
        }
        times = in_turn(actions, repeats)
        middles = {side: f"{statistics.median(cpu):.2f} CPU s" for side, (_, cpu) in times.items()}
        share = compare(
            times["probed"][1],
            times["plain"][1],
            "processor time of a run with probes to one without",
            plain=f"the default run: {middles['plain']}",
            probed=f"the same with probes at ten evaluations: {middles['probed']}",
        )
        _print_parts(made["probed"][1:])
        own = [read_run(folder) for folder in made["probed"][1:]]
        said = [record["probe_seconds"] / (record["seconds"] - record["probe_seconds"]) for record in own]
    print(f"A run with probes takes {share} times the processor time of one without;")
    print(f"by its own account probes are {', '.join(f'{value:.0%}' for value in said)} of the rest.\n")
    return {"probes": share}


def _print_parts(folders: list[Path]) -> None:
    """Print the milliseconds of each part of a measurement, and how often it was made in a run."""
    spent: dict[str, list[float]] = defaultdict(list)
    for folder in folders:
        for row in read_probes(folder / PROBES).to_pylist():
            if row["probe"].startswith("cost."):
                spent[row["probe"]].append(row["value"])
    print(f"{'part':24}{'times a run':>12}{'ms each':>10}{'ms a run':>10}")
    for part, seconds in spent.items():
        count = len(seconds) / len(folders)
        print(
            f"{part:24}{count:12.0f}{1e3 * sum(seconds) / len(seconds):10.1f}{1e3 * sum(seconds) / len(folders):10.0f}"
        )


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3, help="runs of each kind that count")
    measure(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
