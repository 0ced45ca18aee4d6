"""Probes: what is measured of a run's layers at its evaluations, in `probes.parquet`; training does not notice.

One row is one number:

| column | what |
|---|---|
| `step` | optimiser steps taken |
| `group` | whose windows: ``train``, ``validation``; ``test`` once, at the end, under the chosen weights |
| `depth` | layers with weights up to there: 0 is the input, l the l-th convolution; −1 for the network as a whole |
| `layer`, `kind` | name of the layer in the network, its class; empty for the network as a whole |
| `side` | ``input`` or ``output`` of the layer, where that matters |
| `probe` | what is measured, such as ``bn.esm_var``: docs/probes.md |
| `at` | what it was measured at: windows of a chunk for ``bn.gB``, share of a step for ``loss.range``; else NaN |
| `value` | float64 |
"""

from __future__ import annotations

from dataclasses import dataclass

from har.errors import UsageError

COLUMNS = ("step", "group", "depth", "layer", "kind", "side", "probe", "at", "value")


@dataclass(frozen=True)
class ProbeSettings:
    """How much is measured. Anything but null switches the probes on.

    Args:
        every: Evaluations from one measurement to the next.
        batches: Batches of the fixed samples of training and of validation windows.

    Raises:
        UsageError: When a number is below 1.
    """

    every: int = 1
    batches: int = 4

    def __post_init__(self) -> None:
        """Check the numbers."""
        if min(self.every, self.batches) < 1:
            raise UsageError(
                f"probes cannot be measured every {self.every} evaluations on {self.batches} batches.",
                "Both are whole numbers from 1 upwards.",
            )
