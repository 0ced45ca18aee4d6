"""The table of what was measured of a run's layers while it trained: `probes.parquet`, written and read here alone.

One row is one number:

| column | what |
|---|---|
| `step` | optimiser steps taken |
| `group` | windows of ``train``, ``validation``; ``test`` once, at the end, with the chosen weights; empty for costs |
| `depth` | layers with weights up to there: 0 is the input, l the l-th convolution; −1 for the network as a whole |
| `layer`, `kind` | name of the layer in the network, its class; empty for the network as a whole |
| `side` | ``input`` or ``output`` of the layer |
| `probe` | what is measured, such as ``bn.esm_var``: docs/probes.md |
| `at` | what it was measured at: windows of a chunk for ``bn.gB``, share of a step for ``loss.change``; else NaN |
| `value` | float64; NaN where there is none |
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from har.errors import DataError
from har.files import replacing

PROBES = "probes.parquet"
SCHEMA = pa.schema(
    [
        ("step", pa.int64()),
        ("group", pa.string()),
        ("depth", pa.int16()),
        ("layer", pa.string()),
        ("kind", pa.string()),
        ("side", pa.string()),
        ("probe", pa.string()),
        ("at", pa.float64()),
        ("value", pa.float64()),
    ]
)


def read_probes(path: Path) -> pa.Table:
    """Read a run's probes.

    Args:
        path: The file.

    Raises:
        DataError: When it is missing, damaged or of another form.
    """
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        what = "is missing" if isinstance(error, FileNotFoundError) else "is damaged or no Parquet file"
        raise DataError(f"{path} {what}.", "Repeat the run with --probes true: it comes out the same.") from None
    if not table.schema.equals(SCHEMA):
        raise DataError(
            f"{path} has columns {', '.join(table.column_names)} of other types or names.", "Repeat the run."
        )
    return table


def write_probes(path: Path, table: pa.Table) -> None:
    """Write a run's probes, whole or not at all.

    Args:
        path: The file.
        table: Of `SCHEMA`.
    """
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
