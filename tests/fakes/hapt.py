"""A small folder in HAPT's layout (UCI 341, as its archive unpacks). Imports nothing from the project.

    RawData/acc_exp01_user01.txt     0.9180555898766518 -0.1124999994242935 0.5097222514293852   (g)
    RawData/gyro_exp01_user01.txt    three numbers a line                                        (rad/s)
    RawData/labels.txt               experiment, user, activity, first and last sample (1-based, inclusive)

Quirks: two experiments a user, user 10 has three; rows outside every segment are unlabelled; values are multiples of
1/720 g and of 0.0003054326 rad/s; the feature folders Train/ and Test/ lie beside the raw data and are none of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import count, motion

# The first three lines of the true file.
LINES = ("1 1 5 250 1232", "1 1 7 1233 1392", "1 1 4 1393 2194")
_NAMES = (
    "WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING",
    "STAND_TO_SIT", "SIT_TO_STAND", "SIT_TO_LIE", "LIE_TO_SIT", "STAND_TO_LIE", "LIE_TO_STAND",
)  # fmt: skip
_USERS = [user for user in range(1, 31) for _ in range(3 if user == 10 else 2)]


def write(folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write 61 experiments of 30 users: the first as long as the three lines need, the others of about 150 rows.

    Returns:
        `source` (the folder), and what is in it: `files`, `recordings`, `rows`, `rows_per_code`, `segments`,
        `subjects`, `signal` ((experiment, user) -> float64 (rows, 6) as written).
    """
    random = np.random.default_rng(seed)
    raw = folder / "RawData"
    raw.mkdir(parents=True, exist_ok=True)
    segments, signal = [tuple(map(int, line.split())) for line in LINES], {}
    for experiment, user in enumerate(_USERS, start=1):
        if experiment > 1:
            segments += _segments(random, experiment, user)
        rows = max(last for e, *_, last in segments if e == experiment) + int(random.integers(5, 15))
        own = [segment[2:] for segment in segments if segment[0] == experiment]
        acc, gyro = _signal(random, own, rows)
        signal[experiment, user] = np.hstack([acc, gyro])
        for kind, values in (("acc", acc), ("gyro", gyro)):
            np.savetxt(raw / f"{kind}_exp{experiment:02}_user{user:02}.txt", values, "%.16g")
    (raw / "labels.txt").write_text("".join(" ".join(map(str, segment)) + "\n" for segment in segments))
    _write_the_rest(folder)
    return {
        "source": folder,
        "files": 2 * len(_USERS) + 1,
        "recordings": len(_USERS),
        "rows": sum(map(len, signal.values())),
        "rows_per_code": count([(code, last - first + 1) for _, _, code, first, last in segments]),
        "segments": segments,
        "subjects": [str(user) for user in sorted(set(_USERS))],
        "signal": signal,
    }


def _segments(random: np.random.Generator, experiment: int, user: int) -> list[tuple[int, ...]]:
    """Return four segments with unlabelled rows before, after and between some of them."""
    found, row = [], int(random.integers(5, 12))
    for i in range(4):
        code, rows = (4 * experiment + i) % 12 + 1, int(random.integers(28, 36))
        found.append((experiment, user, code, row, row + rows - 1))
        row += rows + (3 if i % 2 else 0)
    return found


def _signal(random: np.random.Generator, segments: list[tuple[int, ...]], rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return acceleration and rotation of one experiment, rounded to what the sensor resolves."""
    acc, gyro, _ = motion(random, 0, rows, 50)
    for code, first, last in segments:
        acc[first - 1 : last], gyro[first - 1 : last], _ = motion(random, code, last - first + 1, 50)
    return np.round(acc * 720) / 720, np.round(gyro / 0.0003054326) * 0.0003054326


def _write_the_rest(folder: Path) -> None:
    """Write what the archive holds beside the raw data."""
    (folder / "activity_labels.txt").write_text("".join(f"{i} {name:18}\n" for i, name in enumerate(_NAMES, start=1)))
    (folder / "README.txt").write_text("Smartphone-Based Recognition of Human Activities and Postural Transitions\n")
    for part in ("Train", "Test"):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / f"subject_id_{part.lower()}.txt").write_text("1\n")
