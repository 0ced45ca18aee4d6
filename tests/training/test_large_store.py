"""A store that is larger than the memory a process may have, trained from its memory map."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from har.datasets.card import Card, Channel
from har.datasets.recording import Recording
from har.training.record import read_run
from har.windows.prepare import store_folder
from har.windows.store import Store, write_store
from tests.fakes.stores import plain_card

STORE_BYTES = 8 << 30
DATA_BYTES = 2 << 30  # private memory that the process may have, arrays of its own included
# What it may reserve beyond that without touching it: allocators and stacks of threads take up to 1.1 GiB in advance.
RESERVED_BYTES = 2 << 30
RECORDINGS, SUBJECTS, CHANNELS, RATE_HZ = 64, 16, 6, 50
STRETCH = 30 * RATE_HZ  # samples of one activity

# The process watches itself: private memory apart from the pages of mapped files, which the system takes back at will.
RUN = """
import json, resource, sys, threading, time
resource.setrlimit(resource.RLIMIT_DATA, (int(sys.argv[3]),) * 2)
peak = dict.fromkeys(["RssAnon", "RssFile", "VmData"], 0)

def look():
    status = open("/proc/self/status").read()
    for name in peak:
        peak[name] = max(peak[name], int(status.split(name + ":")[1].split()[0]) >> 10)

def watch():
    while True:
        look()
        time.sleep(0.02)

threading.Thread(target=watch, daemon=True).start()
from pathlib import Path
from har.training.cli import resolve
from har.training.run import run
run(resolve([], json.loads(sys.argv[1])), Path(sys.argv[2]))
look()
print(json.dumps(peak))
"""


def card() -> Card:
    channels = [
        Channel(f"{sensor}_{axis}", sensor, "wrist", axis, unit)
        for sensor, unit in (("accelerometer", "m/s²"), ("gyroscope", "rad/s"))
        for axis in "xyz"
    ]
    return plain_card(name="large", rate_hz=float(RATE_HZ), channels=tuple(channels))


def recordings() -> Iterator[Recording]:
    """Noise that is louder in one of two activities, with an offset of each recording's own."""
    rows = STORE_BYTES // (RECORDINGS * CHANNELS * 4)
    noise_TC = np.random.default_rng(0).standard_normal((rows, CHANNELS), np.float32)
    label_T = (np.arange(rows) // STRETCH % 2).astype(np.int16)
    noise_TC *= (1 + label_T[:, None]).astype(np.float32)
    for number in range(RECORDINGS):
        noise_TC += np.float32(0.125)
        yield Recording(str(number % SUBJECTS + 1), f"trial-{number}", noise_TC, label_T)


@pytest.mark.slow
def test_a_store_of_8_gib_trains_with_2_gib_of_private_memory(tmp_path: Path) -> None:
    """What it took is printed: `pytest -m slow -rP` shows it."""
    if shutil.disk_usage(tmp_path).free < STORE_BYTES + (2 << 30):
        pytest.skip("needs 10 GiB of free disk")
    folder = store_folder("large", tmp_path)
    try:
        write_store(folder, card(), recordings())
        assert (folder / "signal.npy").stat().st_size >= STORE_BYTES - CHANNELS * 4 * RECORDINGS
        assert np.all(np.asarray(Store.open(folder).signal_TC[:: 1 << 16]) != 0)
        settings = {
            "data.name": "large",
            "data.root": str(tmp_path),
            "data.step_s": 1.0,
            "data.validation_subjects": 1,
            "model.learner": "har.learners.cnn.CNN",
            "model.learner.init_args.filters": [4, 4],
            "model.learner.init_args.pool": [4, 4],
            "trainer.max_steps": 100,
            "trainer.val_check_interval": 100,
            "trainer.enable_progress_bar": False,
        }
        command = [sys.executable, "-c", RUN, json.dumps(settings), str(tmp_path / "run")]
        command.append(str(DATA_BYTES + RESERVED_BYTES))
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        peak_mib = json.loads(done.stdout.splitlines()[-1])
        record = read_run(tmp_path / "run")
        windows = {part: record[f"{part}_windows"] for part in ("train", "validation", "test")}
        print(f"{windows} windows; most MiB: {peak_mib}")  # noqa: T201
        assert record["status"] == "done"
        assert peak_mib["RssAnon"] < DATA_BYTES >> 20
    finally:
        shutil.rmtree(folder, ignore_errors=True)
