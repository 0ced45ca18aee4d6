"""Times what a run does beside its steps: python -m benchmarks.overhead.

What is compared, and why, stands in benchmarks/README.md. It needs SPAR prepared (har prepare spar).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from pytorch_lightning.callbacks import Callback

from benchmarks.timing import Comparison, compare
from har.training import run as runs
from har.training.cli import resolve

if TYPE_CHECKING:
    from collections.abc import Iterator

_BASE = Path(__file__).resolve().parents[1] / "configs" / "experiments" / "spar-cnn.yaml"
_MOST_S = 1.0  # the aim: before the first step and behind the last one together


class _Clock(Callback):
    """Notes wall and processor seconds at the first step and when training has ended."""

    def __init__(self) -> None:
        self.marks = [_now()]

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, batch_idx: int) -> None:
        """Note the first step."""
        if len(self.marks) == 1:
            self.marks.append(_now())

    def on_train_end(self, trainer: Any, module: Any) -> None:
        """Note the end."""
        self.marks.append(_now())

    def beside_steps(self) -> list[float]:
        """Return wall and processor seconds before the first step and behind the last one."""
        start, first, last, end = [*self.marks, _now()]
        return [first[i] - start[i] + end[i] - last[i] for i in range(2)]


def _now() -> tuple[float, float]:
    """Return wall and processor seconds."""
    return time.perf_counter(), time.process_time()


@contextmanager
def _watched(clock: _Clock) -> Iterator[None]:
    """Let every trainer that is made carry the clock."""
    original = runs.trainer_of

    def with_clock(*args: Any, **options: Any) -> Any:
        trainer, best = original(*args, **options)
        trainer.callbacks.append(clock)  # type: ignore[attr-defined]
        return trainer, best

    with mock.patch.object(runs, "trainer_of", with_clock):
        yield


def measure(repeats: int = 5) -> dict[str, Comparison]:
    """Make runs of one evaluation, print what they took beside their steps and return its share of the aim."""
    config = resolve([_BASE], {"trainer.max_steps": 50, "trainer.enable_progress_bar": False})
    taken: list[list[float]] = []
    with tempfile.TemporaryDirectory() as name:
        for number in range(repeats + 1):  # the first one imports what the others find imported, as in a study's worker
            clock = _Clock()
            with _watched(clock):
                runs.run(config, Path(name) / f"run-{number}")
            if number:
                taken.append(clock.beside_steps())
    found = {}
    for kind, seconds in zip(("wall", "processor"), zip(*taken, strict=True), strict=True):
        unit = f"of the {_MOST_S:g} s that a run may take beside its steps, {kind} time"
        found[f"overhead: {kind}"] = compare(
            list(seconds),
            [_MOST_S] * len(seconds),
            unit,
            har="from the configuration to the first step, and from the "
            "last evaluation to predictions, scores and run.json",
            aim=f"{_MOST_S:g} s",
        )
        print(f"a run beside its steps, {kind} s: {found[f'overhead: {kind}']}")
    print()
    return found


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="runs")
    measure(parser.parse_args().repeats)


if __name__ == "__main__":
    main()
