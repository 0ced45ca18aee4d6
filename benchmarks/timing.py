"""What all benchmarks share: actions timed in turn, ratios with their spread, and the file that they are kept in."""

from __future__ import annotations

import datetime
import json
import os
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from har.files import write_json
from har.training import provenance

RESULTS = Path(__file__).with_name("results.json")

# wall and processor seconds of each timing
Times = tuple[list[float], list[float]]


@dataclass(frozen=True)
class Comparison:
    """One line of results.json.

    Attributes:
        ratio: Median of the ratios of each turn.
        low: The lowest.
        high: The highest.
        unit: What the ratio is, in words.
        sides: What each side did, and its own figures.
    """

    ratio: float
    low: float
    high: float
    unit: str
    sides: dict[str, Any]

    def __str__(self) -> str:
        """Return the ratio with its spread."""
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"

    def record(self) -> dict[str, Any]:
        """Return plain values, with four digits."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def compare(values: list[float], references: list[float], unit: str, **sides: Any) -> Comparison:
    """Compare two lists of figures that were taken in turn, pair by pair.

    Args:
        values: Of the one side.
        references: Of the other.
        unit: What their ratio is, in words.
        **sides: What each side did, an aim as well, and its own figures.
    """
    if len(sides) < 2:
        raise ValueError(f"a ratio {unit} needs two sides that say what they did, not {list(sides)}")
    ratios = [value / reference for value, reference in zip(values, references, strict=True)]
    return Comparison(statistics.median(ratios), min(ratios), max(ratios), unit, sides)


def keep(found: Mapping[str, Comparison], path: Path = RESULTS) -> None:
    """Put ratios into the file of results by their names, each with what it was made with; others in it stay."""
    made_with = {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "commit": provenance.commit(),
        "machine": f"{provenance.machine()}, {os.cpu_count()} cores",
        "versions": ", ".join(f"{name} {version}" for name, version in provenance.versions().items()),
    }
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    new = {name: {**comparison.record(), "made_with": made_with} for name, comparison in found.items()}
    write_json(path, {**kept, **new})


def processor_s() -> float:
    """Return the processor seconds of this process, and of the programs that it has run to their end."""
    programs = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + programs.ru_utime + programs.ru_stime


def in_turn(actions: dict[str, Callable[[], object]], repeats: int) -> dict[str, Times]:
    """Return the times of each action, timed in turn after one round that is not counted."""
    times: dict[str, Times] = {name: ([], []) for name in actions}
    for repeat in range(repeats + 1):
        for name, action in actions.items():
            wall, cpu = time.perf_counter(), processor_s()
            action()
            wall, cpu = time.perf_counter() - wall, processor_s() - cpu
            if repeat:
                times[name][0].append(wall)
                times[name][1].append(cpu)
    return times
