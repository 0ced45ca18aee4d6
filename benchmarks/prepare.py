"""Times preparation and the gathering of windows beside plain stacks, in one run: python -m benchmarks.prepare.

What is compared, and why, stands in benchmarks/README.md. The machine may be busy: what is compared is timed in turn,
over and over, in processor seconds of one thread, and what counts is the ratio, with its spread.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from benchmarks.timing import Comparison, Times, compare, in_turn
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
_BARE = """
import sys
import pandas, pyarrow

pyarrow.set_cpu_count(1)
for path in sys.argv[1:]:
    pandas.read_csv(path, sep=" ", header=None)
"""
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
    measure(options.source, options.repeats)


def measure(source: Path = _HAPT, repeats: int = 9) -> dict[str, Comparison]:
    """Run both benchmarks, print their tables and return the ratios by name.

    Args:
        source: HAPT: its archive or its unpacked folder. It is left out where that is missing.
        repeats: Timings of each pair.
    """
    pa.set_cpu_count(1)
    found: dict[str, Comparison] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = source
        if folder.is_file():
            folder = Path(place) / "raw"
            with zipfile.ZipFile(source) as archive:
                archive.extractall(folder)
        if folder.is_dir():
            found |= _prepare(folder, Path(place) / "data", repeats)
        else:
            print(f"HAPT is not timed: there is no {folder}")
    return found | _gather(repeats)


def _prepare(folder: Path, root: Path, repeats: int) -> dict[str, Comparison]:
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

    def bare_program() -> None:
        _run([sys.executable, "-c", _BARE, *map(str, paths)])

    def program() -> None:
        place = root / str(next(number))
        _run([sys.executable, "-m", "har", "prepare", "hapt", "--source", str(folder), "--root", str(place)])

    print(f"HAPT, {megabytes:.0f} MB of text in {len(paths)} files, one thread")
    print(f"{'':30}{'wall s':>8}{'CPU s':>8}{'MB/CPU s':>10}{'CPU of pandas (lowest to highest)':>36}")
    inside = in_turn(
        {"pandas.read_csv": bare, "recordings in memory": parsed, "har prepare, all of it": whole}, repeats
    )
    outside = in_turn({"a program of pandas.read_csv": bare_program, "har prepare as a program": program}, repeats)
    found = {**_shown(inside, megabytes), **_shown(outside, megabytes)}
    if Path("/proc/self/status").is_file():
        command = [sys.executable, "-c", _PEAK, str(folder), str(root / "peak")]
        before, after = map(int, _run(command).split())
        print(f"peak memory {after >> 10} MiB, of which {(after - before) >> 10} MiB are not imports")
    print()
    return found


def _shown(times: dict[str, Times], megabytes: float) -> dict[str, Comparison]:
    """Print the times of actions, of which the first is plain; return the ratios of the others to it."""
    plain, *others = times
    found = {}
    for name, (wall, cpu) in times.items():
        middle = statistics.median(cpu)
        figures = {"plain": f"{plain}, {statistics.median(times[plain][1]):.3f} CPU s", "har": f"{middle:.3f} CPU s"}
        found[name] = compare(cpu, times[plain][1], f"processor time of {plain}", **figures)
        print(f"{name:30}{statistics.median(wall):8.3f}{middle:8.3f}{megabytes / middle:10.0f}{found[name]!s:>36}")
    return {f"hapt: {name}": found[name] for name in others}


def _run(command: list[str]) -> str:
    """Run a program of this benchmark and return what it says."""
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout  # noqa: S603 - from above


def _gather(repeats: int) -> dict[str, Comparison]:
    """Time random gathers beside a copy of an array that no cache holds."""
    source, target = np.ones(_COPIED_BYTES // 4, np.float32), np.zeros(_COPIED_BYTES // 4, np.float32)
    random = np.random.default_rng(0)
    print(f"windows of {_WINDOW} samples drawn at random; GB read and written per CPU s")
    print(f"{'store':30}{'batch':>6}{'gather':>8}{'copy':>8}{'gather of copy (lowest to highest)':>38}")
    found = {}
    for name, (rows, channels) in _STORES.items():
        signal_TC = np.ones((rows, channels), np.float32)
        moved = 2 * _GATHERED_WINDOWS * _WINDOW * channels * 4
        for batch in _BATCHES:
            starts = random.integers(0, rows - _WINDOW, (_GATHERED_WINDOWS // batch, batch))

            def gathered(signal_TC: np.ndarray = signal_TC, starts: np.ndarray = starts) -> None:
                for start_N in starts:
                    gather(signal_TC, start_N, _WINDOW)

            times = in_turn({"gather": gathered, "copy": lambda: np.copyto(target, source)}, repeats)
            rate = [moved / seconds / 1e9 for seconds in times["gather"][1]]
            bandwidth = [2 * _COPIED_BYTES / seconds / 1e9 for seconds in times["copy"][1]]
            middles = [statistics.median(values) for values in (rate, bandwidth)]
            figures = dict(zip(("har", "plain"), (f"{middle:.1f} GB/s" for middle in middles), strict=True))
            ratio = compare(rate, bandwidth, "bandwidth of numpy.copyto", **figures)
            found[f"gather: {name}, {channels} channels, batches of {batch}"] = ratio
            print(f"{f'{name}, {channels} channels':30}{batch:6}{middles[0]:8.1f}{middles[1]:8.1f}{ratio!s:>38}")
    return found


if __name__ == "__main__":
    main()
