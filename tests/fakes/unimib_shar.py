"""A small folder in UniMiB-SHAR's layout (UniMiB-SHAR.zip, as it unpacks). Imports nothing from the project.

    UniMiB-SHAR/data/acc_data.mat      acc_data (windows, 453) = x (151) | y (151) | z (151), m/s²
    UniMiB-SHAR/data/acc_labels.mat    acc_labels (windows, 3), uint8: class 1-17, subject, trial
    UniMiB-SHAR/data/acc_names.mat     acc_names 2 x 17: description, short name

Quirks: adl_*, fall_* and two_classes_* hold the same windows under other classes; adl_names is 9 x 1 and fall_names
8 x 1; ten subjects lack classes; an earlier release has the same names and 51 samples a window, axes interleaved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import G, count, motion, save_mat

NAMES = (
    ("Standing up from sitting", "StandingUpFS"), ("Standing up from laying", "StandingUpFL"), ("Walking", "Walking"),
    ("Running", "Running"), ("Going upstairs", "GoingUpS"), ("Jumping", "Jumping"), ("Going downstairs", "GoingDownS"),
    ("Lying down from standing", "LyingDownFS"), ("Sitting down", "SittingDown"),
    ("Generic falling forward", "FallingForw"), ("Falling rightward", "FallingRight"),
    ("Generic falling backward", "FallingBack"), ("Hitting an obstacle in the fall", "HittingObstacle"),
    ("Falling with protection strategies", "FallingWithPS"), ("Falling backward-sitting-chair", "FallingBackSC"),
    ("Syncope", "Syncope"), ("Falling leftward", "FallingLeft"),
)  # fmt: skip
# subject -> classes that it lacks, as in the true label files
LACKING = {4: (1,), 7: (1,), 8: (2,), 10: (1, 2), 12: (8,), 18: (3,), 26: (9,), 27: (1,), 28: (1, 9), 30: (1,)}


def write(folder: Path, *, seed: int = 0, samples: int = 151) -> dict[str, Any]:
    """Write three windows a subject.

    Args:
        folder: Where to write.
        seed: Of the signals.
        samples: 151, or 51 for the earlier release.

    Returns:
        `source` (the folder that holds `UniMiB-SHAR`), and what is in it: `files` (signals and labels of `acc`),
        `recordings` (windows), `rows`, `rows_per_code`, `subjects`, `labels` (windows, 3), `windows` (windows,
        samples, 3) as written.
    """
    random = np.random.default_rng(seed)
    labels = [
        (code, subject, trial + 1)
        for subject in range(1, 31)
        for trial, code in enumerate(((4 * subject + 6 * i) % 17 + 1) for i in range(3))
        if code not in LACKING.get(subject, ())
    ]
    labels_N3 = np.array(sorted(labels), np.uint8)
    windows = np.stack([motion(random, int(code), samples, 50)[0] * G for code, _, _ in labels_N3])
    # three axes one after the other; the earlier release has them side by side
    rows_NX = (windows.transpose(0, 2, 1) if samples == 151 else windows).reshape(len(windows), -1)
    _save(folder / "UniMiB-SHAR" / "data", rows_NX, labels_N3)
    return {
        "source": folder,
        "files": 2,
        "recordings": len(windows),
        "rows": samples * len(windows),
        "rows_per_code": count([(int(code), samples) for code in labels_N3[:, 0]]),
        "subjects": [str(subject) for subject in range(1, 31)],
        "labels": labels_N3,
        "windows": windows,
    }


def _save(data: Path, rows_NX: np.ndarray, labels_N3: np.ndarray) -> None:
    """Write the four views of the same windows."""
    data.mkdir(parents=True, exist_ok=True)
    is_fall = labels_N3[:, 0] > 9
    two = labels_N3.copy()
    two[:, 0] = 1 + is_fall
    fall = labels_N3[is_fall] - np.array([9, 0, 0], np.uint8)
    views = {
        "acc": (rows_NX, labels_N3, np.array(NAMES, object).T),
        "adl": (rows_NX[~is_fall], labels_N3[~is_fall], np.array([[long] for long, _ in NAMES[:9]], object)),
        "fall": (rows_NX[is_fall], fall, np.array([[long] for long, _ in NAMES[9:]], object)),
        "two_classes": (rows_NX, two, np.array([["adl"], ["fall"]], object)),
    }
    for name, (rows, labels, names) in views.items():
        for kind, value in (("data", rows), ("labels", labels), ("names", names)):
            if name == "two_classes" and kind == "data":
                continue  # the same matrix once more
            content = {f"{name}_{kind}": value}
            save_mat(data / f"{name}_{kind}.mat", content)
