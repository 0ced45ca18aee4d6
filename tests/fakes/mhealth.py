"""A small folder in mHealth's layout (UCI 319, as its archive unpacks). Imports nothing from the project.

    MHEALTHDATASET/mHealth_subject1.log    24 numbers a line, separated by tabs

1-3 chest acc, 4-5 ECG, 6-14 left ankle acc, gyro, mag, 15-23 right lower arm acc, gyro, mag, 24 activity (0: null).
m/s², degrees/s, mV.

Quirks: no time stamps; subjects are not padded with zeros; small numbers have exponents of three digits; the chest has
no gyroscope.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tests.fakes.motion import G, count, motion

# The first three lines of the true mHealth_subject1.log.
LINES = (
    "-9.8184\t0.009971\t0.29563\t0.0041863\t0.0041863\t2.1849\t-9.6967\t0.63077\t0.1039\t-0.84053\t-0.68762\t-0.37\t"
    "-0.36327\t0.29963\t-8.6499\t-4.5781\t0.18776\t-0.44902\t-1.0103\t0.034483\t-2.35\t-1.6102\t-0.030899\t0",
    "-9.8489\t0.52404\t0.37348\t0.0041863\t0.016745\t2.3876\t-9.508\t0.68389\t0.085343\t-0.83865\t-0.68369\t-0.19799\t"
    "-0.18151\t0.58298\t-8.6275\t-4.3198\t0.023595\t-0.44902\t-1.0103\t0.034483\t-2.1632\t-0.88254\t0.32657\t0",
    "-9.6602\t0.18185\t0.43742\t0.016745\t0.037677\t2.4086\t-9.5674\t0.68113\t0.085343\t-0.83865\t-0.68369\t-0.37417\t"
    "0.18723\t0.43851\t-8.5055\t-4.2772\t0.27572\t-0.44902\t-1.0103\t0.034483\t-1.6175\t-0.16562\t-0.030693\t0",
)


def write(folder: Path, *, seed: int = 0) -> dict[str, Any]:
    """Write ten subjects: null, an activity, null, and so on.

    Returns:
        `source` (the folder that holds `MHEALTHDATASET`), and what is in it: `files`, `recordings`, `rows`,
        `rows_per_code`, `subjects`, `signal` (subject -> float64 (rows, 23) as written, without the activity).
    """
    random = np.random.default_rng(seed)
    own = folder / "MHEALTHDATASET"
    own.mkdir(parents=True, exist_ok=True)
    signal, written = {}, []
    for subject in range(1, 11):
        codes = [(5 * subject + i) % 12 + 1 for i in range(5)]
        plan = [(0, 40), *(step for code in codes for step in ((code, 55), (0, 20)))]
        lines = _lines(random, plan)
        if subject == 1:
            lines[:3] = LINES
        (own / f"mHealth_subject{subject}.log").write_text("\n".join(lines) + "\n")
        signal[subject] = np.array([[float(word) for word in line.split("\t")[:-1]] for line in lines])
        written += plan
    (own / "README.txt").write_text("MHEALTH dataset\n")
    return {
        "source": folder,
        "files": 10,
        "recordings": 10,
        "rows": sum(rows for _, rows in written),
        "rows_per_code": dict(sorted(count(written).items())),
        "subjects": [str(subject) for subject in range(1, 11)],
        "signal": signal,
    }


def _lines(random: np.random.Generator, plan: list[tuple[int, int]]) -> list[str]:
    """Return the lines of one subject."""
    codes = np.concatenate([np.full(rows, code) for code, rows in plan])
    sites = []
    for site in range(3):
        blocks = [motion(random, code, rows, 50, site) for code, rows in plan]
        sites.append([np.concatenate([block[i] for block in blocks]) for i in range(3)])
    (chest, _, _), (ankle, ankle_gyro, ankle_field), (arm, arm_gyro, arm_field) = sites
    ecg = random.normal(0, 0.2, (len(codes), 2))
    ankle_columns = [ankle * G, np.degrees(ankle_gyro), ankle_field]
    arm_columns = [arm * G, np.degrees(arm_gyro), arm_field]
    table = np.hstack([chest * G, ecg, *ankle_columns, *arm_columns])
    return [
        "\t".join([*map(_number, row), str(code)]) for row, code in zip(table.tolist(), codes.tolist(), strict=True)
    ]


def _number(value: float) -> str:
    """Return a number as MATLAB writes it on Windows: three digits in the exponent."""
    text = f"{value:.5g}"
    return text.replace("e-0", "e-00") if "e-" in text else text
