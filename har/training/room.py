"""How many networks fit into memory side by side."""

from __future__ import annotations

import gc
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from har.training.datamodule import HarDataModule
from har.training.module import HarModule

_WORKING_COPIES = 2.5  # of what a step keeps for its backward pass: gradients of it, and what single operations need
_STATES = 13  # copies of the parameters: value, gradient, decay, two moments; best and last state of three; two in use
_TAKEN = 0.6  # of the free memory


def release_unused() -> None:
    """Give back what stacks that have ended hold: their parts refer to each other, and wait for the collector."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def replicas_that_fit(module: HarModule, data: HarDataModule, accelerator: str, share: float) -> int:
    """Return how many replicas of a network can train at a time, at least one.

    Args:
        module: The module, its network built.
        data: Its data module, set up.
        accelerator: The trainer's.
        share: Share of the free memory that may be taken.
    """
    parameters = sum(p.numel() * p.element_size() for p in module.parameters())
    each = _WORKING_COPIES * saved_bytes(module, data) + _STATES * parameters
    return max(int(_TAKEN * share * _free_bytes(accelerator) / each), 1)


def saved_bytes(module: HarModule, data: HarDataModule) -> int:
    """Return how many bytes a training step of a network keeps for its backward pass."""
    found: dict[int, int] = {}

    def note(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
        return value

    state = {name: value.clone() for name, value in module.network.state_dict().items()}
    training = module.network.training
    x_NTC = torch.zeros(data.batch_size, module.recipe["samples"], len(module.recipe["channels"]), device=module.device)
    label_N = torch.zeros(data.batch_size, dtype=torch.int64, device=module.device)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda value: value):
        functional.cross_entropy(module.network.train()(x_NTC), label_N)
    module.network.train(training).load_state_dict(state)
    return sum(found.values())


def _free_bytes(accelerator: str) -> float:
    """Return the memory that is free where the networks will be."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[0])
    meminfo = Path("/proc/meminfo")
    if not meminfo.exists():
        return float(4 << 30)
    line = next(line for line in meminfo.read_text(encoding="ascii").splitlines() if line.startswith("MemAvailable"))
    return float(line.split()[1]) * 1024
