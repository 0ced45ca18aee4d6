"""Folders of tables for which a card is drafted."""

import re

import numpy as np

from har.datasets.draft import draft
from har.datasets.registry import load_card
from tests.datasets.own import all_of, write


def table(rows=120, rate_hz=50, unit=1000, start=5000, delimiter=",", decimal=".", header=True, g=9.81, seed=0):
    """Return a table with a clock, three axes and two activities."""
    random = np.random.default_rng(seed)
    acc = random.normal((0, 0, g), 0.05 * g, (rows, 3))
    time = [f"{start + i * unit / rate_hz:.15g}" for i in range(rows)]
    lines = [delimiter.join(["time", "acc_x", "acc_y", "acc_z", "activity"])] if header else []
    for i in range(rows):
        values = [time[i], *(f"{value:.4f}" for value in acc[i])]
        lines.append(
            delimiter.join([*(v.replace(".", decimal) for v in values), "walk" if i < rows // 2 else "Sit down"])
        )
    return "\n".join(lines) + "\n"


def drafted(tmp_path, files):
    folder = write(tmp_path / "My walks", files)
    path = tmp_path / "card.yaml"
    path.write_text(draft(folder))
    card = load_card(path)
    return card, all_of(card, folder), path.read_text()


def without_labels(**options):
    return re.sub(r"(?m),[^,]*$", "", table(**options))
