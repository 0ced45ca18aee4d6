"""A small folder in USC-HAD's layout (USC-HAD.zip, as it unpacks). Imports nothing from the project.

    USC-HAD/Subject1/a1t1.mat   MATLAB 5: sensor_readings (rows, 6), acc in g, rotation in degrees/s; the rest is text

Quirks: the field `activity_number` is called `activity_numbr` in one file; Subject14/a3t2.mat says activity '2' (its
name is right); three files have a field `comments`; all metadata are text, also numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import count, motion, save_mat

_NAMES = (
    "walking-forward", "walking-left", "walking-right", "walking-upstairs", "walking-downstairs", "running-forward",
    "jumping-up", "sitting", "standing", "sleeping", "elevator-up", "elevator-down",
)  # fmt: skip


def write(folder: Path, *, seed: int = 0, rows: tuple[int, int] = (16, 24)) -> dict[str, Any]:
    """Write 14 subjects x 12 activities x 5 trials.

    Returns:
        `source` (the folder that holds `USC-HAD`), and what is in it: `files`, `recordings`, `rows`, `rows_per_code`,
        `subjects`, `signal` ((subject, activity, trial) -> float64 (rows, 6) as written).
    """
    random = np.random.default_rng(seed)
    signal = {}
    for subject in range(1, 15):
        own = folder / "USC-HAD" / f"Subject{subject}"
        own.mkdir(parents=True, exist_ok=True)
        for code in range(1, 13):
            for trial in range(1, 6):
                acc, gyro, _ = motion(random, code, int(random.integers(*rows, endpoint=True)), 100)
                values = np.hstack([acc, np.degrees(gyro)])
                signal[subject, code, trial] = values
                content = {**_fields(subject, code, trial), "sensor_readings": values}
                save_mat(own / f"a{code}t{trial}.mat", content)
    (folder / "USC-HAD" / "Readme.txt").write_text("USC Human Activity Dataset\n")
    return {
        "source": folder,
        "files": len(signal),
        "recordings": len(signal),
        "rows": sum(map(len, signal.values())),
        "rows_per_code": count([(code, len(values)) for (_, code, _), values in signal.items()]),
        "subjects": [str(subject) for subject in range(1, 15)],
        "signal": signal,
    }


def _fields(subject: int, code: int, trial: int) -> dict[str, str]:
    """Return the text fields of one file, quirks included."""
    number = "activity_numbr" if (subject, code, trial) == (2, 11, 5) else "activity_number"
    stated = 2 if (subject, code, trial) == (14, 3, 2) else code
    fields = {
        "title": "USC Human Motion Dataset",
        "subject": str(subject),
        "activity": _NAMES[stated - 1],
        number: str(stated),
        "trial": str(trial),
        "sensor_location": "front-right-hip",
    }
    has_comments = (subject, code, trial) in {(1, 4, 1), (5, 5, 5), (9, 7, 2)}
    return {**fields, "comments": "stopped once"} if has_comments else fields
