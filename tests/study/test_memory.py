"""A study of many runs takes the memory of one."""

from __future__ import annotations

import json
import sys

import pytest

from har.__main__ import main
from tests.kills import words
from tests.study.small import write_study


@pytest.mark.slow
def test_a_workers_memory_does_not_grow_with_the_runs_that_it_makes(tmp_path, data_root):
    study = write_study(tmp_path, repeats=5)
    assert main(words(study, data_root, tmp_path / "runs", jobs=1)) == 0
    records = [json.loads(path.read_text()) for path in (tmp_path / "runs").rglob("run.json")]
    peaks = [record["peak_memory_mib"] for record in sorted(records, key=lambda record: record["finished"])]
    assert len(peaks) == 30
    first, early, late = peaks[0], max(peaks[1:10]), max(peaks[-10:])
    sys.stdout.write(f"peak memory of a run in MiB: {first} first, {early} then, {late} in the end\n")
    assert late < early + 30
