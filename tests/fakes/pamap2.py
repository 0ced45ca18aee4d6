"""A small folder in PAMAP2's layout (UCI 231, as its archives unpack). Imports nothing from the project.

    PAMAP2_Dataset/Protocol/subject101.dat    54 numbers a line, separated by spaces; NaN where there is none
    PAMAP2_Dataset/Optional/subject101.dat    the same, other activities of the same subjects

1 time in s, 2 activity, 3 heart rate, then hand, chest and ankle: temperature, acc ±16 g (m/s²), acc ±6 g, gyro
(rad/s), mag (µT), orientation (invalid).

Quirks: heart rate at 9 Hz, else NaN; wireless sensors lose packets (NaN); 0 is "transient", to be discarded, and
recordings were joined inside of it; subject 109 has one activity; several subjects lack some.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import G, count, motion

# The first line of the true Protocol/subject101.dat.
LINE = (
    "8.38 0 104 30 2.37223 8.60074 3.51048 2.43954 8.76165 3.35465 -0.0922174 0.0568115 -0.0158445 14.6806 -69.2128 "
    "-5.58905 1 0 0 0 31.8125 0.23808 9.80003 -1.68896 0.265304 9.81549 -1.41344 -0.00506495 -0.00678097 -0.00566295 "
    "0.47196 -51.0499 43.2903 1 0 0 0 30.3125 9.65918 -1.65569 -0.0997967 9.64689 -1.55576 0.310404 0.00830026 "
    "0.00925038 -0.0175803 -61.1888 -38.9599 -58.1438 1 0 0 0"
)
PROTOCOL = (1, 2, 3, 17, 16, 12, 13, 4, 7, 6, 5, 24)  # in the order they were done
OPTIONAL = (9, 10, 11, 18, 19, 20)
_OPTIONAL_SUBJECTS = (101, 105, 106, 108, 109)


def write(folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write the protocol files of nine subjects and the optional ones of five.

    Returns:
        `source` (the folder that holds `PAMAP2_Dataset`), and what is in it: `files` (protocol), `recordings` (runs of
        one or more activities between transients), `rows` without transients, `raw_rows` and `transient_rows`,
        `rows_per_code`, `subjects`, `lost` (rows with NaN in an IMU, labelled), all of Protocol.
    """
    random = np.random.default_rng(seed)
    written: list[tuple[int, int]] = []
    recordings = lost = 0
    for subject in range(101, 110):
        kept = [PROTOCOL[-1]] if subject == 109 else [PROTOCOL[(subject + i) % 12] for i in range(0, 12, 3)]
        plan = [(0, 30), *(step for code in kept for step in ((code, 50), (0, 15)))]
        if subject == 101:  # one activity after the other, nothing between
            plan = [(0, 30), (1, 45), (2, 45), (0, 20), (24, 45), (0, 10)]
        lost += _write(folder, random, "Protocol", subject, plan)
        written += plan
        recordings += _runs([code for code, _ in plan])
    for subject in _OPTIONAL_SUBJECTS:
        _write(folder, random, "Optional", subject, [(0, 10), (OPTIONAL[subject % 6], 30), (0, 10)])
    rows = count(written)
    transient = rows.pop(0)
    return {
        "source": folder,
        "files": 9,
        "recordings": recordings,
        "rows": sum(rows.values()),
        "raw_rows": sum(rows.values()) + transient,
        "transient_rows": transient,
        "rows_per_code": rows,
        "subjects": [str(subject) for subject in range(101, 110)],
        "lost": lost,
    }


def _runs(codes: list[int]) -> int:
    """Return how many stretches without a transient there are."""
    return sum(code != 0 and before == 0 for before, code in zip([0, *codes], codes, strict=False))


def _write(folder: Path, random: np.random.Generator, part: str, subject: int, plan: list[tuple[int, int]]) -> int:
    """Write one file; return how many labelled rows lost a packet."""
    codes = np.concatenate([np.full(rows, code) for code, rows in plan])
    rows = len(codes)
    imus = []
    for site in range(3):
        blocks = [motion(random, code % 19, length, 100, site) for code, length in plan]
        acc, gyro, field = (np.concatenate([block[i] for block in blocks]) for i in range(3))
        small = np.clip(acc * G + 0.4, -59, 59)  # ±6 g: not calibrated to the other, saturates
        orientation = np.tile([1.0, 0, 0, 0], (rows, 1))
        imus.append(np.hstack([np.full((rows, 1), 30.5), acc * G, small, gyro, 50 * field, orientation]))
    gaps = np.zeros(rows, bool)
    labelled = np.flatnonzero(codes)
    gaps[labelled[20:23]] = True
    imus[0][gaps] = np.nan
    time_s = 8.38 + 0.01 * np.arange(rows)
    heart = np.where(np.arange(rows) % 11 == 0, 104.0, np.nan)
    table = np.column_stack([time_s, codes, heart, *imus])
    lines = [" ".join("NaN" if value != value else f"{value:.6g}" for value in row) for row in table.tolist()]
    if (part, subject) == ("Protocol", 101):
        lines[0] = LINE
    own = folder / "PAMAP2_Dataset" / part
    own.mkdir(parents=True, exist_ok=True)
    (own / f"subject{subject}.dat").write_text("\n".join(lines) + "\n")
    return int(np.count_nonzero(gaps & (codes != 0)))
