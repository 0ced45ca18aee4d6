"""Damaged records of a run are said in words, however they are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from har.errors import DataError, UsageError
from har.training.callbacks import read_metrics
from har.training.stored import load_checkpoint, read_run

DEEP = "[" * 100_000


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"\xff", DEEP.encode()])
def test_a_record_that_is_damaged_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError):
        read_run(tmp_path)
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(DataError, match=r"run\.json is damaged"):
        read_run(tmp_path)


@pytest.mark.parametrize("last", ['{"step": 3', DEEP])
def test_metrics_are_read_up_to_the_line_that_a_kill_or_a_disk_has_damaged(tmp_path: Path, last: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"step": 1}}\n{{"step": 2}}\n{last}\n{{"step": 4}}\n', encoding="utf-8")
    assert read_metrics(path) == [{"step": 1}, {"step": 2}]


class Planted:
    """An object that leaves a file where it is unpickled."""

    def __init__(self, flag: Path) -> None:
        self.flag = flag

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return Path.touch, (self.flag,)


def test_objects_in_a_checkpoint_are_refused_and_not_made(tmp_path: Path) -> None:
    path, flag = tmp_path / "best.ckpt", tmp_path / "flag"
    torch.save({"state_dict": {}, "recipe": Planted(flag)}, path)
    with pytest.raises(DataError, match="is damaged, or is none"):
        load_checkpoint(path)
    assert not flag.exists()
