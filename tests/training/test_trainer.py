"""The trainer of a run: deterministic, without paying for what determinism does not need."""

from __future__ import annotations

import torch

from har.training.trainer import make_trainer


def test_new_memory_is_not_filled_although_algorithms_are_deterministic() -> None:
    torch.utils.deterministic.fill_uninitialized_memory = True
    before = torch.are_deterministic_algorithms_enabled()
    try:
        make_trainer({"accelerator": "cpu", "devices": 1, "deterministic": True}, logger=False)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(before)
