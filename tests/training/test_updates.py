"""The step that AdamW has taken, read from its state, is the one that its parameters show."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from har.training.updates import last_step


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_the_last_step_is_the_difference_of_the_parameters(decay: float) -> None:
    network = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2)).double()
    groups = [
        {"params": [p for p in network.parameters() if p.ndim > 1]},
        {"params": [p for p in network.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=0.05, weight_decay=decay, fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: (1.0, 0.5, 0.2, 0.1, 0.0)[step])
    assert last_step(optimiser, 0.05) == {}
    for rate in (0.05, 0.025, 0.01, 0.005):
        before = [parameter.detach().clone() for parameter in network.parameters()]
        optimiser.zero_grad()
        network(torch.randn(5, 4).double()).square().mean().backward()
        optimiser.step()
        schedule.step()  # as a trainer does, before anybody asks
        moved = last_step(optimiser, rate)
        for earlier, parameter in zip(before, network.parameters(), strict=True):
            torch.testing.assert_close(moved[parameter], parameter.detach() - earlier, rtol=1e-9, atol=1e-12)


def test_parameters_that_never_moved_are_left_out() -> None:
    used, unused = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    optimiser = torch.optim.AdamW([used, unused])
    used.sum().backward()
    optimiser.step()
    assert list(last_step(optimiser, 1e-3)) == [used]


def test_another_optimiser_has_no_step_that_is_known() -> None:
    used = nn.Parameter(torch.ones(2))
    optimiser = torch.optim.Adadelta([used])
    used.sum().backward()
    optimiser.step()
    assert last_step(optimiser, 1.0) == {}
