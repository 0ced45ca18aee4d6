"""A small file in SPAR's layout: a pickled dictionary in a NumPy file. Imports nothing from the project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

_LABELS = ["PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW"]


def write(folder: Path, *, seed: int = 0, rows: tuple[int, int] = (210, 260)) -> dict[str, Any]:
    """Write `watch_dataset.npy`: 10 subjects, 7 exercises, both arms, in random order, in g and rad/s.

    Each exercise swings at a frequency and around a gravity direction of its own, so that it can be learnt.

    Returns:
        `source` (the file), and what is in it: `recordings`, `rows`, `rows_per_code`, `channels`, `keys` in file order.
    """
    random = np.random.default_rng(seed)
    keys = [(subject, code, side) for subject in range(1, 11) for code in range(7) for side in (0, 1)]
    keys = [keys[i] for i in random.permutation(len(keys))]
    streams = [_stream(random, code, int(random.integers(*rows, endpoint=True))) for _, code, _ in keys]
    content = {
        "X": streams,
        "y": np.array([code for _, code, _ in keys]),
        "subject": np.array([subject for subject, _, _ in keys]),
        "side": np.array([float(side) for _, _, side in keys]),
        "X_labels": ["ax", "ay", "az", "wx", "wy", "wz"],
        "y_labels": _LABELS,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "watch_dataset.npy"
    np.save(path, np.array(content, object), allow_pickle=True)
    return {
        "source": path,
        "recordings": len(keys),
        "rows": sum(map(len, streams)),
        "rows_per_code": {
            code: sum(len(stream) for stream, key in zip(streams, keys, strict=True) if key[1] == code)
            for code in range(7)
        },
        "content": content,
    }


def _stream(random: np.random.Generator, code: int, rows: int) -> np.ndarray:
    """Return float64 (rows, 6) in Fortran order, as in the true file: gravity, a swing, noise."""
    time_s = np.arange(rows) / 50
    gravity = np.array([np.cos(code), np.sin(code), 0.3])
    swing = np.sin(2 * np.pi * (0.3 + 0.2 * code) * time_s + random.uniform(0, 6))[:, None]
    acc = gravity / np.linalg.norm(gravity) + 0.2 * swing + random.normal(0, 0.05, (rows, 3))
    gyro = 2 * swing + random.normal(0, 0.3, (rows, 3))
    return np.asfortranarray(np.hstack([acc, gyro]))
