"""What all benchmarks share: actions timed in turn, and ratios with their spread."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

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
    sides: dict[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the ratio with its spread."""
        return f"{self.ratio:.2f} ({self.low:.2f} to {self.high:.2f})"

    def record(self) -> dict[str, Any]:
        """Return plain values, with four digits."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}


def compare(values: list[float], references: list[float], unit: str, **sides: Any) -> Comparison:
    """Compare two lists of figures that were taken in turn, pair by pair."""
    ratios = [value / reference for value, reference in zip(values, references, strict=True)]
    return Comparison(statistics.median(ratios), min(ratios), max(ratios), unit, sides)


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
