"""A small folder in the layout of DSADS (UCI 256, as its archive unpacks). Imports nothing from the project.

    data/a01/p1/s01.txt    125 rows of 45 numbers, separated by commas: T, RA, LA, RL, LL x (acc, gyro, mag) x (x, y, z)

Quirks: s01, s02, ... are pieces of one recording without a gap between them; the unit of the gyroscopes stands
nowhere; here each subject does three of the 19 activities, two pieces each (the true set: all of them, 60 pieces).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import G, count, motion

ROWS = 125


def write(folder: Path, *, seed: int = 0, pieces: int = 2) -> dict[str, Any]:
    """Write 8 subjects, three activities each.

    Returns:
        `source` (the folder that holds `data`), and what is in it: `files`, `recordings` (pieces joined), `rows`,
        `rows_per_code`, `subjects`, `signal` ((activity, subject) -> float64 (rows, 45) as written).
    """
    random = np.random.default_rng(seed)
    signal = {}
    for subject in range(1, 9):
        for code in sorted((3 * (subject - 1) + i) % 19 + 1 for i in range(3)):
            values = np.array([[float(f"{v:.4g}") for v in row] for row in _values(random, code, pieces * ROWS)])
            signal[code, subject] = values
            own = folder / "data" / f"a{code:02}" / f"p{subject}"
            own.mkdir(parents=True, exist_ok=True)
            for piece in range(pieces):
                lines = (",".join(f"{v:.4g}" for v in row) for row in values[piece * ROWS : (piece + 1) * ROWS])
                (own / f"s{piece + 1:02}.txt").write_text("\n".join(lines) + "\n")
    return {
        "source": folder,
        "files": pieces * len(signal),
        "recordings": len(signal),
        "rows": sum(map(len, signal.values())),
        "rows_per_code": dict(sorted(count([(code, len(values)) for (code, _), values in signal.items()]).items())),
        "subjects": [str(subject) for subject in range(1, 9)],
        "signal": signal,
    }


def _values(random: np.random.Generator, code: int, rows: int) -> np.ndarray:
    """Return (rows, 45): five sites of nine channels."""
    sites = []
    for site in range(5):
        acc, gyro, field = motion(random, code, rows, 25, site)
        sites += [acc * G, gyro, field]
    return np.hstack(sites)
