"""The table of probes is read as it was written, and refused in one sentence when it is not whole."""

from __future__ import annotations

import math
from pathlib import Path

import pyarrow as pa
import pytest

from har.errors import DataError
from har.evaluation.probes import SCHEMA, read_probes, write_probes

ROW = {"step": 50, "group": "train", "depth": 1, "layer": "features.block1.norm", "kind": "BatchNorm", "side": "input"}


def test_a_table_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = [
        {**ROW, "probe": "bn.gB", "at": 2.0, "value": 0.25},
        {**ROW, "probe": "bn.kl", "at": math.nan, "value": 0.1},
    ]
    write_probes(tmp_path / "probes.parquet", pa.Table.from_pylist(rows, SCHEMA))
    assert str(read_probes(tmp_path / "probes.parquet").to_pylist()) == str(rows)


def test_what_is_no_table_of_probes_is_named(tmp_path: Path) -> None:
    path = tmp_path / "probes.parquet"
    with pytest.raises(DataError, match=r"probes\.parquet is missing"):
        read_probes(path)
    path.write_bytes(b"PAR1 cut off")
    with pytest.raises(DataError, match="is damaged or no Parquet file"):
        read_probes(path)
    write_probes(path, pa.table({"step": [1.0], "probe": ["bn.kl"]}))
    with pytest.raises(DataError, match="has columns step, probe"):
        read_probes(path)
