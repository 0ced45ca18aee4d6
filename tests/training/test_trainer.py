"""The trainer of a run: deterministic, without paying for what that does not need, and in float32 throughout."""

from __future__ import annotations

import torch

from har.training.trainer import make_trainer


def test_algorithms_are_deterministic_and_exact_and_new_memory_is_not_filled() -> None:
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.backends.cudnn.allow_tf32 = True
    before = torch.are_deterministic_algorithms_enabled()
    try:
        make_trainer({"accelerator": "cpu", "devices": 1, "deterministic": True}, logger=False)
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.utils.deterministic.fill_uninitialized_memory
        assert not torch.backends.cudnn.allow_tf32
    finally:
        torch.use_deterministic_algorithms(before)
