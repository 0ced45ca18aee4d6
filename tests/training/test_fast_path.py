"""The first steps of a run's arithmetic against a plain stack's: windows first by channel, Conv1d, and torch's AdamW.

Rounding is all that may differ, so both compute in float64.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from har.training.cli import parts, resolve
from har.training.datamodule import HarDataModule, WindowLoader, training_batches
from har.training.module import HarModule

STEPS = 20
FILTERS, KERNEL, POOL = [16, 12, 8], 5, [4, 2, 1]
VARIANTS: dict[str, dict[str, Any]] = {
    "none": {"model.norm.placement": "none"},
    "input": {"model.norm.placement": "input", "model.scaling": "none"},
    "every-pre": {"model.norm.placement": "every"},
    "every-post": {"model.norm.placement": "every", "model.norm.order": "post"},
}


def plain_network(norm: str, channels: int, activities: int) -> nn.Sequential:
    """The network of a variant as everybody writes it; parameters in the order of the project's network."""
    layers: list[nn.Module] = [nn.BatchNorm1d(channels)] if norm == "input" else []
    width = channels
    for filters, pool in zip(FILTERS, POOL, strict=True):
        layers.append(nn.Conv1d(width, filters, KERNEL, bias=norm != "every-pre"))
        activated = [nn.BatchNorm1d(filters), nn.ReLU()] if norm == "every-pre" else [nn.ReLU()]
        layers += [*activated, nn.BatchNorm1d(filters)] if norm == "every-post" else activated
        layers.append(nn.MaxPool1d(pool))
        width = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(width, activities)).double()


def plain_losses(network: nn.Module, module: HarModule, data: HarDataModule) -> list[float]:
    """Train on arrays of windows, by channel, scaled beforehand."""
    decayed = [{"params": [p for p in network.parameters() if p.ndim > 1]}]
    kept = [{"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(decayed + kept, lr=module.learning_rate, weight_decay=module.weight_decay)
    samples = data.train.samples
    windows = np.stack([data.store.signal_TC[start : start + samples].T for start in data.train.start])
    x_NCT, label_N = torch.from_numpy(windows).double(), torch.from_numpy(data.train.label).long()
    if module.scaling == "channel":
        scaling = module.network.scaling
        x_NCT = (x_NCT - scaling.mean[:, None]) / scaling.deviation[:, None]
    losses = []
    for chosen in training_batches(len(data.train), data.batch_size, STEPS, data.seed):
        optimiser.zero_grad()
        loss = functional.cross_entropy(network(x_NCT[chosen]), label_N[chosen])
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def own_losses(module: HarModule, data: HarDataModule) -> list[float]:
    """Train on the project's batches by the module's own step and optimiser."""
    optimiser = module.configure_optimizers()
    batches = training_batches(len(data.train), data.batch_size, STEPS, data.seed)
    losses = []
    for step, (x_NTC, label_N) in enumerate(WindowLoader(data.store.signal_TC, data.train, batches)):
        optimiser.zero_grad()
        loss = module.training_step((x_NTC.double(), label_N), step)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def values(network: nn.Module) -> list[Tensor]:
    """Parameters and running statistics in the order of the network, without the axis that the project's carry."""
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    kept = [value for name, value in state.items() if "scaling" not in name and value.ndim]  # no counts of steps
    return [value.detach().squeeze(-1) if value.ndim == 4 else value.detach() for value in kept]


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_first_twenty_steps_equal_a_plain_stacks_in_float64(variant: str, data_root: Path) -> None:
    settings = {
        "data.root": str(data_root),
        "data.window_s": 2.0,
        "data.step_s": 0.5,
        "model.learner": "har.learners.cnn.CNN",
        "model.learner.init_args.filters": FILTERS,
        "model.learner.init_args.pool": POOL,
        **VARIANTS[variant],
    }
    module, data, _ = parts(resolve([], settings))
    data.setup()
    module.build(data.recipe(), *data.training_moments())
    module.double()
    network = plain_network(variant, len(data.store.channels), len(data.activities))
    with torch.no_grad():
        for own, other in zip(module.network.parameters(), network.parameters(), strict=True):
            other.copy_(own.reshape(other.shape))
    expected = plain_losses(network, module, data)
    np.testing.assert_allclose(own_losses(module, data), expected, rtol=1e-9)
    assert expected[-1] < expected[0]
    for own, other in zip(values(module.network), values(network), strict=True):
        torch.testing.assert_close(own, other, rtol=1e-6, atol=1e-9)
