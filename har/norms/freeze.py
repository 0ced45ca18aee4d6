"""Looking at a network without a trace: whatever is done to it meanwhile, it leaves as it came."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def unchanged(network: nn.Module, seed: int) -> Iterator[Callable[[], None]]:
    """Give a network its weights, buffers and modes, and torch its random state, back at the end, to the bit.

    Gradients are enabled inside, also where the caller has switched them off; take them with ``torch.autograd.grad``,
    which leaves `.grad` alone.

    Args:
        network: The network.
        seed: Seed of what is drawn inside.

    Yields:
        A function that puts weights, buffers and the seed back at once, for the next thing to be tried. Call it when
        the backward pass over what was tried is done.
    """
    modes = {module: module.training for module in network.modules()}
    tensors = [tensor.detach() for tensor in (*network.parameters(), *network.buffers())]
    device = next(network.parameters()).device
    random = torch.get_rng_state()
    random_there = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    with torch.inference_mode(False), torch.enable_grad():
        own = [tensor.clone() for tensor in tensors]

        def rewind() -> None:
            with torch.no_grad():
                for tensor, value in zip(tensors, own, strict=True):
                    tensor.copy_(value)
            _seed(seed, device)

        _seed(seed, device)
        try:
            yield rewind
        finally:
            rewind()
            for module, training in modes.items():
                module.training = training
            torch.set_rng_state(random)
            if random_there is not None:
                torch.cuda.set_rng_state(random_there, device)


def _seed(seed: int, device: torch.device) -> None:
    """Seed torch on the host and on the device that a network is on, and no other."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        with torch.cuda.device(device):
            torch.cuda.manual_seed(seed)
