"""Movements that a sensor might have seen: gravity, a swing at the activity's own frequency, noise."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

G = 9.80665  # m/s² in one g
MAGNETIC = np.array([0.42, 0.02, 0.90])  # direction of the field of the earth in central Europe


def motion(
    random: np.random.Generator, kind: int, rows: int, rate_hz: float, site: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return acceleration in g (gravity included), rotation in rad/s, field as a unit vector: each (rows, 3).

    Each kind of movement swings at a frequency and around a direction of gravity of its own, so that it can be learnt.

    Args:
        random: Where phase and noise come from.
        kind: A small number for the activity.
        rows: Samples.
        rate_hz: Samples per second.
        site: A small number for the place on the body; it turns the sensor.
    """
    time_s = np.arange(rows) / rate_hz
    turn = 0.7 * kind + 1.3 * site
    down = np.array([np.cos(turn), np.sin(turn), 0.3])
    # a swing across gravity leaves the median length of the sum near 1 g
    across = np.cross(down, [0.2, 0.3, 1.0])
    swing = np.sin(2 * np.pi * (0.4 + 0.25 * kind) * time_s + random.uniform(0, 6))[:, None]
    acc = down / np.linalg.norm(down) + 0.3 * swing * across / np.linalg.norm(across)
    acc = acc + random.normal(0, 0.02, (rows, 3))
    gyro = 1.5 * swing * [0.3, 0.2, 0.9] + random.normal(0, 0.1, (rows, 3))
    field = MAGNETIC / np.linalg.norm(MAGNETIC) + 0.1 * swing + random.normal(0, 0.01, (rows, 3))
    return acc, gyro, field


def count(pairs: list[tuple[object, int]]) -> dict[object, int]:
    """Return the sum of the numbers for each code, in the order of the codes' first appearance."""
    sums: dict[object, int] = {}
    for code, rows in pairs:
        sums[code] = sums.get(code, 0) + rows
    return sums


def save_mat(path: Path, content: dict[str, Any]) -> None:
    """Write a MATLAB 5 file whose header does not say when, so that the same content makes the same bytes."""
    scipy.io.savemat(path, content, do_compression=True)
    with path.open("r+b") as stream:
        stream.write(b"MATLAB 5.0 MAT-file, Platform: PCWIN, Created on: Sun Oct 17 17:39:12 2010".ljust(116))
