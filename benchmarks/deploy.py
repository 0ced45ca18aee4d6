"""Times exported models beside eager torch, and a live stream on the clock: python -m benchmarks.deploy.

What is compared, and why, stands in benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.timing import Comparison, compare
from har.datasets.registry import get_card
from har.deploy.facts import Facts
from har.deploy.formats import exported, save_int8, save_onnx, save_program
from har.deploy.latency import one_torch_thread
from har.deploy.model import Model
from har.deploy.networks import of_classifier, open_network
from har.deploy.stream import ActivityStream
from har.learners.classifier import Classifier, InputScaling
from har.learners.cnn import CNN
from har.learners.folding import fold
from har.learners.initialise import initialise
from har.norms.plan import NormPlan
from har.windows.signal import Plan

SAMPLES, CALLS = 200, 100
RATE_HZ, JITTER = 100, 0.2  # of the live samples; share of a period
_AIM_MS = 0.15


def measure(repeats: int = 15, seconds: float = 30.0) -> dict[str, Comparison]:
    """Time single windows and live streams, print tables and return the ratios by name."""
    with tempfile.TemporaryDirectory() as folder:
        forms = _files(Path(folder))
        found = _windows(forms, repeats)
        for name, jitter in (("even samples", 0.0), ("jitter of a fifth of a period", JITTER)):
            found |= _live(forms["onnx"], name, jitter, seconds)
    return found


def _files(folder: Path) -> dict[str, Path | Classifier]:
    """Return three convolutions of 64 filters on 200 samples of six channels, eager and in every format."""
    card = get_card("spar")
    names = [channel.name for channel in card.channels]
    features = CNN().build(len(names), SAMPLES, NormPlan(placement="every"))
    classifier = Classifier(InputScaling("channel", torch.zeros(6), torch.ones(6), names), features, 7)
    initialise(classifier, 0)
    classifier.eval()
    activities = [activity.name for activity in card.activities]
    preparation = Plan.of(card).described()
    facts = Facts("spar", activities, float(card.rate_hz), SAMPLES, 1.0, preparation, {}, {}, {}, None, {})
    program = exported(fold(classifier)[0], SAMPLES, len(names))
    forms: dict[str, Path | Classifier] = {"eager": classifier}
    for name in ("onnx", "pt2", "int8"):
        forms[name] = folder / f"model-{name}.{'onnx' if name == 'int8' else name}"
    save_program(program, facts, folder / "model-pt2.pt2")
    save_onnx(program, facts, folder / "model-onnx.onnx")
    windows_NTC = np.random.default_rng(0).normal(0, 1, (64, SAMPLES, 6)).astype(np.float32)
    save_int8(folder / "model-onnx.onnx", facts, folder / "model-int8.onnx", windows_NTC)
    return forms


def _windows(forms: dict[str, Any], repeats: int) -> dict[str, Comparison]:
    """Time a single window of each form in turn, on one thread."""
    networks = {
        name: of_classifier(form) if isinstance(form, Classifier) else open_network(form)[1]
        for name, form in forms.items()
    }
    x_1TC = np.random.default_rng(1).normal(0, 1, (1, SAMPLES, 6)).astype(np.float32)
    times: dict[str, list[float]] = {name: [] for name in networks}
    with one_torch_thread():
        for repeat in range(repeats + 1):
            for name, network in networks.items():
                calls = []
                for _ in range(CALLS):
                    clock = time.perf_counter()
                    network(x_1TC)
                    calls.append(time.perf_counter() - clock)
                times[name] += [float(np.median(calls))] * bool(repeat)
    print(f"{'one window, one thread':34}{'ms':>9}{'of eager torch':>26}")
    found = {}
    middles = {name: {"ms": round(1e3 * float(np.median(values)), 4)} for name, values in times.items()}
    print(f"{'eager':34}{middles['eager']['ms']:9.4f}")
    for name in [name for name in times if name != "eager"]:
        sides = {side: middles[side] for side in ("eager", name)}
        found[f"one window: {name}"] = compare(times[name], times["eager"], "of eager torch, wall time", **sides)
        print(f"{name:34}{middles[name]['ms']:9.4f}{found[f'one window: {name}']!s:>26}")
    may = f"of the {_AIM_MS} ms that an ONNX window may take"
    aim = compare(times["onnx"], [_AIM_MS / 1e3] * repeats, may, onnx=middles["onnx"], aim={"ms": _AIM_MS})
    print(f"{'ONNX, of 0.15 ms':43}{aim!s:>26}\n")
    return found | {"one window: onnx, of 0.15 ms": aim}


def _live(model: Any, name: str, jitter: float, seconds: float) -> dict[str, Comparison]:
    """Feed `har stream` with samples at their own time; return its share of a core and its latencies."""
    facts, network = open_network(model)
    delay_s = ActivityStream(Model(facts, network), RATE_HZ).delay_s
    random = np.random.default_rng(2)
    time_s = (np.arange(round(seconds * RATE_HZ)) + random.uniform(-jitter, jitter, round(seconds * RATE_HZ))) / RATE_HZ
    signal_TC = random.normal((0, 0, 9.8, 0, 0, 0), 1, (len(time_s), 6))
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "har", "stream", str(model), "--rate-hz", str(RATE_HZ), "--json"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, **pipes) as process:  # noqa: S603 - our own module
        process.stderr.readline()  # it is ready
        decided: list[tuple[float, float]] = []  # end of the window, and when its decision came

        def listen() -> None:
            for line in process.stdout:
                decided.append((json.loads(line)["end_s"], time.perf_counter()))

        listener = threading.Thread(target=listen)
        listener.start()
        sent_s = _send(process, facts, time_s, signal_TC)
        process.stdin.close()
        listener.join()
    first, (spent_s, wall_s) = sent_s
    period_s = 1 / facts.rate_hz
    latencies = []
    for end_s, came in decided:
        # The last sample that the window needs: that of its last instant, or what the low-pass looks ahead to.
        needed = min(int(np.searchsorted(time_s, end_s - period_s + delay_s - 0.5 / RATE_HZ)), len(time_s) - 1)
        latencies.append(came - first[needed])
    fed = f"har stream, ONNX, six channels at {RATE_HZ} Hz, {name}"
    spent = {"stream": f"{fed}: {spent_s:.2f} CPU s", "core": f"{wall_s:.1f} s"}
    share = compare([spent_s], [wall_s], "of one core", **spent)
    sides = {"stream": f"{fed}: {len(latencies)} decisions", "aim": "50 ms from the last sample to the decision"}
    late = compare(latencies, [0.05] * len(latencies), "of the 50 ms that a decision may take", **sides)
    print(f"{'share of a core, ' + name:50}{share!s:>24}")
    print(f"{'of 50 ms, ' + name:50}{late!s:>24}   ({len(latencies)} decisions)")
    return {f"share of a core: {name}": share, f"of 50 ms: {name}": late}


def _send(
    process: Any, facts: Facts, time_s: np.ndarray, signal_TC: np.ndarray
) -> tuple[list[float], tuple[float, float]]:
    """Write each sample at its time; return when each was written, and processor and wall seconds behind a window."""
    process.stdin.write((",".join(["time_s", *(channel.name for channel in facts.inputs)]) + "\n").encode())
    warm = round(facts.window_s * RATE_HZ) + RATE_HZ  # imports of the first filter and network are behind it
    begin, written, before = time.perf_counter(), [], (0.0, 0.0)
    for number, (at_s, values) in enumerate(zip(time_s.tolist(), signal_TC.tolist(), strict=True)):
        time.sleep(max(begin + at_s - time.perf_counter(), 0))
        if number == warm:
            before = (_spent_s(process.pid), time.perf_counter())
        written.append(time.perf_counter())
        process.stdin.write((",".join(map(repr, [at_s, *values])) + "\n").encode())
        process.stdin.flush()
    return written, (_spent_s(process.pid) - before[0], time.perf_counter() - before[1])


def _spent_s(process: int) -> float:
    """Return the processor seconds that a running process has spent (Linux)."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15, help="timings of each")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each live stream")
    options = parser.parse_args()
    measure(options.repeats, options.seconds)


if __name__ == "__main__":
    main()
