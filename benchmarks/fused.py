"""Times runs made as one stack beside runs made one after the other: python -m benchmarks.fused [--device cuda].

What is compared, and why, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.timing import Comparison, compare, in_turn
from har.training.cli import resolve
from har.training.fused import run_together
from har.training.run import run

_BASE = Path(__file__).parents[1] / "configs" / "experiments" / "spar-cnn.yaml"
_PLACEMENTS = ("none", "every")


def measure(
    repeats: int = 3,
    replicas: int | None = None,
    steps: int = 100,
    alone: int = 2,
    device: str | None = None,
) -> dict[str, Comparison]:
    """Make runs both ways in turn, print runs per minute and return the ratios.

    Args:
        repeats: Rounds that count.
        replicas: Runs of a stack; 64 on a GPU and 8 on a processor when None.
        steps: Optimiser steps of a run.
        alone: Runs that are made one after the other in a round; more would take longer and say the same.
        device: ``cpu`` or ``cuda``; the GPU where there is one when None.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    replicas = replicas or (64 if device == "cuda" else 8)
    where = torch.cuda.get_device_name() if device == "cuda" else "one thread of a processor"
    torch.set_num_threads(1)
    found: dict[str, Comparison] = {}
    print(
        f"{f'runs per minute, {steps} steps, {device}':38}{'alone':>9}{f'stack of {replicas}':>14}{'times as many':>24}"
    )
    for placement in _PLACEMENTS:
        settings = {
            "trainer.accelerator": device,
            "trainer.max_steps": steps,
            "trainer.val_check_interval": 50,
            "trainer.enable_progress_bar": False,
            "model.norm.placement": placement,
        }
        configs = [resolve([_BASE], {**settings, "seed_everything": seed}) for seed in range(replicas)]
        with tempfile.TemporaryDirectory() as name:
            sides = _Sides(Path(name), configs, alone)
            times = in_turn({"alone": sides.one_by_one, "stack": sides.together}, repeats)
        rates = {
            side: [60 * count / seconds for seconds in times[side][0]]
            for side, count in (("alone", alone), ("stack", replicas))
        }
        doing = {"alone": "runs one after the other", "stack": f"{replicas} runs as one stack"}
        middles = {side: statistics.median(values) for side, values in rates.items()}
        sides_did = {
            side: {"does": f"{does}, {steps} steps each, {where}", "runs per minute": round(middles[side], 2)}
            for side, does in doing.items()
        }
        unit = "runs per minute of a stack, of those of single runs"
        ratio = compare(rates["stack"], rates["alone"], unit, **sides_did)
        found[f"fused: {placement}, {device}"] = ratio
        print(f"{placement:38}{middles['alone']:9.1f}{middles['stack']:14.1f}{ratio!s:>24}")
    print()
    return found


class _Sides:
    """The same runs made both ways, each time in new folders.

    Args:
        folder: Where they go.
        configs: Their configurations.
        alone: How many are made one by one.
    """

    def __init__(self, folder: Path, configs: Sequence[dict[str, Any]], alone: int) -> None:
        self._folder, self._configs, self._alone = folder, configs, alone
        self._round = 0

    def one_by_one(self) -> None:
        """Make some runs one after the other."""
        for number, config in enumerate(self._configs[: self._alone]):
            run(config, self._next() / str(number))

    def together(self) -> None:
        """Make all of them as a stack."""
        place = self._next()
        tasks = [
            {"config": config, "folder": str(place / str(i)), "facts": {}} for i, config in enumerate(self._configs)
        ]
        errors: list[Exception] = []
        run_together(tasks, lambda number, error, seconds: errors.append(error) if error else None)
        if errors:
            raise errors[0]

    def _next(self) -> Path:
        self._round += 1
        return self._folder / str(self._round)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=["cpu", "cuda"])
    parser.add_argument("--replicas", type=int)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    measure(options.repeats, options.replicas, options.steps, device=options.device)


if __name__ == "__main__":
    main()
