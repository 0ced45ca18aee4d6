"""A small folder in MotionSense's layout (A_DeviceMotion_data.zip, as it unpacks). Imports nothing from the project.

    A_DeviceMotion_data/dws_1/sub_1.csv    an index without a name, then 12 columns in g and rad/s
    data_subjects_info.csv                 starts with a byte-order mark

Quirks: gravity and userAcceleration are separate, the total acceleration is their sum; each activity has two or three
trials with numbers of their own; subjects are not padded with zeros (sub_10 sorts before sub_2).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import count, motion

TRIALS = {"dws": (1, 2, 11), "ups": (3, 4, 12), "wlk": (7, 8, 15), "jog": (9, 16), "std": (6, 14), "sit": (5, 13)}
HEADER = (
    ",attitude.roll,attitude.pitch,attitude.yaw,gravity.x,gravity.y,gravity.z,rotationRate.x,rotationRate.y,"
    "rotationRate.z,userAcceleration.x,userAcceleration.y,userAcceleration.z"
)


def write(folder: Path, *, seed: int = 0, rows: tuple[int, int] = (25, 35)) -> dict[str, Any]:
    """Write 24 subjects x 15 trials.

    Returns:
        `source` (the folder that holds `A_DeviceMotion_data`), and what is in it: `files`, `recordings`, `rows`,
        `rows_per_code`, `subjects`, `signal` ((activity, trial, subject) -> float64 (rows, 12) as written).
    """
    random = np.random.default_rng(seed)
    signal = {}
    for kind, (activity, trials) in enumerate(TRIALS.items()):
        for trial in trials:
            own = folder / "A_DeviceMotion_data" / f"{activity}_{trial}"
            own.mkdir(parents=True, exist_ok=True)
            for subject in range(1, 25):
                values = np.round(_values(random, kind, int(random.integers(*rows, endpoint=True))), 6)
                signal[activity, trial, subject] = values
                lines = (f"{i}," + ",".join(f"{value:.6f}" for value in row) for i, row in enumerate(values))
                (own / f"sub_{subject}.csv").write_text("\n".join([HEADER, *lines]) + "\n")
    information = "code,weight,height,age,gender\n" + "".join(f"{s},70,170,30,1\n" for s in range(1, 25))
    (folder / "data_subjects_info.csv").write_text(information, encoding="utf-8-sig")
    return {
        "source": folder,
        "files": len(signal),
        "recordings": len(signal),
        "rows": sum(map(len, signal.values())),
        "rows_per_code": count([(activity, len(values)) for (activity, _, _), values in signal.items()]),
        "subjects": [str(subject) for subject in range(1, 25)],
        "signal": signal,
    }


def _values(random: np.random.Generator, kind: int, rows: int) -> np.ndarray:
    """Return (rows, 12): attitude, gravity of length 1, rotation, what is left of the acceleration."""
    acc, gyro, _ = motion(random, kind, rows, 50)
    gravity = np.tile(acc.mean(axis=0) / np.linalg.norm(acc.mean(axis=0)), (rows, 1))
    return np.hstack([random.uniform(-1, 1, (rows, 3)), gravity, gyro, acc - gravity])
