"""One side of a comparison as a process of its own, since allocators, caches and thread pools are a process's.

    python -m benchmarks.side {plain,har}

It reads one JSON task a line on stdin and answers each with a line on stdout: wall and processor seconds of so many
training steps (`steps`) or matrix products (`products`). The batch is random and the same in each step.
"""

from __future__ import annotations

import functools
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks import plain
from har.learners.cnn import CNN
from har.norms.plan import NormPlan
from har.training.module import HarModule

WINDOWS, SAMPLES, CHANNELS, ACTIVITIES = 64, 200, 6, 7
MATRIX = 1024  # rows and columns; no cache of a core holds the three, as it is with activations
Step = Callable[[], None]


def floating_operations(pool: tuple[int, ...], filters: int = 64, kernel: int = 5) -> float:
    """Return the multiplications and additions of a step's convolutions: forward, ∂W, and ∂x but at the input."""
    total, width, samples = 0, CHANNELS, SAMPLES
    for position, size in enumerate(pool):
        samples -= kernel - 1
        total += 2 * WINDOWS * samples * width * kernel * filters * (3 if position else 2)
        width, samples = filters, samples // size
    return float(total)


@functools.cache
def plain_step(placement: str, pool: tuple[int, ...]) -> Step:
    """Return a training step of the plain stack."""
    network = plain.network(CHANNELS, ACTIVITIES, placement, plain.Settings(pool=pool))
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=1e-2)
    x, y = torch.randn(WINDOWS, CHANNELS, SAMPLES), torch.randint(0, ACTIVITIES, (WINDOWS,))
    return _stepping(network, optimiser, x, y)


@functools.cache
def har_step(placement: str, pool: tuple[int, ...], kind: str = "batch", size: int | None = None) -> Step:
    """Return a training step of the project. It scales its input in each, the plain stack beforehand.

    Args:
        placement: Where norms stand.
        pool: Pooling behind each convolution.
        kind: Kind of the norms.
        size: Windows of a chunk, for a kind that cuts batches.
    """
    plan = NormPlan(kind, placement, options={} if size is None else {"size": size})
    module = HarModule(CNN(pool=list(pool)), plan)
    names = {"channels": list("abcdef"), "samples": SAMPLES, "activities": list("abcdefg")}
    module.build(names, torch.zeros(CHANNELS), torch.ones(CHANNELS))
    x, y = torch.randn(WINDOWS, SAMPLES, CHANNELS), torch.randint(0, ACTIVITIES, (WINDOWS,))
    return _stepping(module, module.configure_optimizers(), x, y)


def _stepping(network: torch.nn.Module, optimiser: Any, x: torch.Tensor, y: torch.Tensor) -> Step:
    """Return what trains a network on one batch."""

    def step() -> None:
        optimiser.zero_grad()
        functional.cross_entropy(network(x), y).backward()
        optimiser.step()

    return step


@functools.cache
def product() -> Step:
    """Return a matrix product."""
    one, other = torch.randn(2, MATRIX, MATRIX)
    result = torch.empty(MATRIX, MATRIX)

    def multiply() -> None:
        torch.mm(one, other, out=result)

    return multiply


def _step(make: Callable[..., Step], task: dict[str, Any]) -> Step:
    """Return the training step that a task asks for; kinds of norm, where it names them, are the project's."""
    kinds = {name: task[name] for name in ("kind", "size") if name in task}
    return make(task["placement"], tuple(task["pool"]), **kinds)


def main() -> None:
    """Answer tasks until stdin ends."""
    torch.set_num_threads(1)
    make = {"plain": plain_step, "har": har_step}[sys.argv[1]]
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        task = json.loads(line)
        action = product() if task["what"] == "products" else _step(make, task)
        action()  # so that its own first call is not counted
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(task["count"]):
            action()
        replies.write(json.dumps([time.perf_counter() - wall, time.process_time() - cpu]) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
