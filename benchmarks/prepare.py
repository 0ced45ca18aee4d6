"""Times preparation and the gathering of windows beside plain stacks, in one run: python benchmarks/prepare.py.

What is compared, and why, stands in benchmarks/README.md. The machine may be busy: what is compared is timed in turn,
over and over, in processor seconds of one thread, and what counts is the ratio, with its spread.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from har.datasets.readers import read
from har.datasets.registry import get_card
from har.windows.account import Preparation
from har.windows.prepare import prepare
from har.windows.segment import gather
from har.windows.signal import Plan

_HAPT = Path(__file__).resolve().parents[2] / "shared" / "datasets" / "HAPT.zip"
_COPIED_BYTES = 1 << 29
_WINDOW = 128
_GATHERED_WINDOWS = 8192  # for each timing, in batches
_BATCHES = (64, 256)
_STORES = {  # rows and channels; two of them are far beyond a core's own caches
    "USC-HAD": (2_811_490, 6),
    "375 MiB": (870_000, 113),
    "512 MiB": (_COPIED_BYTES // 24, 6),
}
_PEAK = """
import sys
from har.datasets.registry import get_card
from har.windows.prepare import prepare

def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])

before = peak()
prepare(get_card("hapt"), source=sys.argv[1], root=sys.argv[2])
print(before, peak())
"""


def main() -> None:
    """Run both benchmarks and print their tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", type=Path, default=_HAPT, help="HAPT: its archive or its unpacked folder")
    parser.add_argument("--repeats", type=int, default=9, help="timings of each pair")
    options = parser.parse_args()
    pa.set_cpu_count(1)
    with tempfile.TemporaryDirectory() as place:
        folder = options.source
        if folder.is_file():
            folder = Path(place) / "raw"
            with zipfile.ZipFile(options.source) as archive:
                archive.extractall(folder)
        if folder.is_dir():
            _prepare(folder, Path(place) / "data", options.repeats)
        else:
            print(f"HAPT is not timed: there is no {folder}")
    _gather(options.repeats)


def _prepare(folder: Path, root: Path, repeats: int) -> None:
    """Time reading and preparing HAPT beside pandas."""
    card = get_card("hapt")
    paths = [*sorted(folder.glob("RawData/*_exp*_user*.txt")), folder / "RawData" / "labels.txt"]
    megabytes = sum(path.stat().st_size for path in paths) / 1e6
    number = iter(range(10**6))

    def bare() -> None:
        for path in paths:
            pd.read_csv(path, sep=" ", header=None)

    def parsed() -> None:
        for _ in Preparation(Plan.of(card)).recordings(read(card, folder)):
            pass

    def whole() -> None:
        prepare(card, source=folder, root=root / str(next(number)))

    print(f"HAPT, {megabytes:.0f} MB of text in {len(paths)} files, one thread")
    print(f"{'':26}{'wall s':>8}{'CPU s':>8}{'MB/CPU s':>10}{'CPU of pandas (lowest to highest)':>36}")
    times = _in_turn(
        {"pandas.read_csv": bare, "recordings in memory": parsed, "har prepare, all of it": whole}, repeats
    )
    for name, (wall, cpu) in times.items():
        middle = statistics.median(cpu)
        ratio = _ratio(cpu, times["pandas.read_csv"][1])
        print(f"{name:26}{statistics.median(wall):8.3f}{middle:8.3f}{megabytes / middle:10.0f}{ratio:>36}")
    if Path("/proc/self/status").is_file():
        command = [sys.executable, "-c", _PEAK, str(folder), str(root / "peak")]
        done = subprocess.run(command, capture_output=True, check=True, text=True)  # noqa: S603 - the text above
        before, after = map(int, done.stdout.split())
        print(f"peak memory {after >> 10} MiB, of which {(after - before) >> 10} MiB are not imports")
    print()


def _gather(repeats: int) -> None:
    """Time random gathers beside a copy of an array that no cache holds."""
    source, target = np.ones(_COPIED_BYTES // 4, np.float32), np.zeros(_COPIED_BYTES // 4, np.float32)
    random = np.random.default_rng(0)
    print(f"windows of {_WINDOW} samples drawn at random; GB read and written per CPU s")
    print(f"{'store':30}{'batch':>6}{'gather':>8}{'copy':>8}{'gather of copy (lowest to highest)':>38}")
    for name, (rows, channels) in _STORES.items():
        signal_TC = np.ones((rows, channels), np.float32)
        moved = 2 * _GATHERED_WINDOWS * _WINDOW * channels * 4
        for batch in _BATCHES:
            starts = random.integers(0, rows - _WINDOW, (_GATHERED_WINDOWS // batch, batch))

            def gathered(signal_TC: np.ndarray = signal_TC, starts: np.ndarray = starts) -> None:
                for start_N in starts:
                    gather(signal_TC, start_N, _WINDOW)

            times = _in_turn({"gather": gathered, "copy": lambda: np.copyto(target, source)}, repeats)
            rate = [moved / seconds / 1e9 for seconds in times["gather"][1]]
            bandwidth = [2 * _COPIED_BYTES / seconds / 1e9 for seconds in times["copy"][1]]
            middle = f"{statistics.median(rate):8.1f}{statistics.median(bandwidth):8.1f}"
            print(f"{f'{name}, {channels} channels':30}{batch:6}{middle}{_ratio(rate, bandwidth):>38}")


def _in_turn(actions: dict[str, Callable[[], None]], repeats: int) -> dict[str, tuple[list[float], list[float]]]:
    """Return wall and processor seconds of each action, timed in turn after one round that is not counted."""
    times: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in actions}
    for repeat in range(repeats + 1):
        for name, action in actions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            action()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if repeat:
                times[name][0].append(wall)
                times[name][1].append(cpu)
    return times


def _ratio(values: list[float], references: list[float]) -> str:
    """Return the median of the ratios of each turn, with the lowest and the highest."""
    ratios = [value / reference for value, reference in zip(values, references, strict=True)]
    return f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"


if __name__ == "__main__":
    main()
