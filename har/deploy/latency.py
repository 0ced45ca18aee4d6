"""How long networks take on one core, measured in turn. N = windows."""

from __future__ import annotations

import contextlib
import statistics
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from har.deploy.networks import Network

BATCH = 64
_WARM_UP, _ROUNDS, _SINGLES = 10, 9, 40


@dataclass(frozen=True)
class Latency:
    """Wall time of one thread.

    Attributes:
        single_ms: Of one window: the median of all calls.
        single_ms_p90: The 90th percentile of these.
        batch_ms_per_window: Of a window in a batch of 64: the median over batches.
    """

    single_ms: float
    single_ms_p90: float
    batch_ms_per_window: float


def latencies(networks: Mapping[str, Network], x_NTC: NDArray[np.float32]) -> dict[str, Latency]:
    """Measure networks in turn, so that a busy machine slows all of them alike.

    Args:
        networks: By name.
        x_NTC: float32 (windows, samples, channels), real windows; at least one.
    """
    batch_NTC = np.resize(x_NTC, (BATCH, *x_NTC.shape[1:]))
    singles: dict[str, list[float]] = {name: [] for name in networks}
    batches: dict[str, list[float]] = {name: [] for name in networks}
    with one_torch_thread():
        for turn in range(_ROUNDS + 1):
            for name, network in networks.items():
                for number in range(_SINGLES if turn else _WARM_UP):
                    seconds = _seconds(network, batch_NTC[number % BATCH :][:1])
                    singles[name] += [seconds] * bool(turn)
                batches[name] += [_seconds(network, batch_NTC)] * bool(turn)
    return {
        name: Latency(
            single_ms=1e3 * statistics.median(singles[name]),
            single_ms_p90=1e3 * float(np.quantile(singles[name], 0.9)),
            batch_ms_per_window=1e3 * statistics.median(batches[name]) / BATCH,
        )
        for name in networks
    }


def _seconds(network: Network, x_NTC: NDArray[np.float32]) -> float:
    """Return the wall time of one call."""
    clock = time.perf_counter()
    network(x_NTC)
    return time.perf_counter() - clock


@contextlib.contextmanager
def one_torch_thread() -> Iterator[None]:
    """Hold torch, where it is in use at all, to one thread: a window is too small to be shared by several."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
