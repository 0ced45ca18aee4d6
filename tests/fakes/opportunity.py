"""A small folder in OPPORTUNITY's layout (UCI 226, as its archive unpacks). Imports nothing from the project.

    OpportunityUCIDataset/dataset/S1-ADL1.dat         250 numbers a line, separated by spaces; NaN where there is none
    OpportunityUCIDataset/dataset/column_names.txt    Column: 2 Accelerometer RKN^ accX; value = ...
    OpportunityUCIDataset/dataset/label_legend.txt    406516   -   ML_Both_Arms   -   Open Door 1

1 time in ms; 2-37 accelerometers, 38-102 five IMUs, 103-134 two shoes, 135-243 objects, switches, ambient, location;
244 locomotion, 245-249 other tracks, 250 gestures. Whole numbers: milli-g, gyroscopes x 1000.

Quirks: the hands (LH, RH) are missing throughout; wireless accelerometers lose packets and end early; 0 is null in
both tracks, and locomotion has no code 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import count, motion

# Three lines of each of the true documents.
COLUMNS = (
    "Column: 1 MILLISEC",
    "Column: 2 Accelerometer RKN^ accX; value = round(original_value), unit = milli g",
    "Column: 38 InertialMeasurementUnit BACK accX; value = round(original_value / 9.8 * 1000), unit = milli g",
)
LEGEND = (
    "1   -   Locomotion   -   Stand",
    "406516   -   ML_Both_Arms   -   Open Door 1",
    "405506   -   ML_Both_Arms   -   Toggle Switch",
)
GESTURES = (
    406516, 406517, 404516, 404517, 406520, 404520, 406505, 404505, 406519, 404519, 406511, 404511, 406508, 404508,
    408512, 407521, 405506,
)  # fmt: skip
LOCOMOTION = (1, 2, 4, 5)
_RUNS = ("ADL1", "ADL2", "ADL3", "ADL4", "ADL5", "Drill")
_ROWS = 64


def write(folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write six runs of four subjects, 64 rows each.

    Returns:
        `source` (the folder that holds `OpportunityUCIDataset`), and what is in it: `files`, `recordings`, `rows`,
        `rows_per_code` (gestures and null), `subjects`, `missing_columns` (1-based); `cards` has the other track.
    """
    random = np.random.default_rng(seed)
    own = folder / "OpportunityUCIDataset" / "dataset"
    own.mkdir(parents=True, exist_ok=True)
    gestures: list[tuple[int, int]] = []
    locomotion: list[tuple[int, int]] = []
    number = 0
    for subject in range(1, 5):
        for run in _RUNS:
            first, second = GESTURES[number % 17], GESTURES[(number + 9) % 17]
            doing = [(0, 12), (first, 20), (0, 10), (second, 14), (0, 8)]
            moving = [(LOCOMOTION[number % 4], 30), (0, 6), (LOCOMOTION[(number + 1) % 4], 28)]
            (own / f"S{subject}-{run}.dat").write_text(_text(random, doing, moving))
            gestures += doing
            locomotion += moving
            number += 1
    (own / "column_names.txt").write_text("Data columns:\n\n" + "\n".join(COLUMNS) + "\n")
    (own / "label_legend.txt").write_text(
        "Unique index   -   Track name   -   Label name\n\n" + "\n".join(LEGEND) + "\n"
    )
    return {
        "source": folder,
        "files": number,
        "recordings": number,
        "rows": number * _ROWS,
        "rows_per_code": count(gestures),
        "subjects": ["1", "2", "3", "4"],
        "missing_columns": [*range(14, 17), *range(35, 38)],
        "cards": {"opportunity-locomotion": {"rows_per_code": count(locomotion)}},
    }


def _text(random: np.random.Generator, doing: list[tuple[int, int]], moving: list[tuple[int, int]]) -> str:
    """Return one file: the body moves as the gesture says."""
    table = np.full((_ROWS, 250), np.nan)
    table[:, 0] = np.round(np.arange(_ROWS) * 100 / 3)
    kinds = [(GESTURES.index(code) + 1 if code else 0, rows) for code, rows in doing]
    for site in range(12):  # wireless accelerometers
        acc, _, _ = _body(random, kinds, site)
        table[:, 1 + 3 * site : 4 + 3 * site] = acc * 1000
    for site in range(5):
        acc, gyro, field = _body(random, kinds, site)
        start = 37 + 13 * site
        table[:, start : start + 9] = np.hstack([acc, gyro, field]) * 1000
        table[:, start + 9 : start + 13] = [900, 100, 200, 300]
    for shoe in range(2):
        acc, gyro, _ = _body(random, kinds, shoe)
        start = 102 + 16 * shoe
        euler = 30 * acc
        table[:, start : start + 16] = np.hstack([euler, *[acc * 1000] * 2, *[gyro * 1000] * 2, euler[:, :1] + 180])
    table[:, 13:16] = table[:, 34:37] = np.nan  # the hands
    table[9:11, 1:4] = np.nan  # packets
    table[-3:, 7:10] = np.nan  # a sensor that ends early
    table[:, 194:207] = 0
    table[:, 243] = np.concatenate([np.full(rows, code) for code, rows in moving])
    table[:, 244:249] = 0
    table[:, 249] = np.concatenate([np.full(rows, code) for code, rows in doing])
    return "".join(" ".join("NaN" if v != v else str(round(v)) for v in row) + "\n" for row in table.tolist())


def _body(random: np.random.Generator, kinds: list[tuple[int, int]], site: int) -> tuple[np.ndarray, ...]:
    """Return acceleration, rotation and field at one site over all gestures of a file."""
    blocks = [motion(random, kind, rows, 30, site) for kind, rows in kinds]
    return tuple(np.concatenate([block[i] for block in blocks]) for i in range(3))
