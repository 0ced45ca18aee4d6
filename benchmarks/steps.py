"""Times a training step beside a plain stack's, beside matrix products and batch norm's: python -m benchmarks.steps.

What is compared, and why, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass
from typing import Any

from benchmarks.side import MATRIX, floating_operations
from benchmarks.timing import Comparison, compare

_POOLS = {"pooling 4, 2, 1": (4, 2, 1), "no pooling": (1, 1, 1)}
_PLACEMENTS = ("none", "first", "every")
# Kinds of norm behind every convolution, each with its chunk, beside batch norm there
_KINDS: dict[str, dict[str, Any]] = {
    "mabn": {"kind": "mabn"},
    "mabn, chunks of 2": {"kind": "mabn", "size": 2},
    "ghost_batch, chunks of 2": {"kind": "ghost_batch", "size": 2},
}
_STEPS_S = 0.3  # of steps in one timing, roughly
_STEP_MS = {"pooling 4, 2, 1": 10, "no pooling": 40}
# In a bare loop glibc hands a step's memory back to the system and takes it anew, cleared, in the next: thousands of
# page faults. In a run, the plain stack's or ours, it stays, as other objects lie above it. Here it is made to stay.
_KEPT = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 28)}


@dataclass
class Side:
    """A process that times tasks of one side."""

    process: subprocess.Popen[str]

    @classmethod
    def start(cls, name: str) -> Side:
        """Start it."""
        command = [sys.executable, "-m", "benchmarks.side", name]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **_KEPT}
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        return cls(subprocess.Popen(command, text=True, env=environment, **pipes))  # noqa: S603 - our own module

    def time(self, what: str, count: int, **task: Any) -> tuple[float, float]:
        """Return wall and processor seconds of one of `count` steps or products."""
        tasks: Any = self.process.stdin
        tasks.write(json.dumps({"what": what, "count": count, **task}) + "\n")
        tasks.flush()
        answers: Any = self.process.stdout
        wall, cpu = json.loads(answers.readline())
        return wall / count, cpu / count

    def stop(self) -> None:
        """End it."""
        self.process.communicate()


def measure(repeats: int = 15) -> dict[str, Comparison]:
    """Time every network in turn, print tables and return the ratios by name."""
    sides = {"plain": Side.start("plain"), "har": Side.start("har")}
    found: dict[str, Comparison] = {}
    print(f"{'training step, one thread':34}{'plain ms':>9}{'har ms':>8}{'times as fast':>22}{'of matrix rate':>22}")
    try:
        for pooling, pool in _POOLS.items():
            for placement in _PLACEMENTS:
                name = f"{placement}, {pooling}"
                count = max(round(_STEPS_S * 1000 / _STEP_MS[pooling]), 1)
                speed, rate = _network(sides, placement, pool, count, repeats)
                found |= {f"step: {name}": speed, f"matrix rate: {name}": rate}
                milliseconds = [speed.sides[side]["ms"] for side in ("plain", "har")]
                print(f"{name:34}{milliseconds[0]:9.2f}{milliseconds[1]:8.2f}{speed!s:>22}{rate!s:>22}")
        found |= _kinds(sides["har"], repeats)
    finally:
        for side in sides.values():
            side.stop()
    print()
    return found


def _network(
    sides: dict[str, Side], placement: str, pool: tuple[int, ...], count: int, repeats: int
) -> tuple[Comparison, Comparison]:
    """Compare the steps of one network: with the plain stack, and with the rate of matrix products."""
    seconds: dict[str, list[float]] = {"plain": [], "har": [], "product": []}
    for repeat in range(repeats + 1):
        timed = {name: side.time("steps", count, placement=placement, pool=pool)[1] for name, side in sides.items()}
        timed["product"] = sides["har"].time("products", 20)[1]
        for name, value in timed.items() if repeat else ():
            seconds[name].append(value)
    operations = floating_operations(pool)
    middles = {name: statistics.median(values) for name, values in seconds.items()}
    doing = {
        "plain": {"does": "Conv1d, BatchNorm1d, MaxPool1d, AdamW", "ms": round(1e3 * middles["plain"], 3)},
        "har": {"does": "the project's network and optimiser", "ms": round(1e3 * middles["har"], 3)},
    }
    speed = compare(seconds["plain"], seconds["har"], "times as fast as the plain step, processor time", **doing)
    rates = [operations / value for value in seconds["har"]]
    products = [2 * MATRIX**3 / value for value in seconds["product"]]
    matrix = {"does": f"products of {MATRIX} × {MATRIX}", "GFLOP/s": round(statistics.median(products) / 1e9, 1)}
    own = {
        "does": f"{operations / 1e6:.0f} MFLOP of convolutions",
        "GFLOP/s": round(operations / middles["har"] / 1e9, 1),
    }
    return speed, compare(rates, products, "of the rate of matrix products", matrix=matrix, har=own)


def _kinds(side: Side, repeats: int) -> dict[str, Comparison]:
    """Time a step of each kind of norm in turn with one of batch norm, print the ratios and return them."""
    print(f"\n{'training step, every':34}{'ms':>9}{'':8}{'of batch norm':>22}")
    found: dict[str, Comparison] = {}
    for pooling, pool in _POOLS.items():
        seconds: dict[str, list[float]] = {name: [] for name in ("batch", *_KINDS)}
        count = max(round(_STEPS_S * 1000 / _STEP_MS[pooling]), 1)
        for repeat in range(repeats + 1):
            for name, values in seconds.items():
                _, cpu = side.time("steps", count, placement="every", pool=pool, **_KINDS.get(name, {}))
                if repeat:
                    values.append(cpu)
        middles = {name: round(1e3 * statistics.median(values), 3) for name, values in seconds.items()}
        for name in _KINDS:
            sides = {
                kind: {"does": f"{kind} behind every convolution", "ms": middles[kind]} for kind in ("batch", name)
            }
            ratio = compare(seconds[name], seconds["batch"], "of a step with batch norm, processor time", **sides)
            found[f"step of {name}: {pooling}"] = ratio
            print(f"{name + ', ' + pooling:43}{middles[name]:.2f}{'':8}{ratio!s:>22}")
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="timings of each")
    measure(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
