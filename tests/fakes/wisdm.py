"""A small folder in the layout of WISDM 2019 (UCI 507, as its archive unpacks). Imports nothing from the project.

    wisdm-dataset/raw/watch/accel/data_1600_accel_watch.txt    1600,A,90426708196641,7.091625,-0.5916671,8.195502;
    wisdm-dataset/activity_key.txt

subject, activity letter (no N), time in ns of the device's own counter, x, y, z in m/s² or rad/s, and a semicolon.

Quirks: about 20 Hz with jitter, some subjects 25 Hz; accelerometer and gyroscope start at different times and have
different numbers of rows; the counters of phone and watch have nothing in common; minutes pass between activities; a
watch loses more than a second now and then; some subjects lack an activity; one subject's gyroscope repeats a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import G, count, motion

LINE = "1600,A,90426708196641,7.091625,-0.5916671,8.195502;"  # from the true watch accelerometer
CODES = "ABCDEFGHIJKLMOPQRS"
SUBJECTS = range(1600, 1651)
_START_NS = {"phone": 252207666810782, "watch": 90426708196641}


def write(folder: Path, *, seed: int = 0, rows: int = 36) -> dict[str, Any]:
    """Write 51 subjects, three or four activities each, by phone and watch.

    Returns:
        `source` (the folder that holds `wisdm-dataset`) and `subjects`; under `cards`, for each device, `files`,
        `recordings` (subject and activity), `rows` and `rows_per_code` of the accelerometer, and `codes` (subject ->
        activities).
    """
    random = np.random.default_rng(seed)
    devices = {device: _write_device(folder / "wisdm-dataset", random, device, rows) for device in _START_NS}
    key = "".join(f"activity-{code.lower()} = {code}\n" for code in CODES)
    (folder / "wisdm-dataset" / "activity_key.txt").write_text(key)
    cards = {f"wisdm-{device}": content for device, content in devices.items()}
    return {"source": folder, "subjects": [str(subject) for subject in SUBJECTS], "cards": cards}


def _write_device(root: Path, random: np.random.Generator, device: str, rows: int) -> dict[str, Any]:
    """Write both sensors of a device."""
    written, codes = [], {}
    for sensor in ("accel", "gyro"):
        (root / "raw" / device / sensor).mkdir(parents=True, exist_ok=True)
    for i, subject in enumerate(SUBJECTS):
        own = [CODES[(4 * i + j) % 18] for j in range(4 if i % 10 else 3)]  # every tenth lacks an activity
        codes[str(subject)] = own
        texts: dict[str, list[str]] = {"accel": [], "gyro": []}
        start_ns = _START_NS[device] + i * 10**13
        for number, code in enumerate(own):
            signals = _activity(random, CODES.index(code), rows, 25 if i % 17 == 3 else 20)
            for sensor, (time_s, values) in signals.items():
                time_ns = start_ns + number * 240 * 10**9 + np.round(time_s * 1e9).astype(np.int64)
                if device == "watch" and number == 1 and subject == 1605:
                    time_ns[rows // 2 :] += 1_300_000_000
                if sensor == "gyro" and subject == 1610:
                    time_ns[5] = time_ns[4]
                texts[sensor] += _lines(subject, code, time_ns, values)
            written.append((code, len(signals["accel"][0])))
        if (device, subject) == ("watch", 1600):
            texts["accel"][0] = LINE
        for sensor, lines in texts.items():
            path = root / "raw" / device / sensor / f"data_{subject}_{sensor}_{device}.txt"
            path.write_text("\n".join(lines) + "\n")
    return {
        "files": 2 * len(SUBJECTS),
        "recordings": len(written),
        "rows": sum(rows for _, rows in written),
        "rows_per_code": count(written),
        "codes": codes,
    }


def _activity(
    random: np.random.Generator, kind: int, rows: int, rate_hz: float
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return times in s and values of both sensors; the gyroscope starts a little later and has fewer rows."""
    acc, gyro, _ = motion(random, kind, rows, rate_hz)
    time_s = np.arange(rows) / rate_hz
    jitter_s = random.uniform(-0.002, 0.002, (2, rows))
    jitter_s[:, 0] = 0
    return {
        "accel": (time_s + jitter_s[0], acc * G),
        "gyro": ((time_s + jitter_s[1] + 0.011)[: rows - 2], gyro[: rows - 2]),
    }


def _lines(subject: int, code: str, time_ns: np.ndarray, values: np.ndarray) -> list[str]:
    """Return the lines of one activity."""
    return [
        f"{subject},{code},{time},{x:.7g},{y:.7g},{z:.7g};"
        for time, (x, y, z) in zip(time_ns.tolist(), values.tolist(), strict=True)
    ]
