"""A small folder in UCI-HAR's layout (UCI 240, as its archive unpacks). Imports nothing from the project.

    UCI HAR Dataset/train/subject_train.txt                         one subject a line
    UCI HAR Dataset/train/y_train.txt                               one code a line
    UCI HAR Dataset/train/Inertial Signals/total_acc_x_train.txt    one window of 128 values a line

A value is 16 characters wide, its exponent has three digits: `  1.0128170e+000`. Units are g and rad/s.

Quirks: the windows of one bout overlap by half, so they are no stream; body_acc is total_acc less gravity; test
subjects are 2, 4, 9, 10, 12, 13, 18, 20, 24; X_*.txt (561 features) lies beside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import count, motion

TEST = (2, 4, 9, 10, 12, 13, 18, 20, 24)
_NAMES = ("WALKING", "WALKING_UPSTAIRS", "WALKING_DOWNSTAIRS", "SITTING", "STANDING", "LAYING")
_SAMPLES = 128


def write(folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write two windows a subject, which overlap by half.

    Returns:
        `source` (the folder that holds `UCI HAR Dataset`), and what is in it: `files` (9 signals, labels and subjects
        of each part), `recordings` (windows), `rows`, `rows_per_code`, `subjects`, `windows` (list of (part, subject,
        code, float64 (128, 9)); body_acc, body_gyro, total_acc).
    """
    random = np.random.default_rng(seed)
    parts = {"train": [s for s in range(1, 31) if s not in TEST], "test": list(TEST)}
    windows = []
    for part, subjects in parts.items():
        for i, subject in enumerate(subjects):
            acc, gyro, _ = motion(random, i % 6 + 1, 3 * _SAMPLES // 2, 50)
            bout = np.hstack([acc - acc.mean(axis=0), gyro, acc])
            windows += [(part, subject, i % 6 + 1, bout[start : start + _SAMPLES]) for start in (0, _SAMPLES // 2)]
    root = folder / "UCI HAR Dataset"
    for part in parts:
        _write_part(root / part, part, [window[1:] for window in windows if window[0] == part])
    (root / "activity_labels.txt").write_text("".join(f"{i} {name}\n" for i, name in enumerate(_NAMES, start=1)))
    return {
        "source": folder,
        "files": 22,
        "recordings": len(windows),
        "rows": _SAMPLES * len(windows),
        "rows_per_code": count([(code, _SAMPLES) for _, _, code, _ in windows]),
        "subjects": [str(subject) for subject in range(1, 31)],
        "windows": windows,
    }


def _write_part(folder: Path, part: str, windows: list[tuple[int, int, np.ndarray]]) -> None:
    """Write the windows of one part."""
    signals = folder / "Inertial Signals"
    signals.mkdir(parents=True, exist_ok=True)
    names = [f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz"]
    for column, name in enumerate(names):
        text = "".join(_line(values[:, column]) for _, _, values in windows)
        (signals / f"{name}_{part}.txt").write_text(text)
    (folder / f"subject_{part}.txt").write_text("".join(f"{subject}\n" for subject, _, _ in windows))
    (folder / f"y_{part}.txt").write_text("".join(f"{code}\n" for _, code, _ in windows))
    (folder / f"X_{part}.txt").write_text("".join(_line(np.zeros(561)) for _ in windows[:3]))


def _line(values: np.ndarray) -> str:
    """Return one line as MATLAB writes it on Windows: three digits in the exponent."""
    words = (f"{value:.7e}" for value in values)
    return "".join(f"{word[:-2] + '0' + word[-2:]:>16}" for word in words) + "\n"
