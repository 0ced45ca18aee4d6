"""What is left of a run is looked at without trusting a byte of it."""

from __future__ import annotations

from pathlib import Path

import torch

from har.study.states import _is_whole


def test_a_checkpoint_with_any_byte_changed_is_whole_or_not_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    torch.save({"weights": torch.arange(4.0)}, path)
    whole = path.read_bytes()
    assert _is_whole(path)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x81]) + whole[place + 1 :])
        _is_whole(path)
    path.write_bytes(whole[:-1])
    assert not _is_whole(path)
