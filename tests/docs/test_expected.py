"""Scores are held against the expected ones: a wrong score is noticed, chance is not."""

from __future__ import annotations

import math
import re
import shutil

import numpy as np
import pandas as pd
import pytest

from docs.findings import tables
from docs.findings.__main__ import main


def test_runs_as_they_were_are_within_tolerance_and_bit_equal(built, capsys):
    assert main(["--into", str(built / "docs"), "check", str(built / "runs")]) == 0
    said = capsys.readouterr().out
    assert "4 of 4 variants are within" in said
    assert said.count("2 of 2") == 4


def test_a_repeat_that_is_there_is_compared_by_itself(copied, capsys):
    study = copied / "runs" / "bn-placement" / "fake"
    for folder in study.glob("*/*/repeat-1"):
        shutil.rmtree(folder)
    assert main(["--into", str(copied / "docs"), "check", str(copied / "runs")]) == 0
    assert capsys.readouterr().out.count("1 of 1") == 4


def test_a_planted_deviation_is_found(copied, capsys):
    """One window wrong: another hash, but within the tolerance. All windows of four subjects: outside of it."""
    runs = sorted((copied / "runs" / "bn-placement" / "fake" / "v3").glob("*/repeat-0/predictions/running.parquet"))
    others = {"walk": "sit", "sit": "stairs", "stairs": "walk"}

    def flip(path, most):
        frame = pd.read_parquet(path)
        for row in np.flatnonzero(frame["truth"] == frame["prediction"])[:most]:
            wrong = others[frame.loc[row, "truth"]]
            frame.loc[row, "prediction"] = wrong
            for name in frame.columns:
                if name.startswith("probability:"):
                    frame.loc[row, name] = np.float32(0.6 if name == f"probability:{wrong}" else 0.2)
        frame.to_parquet(path, index=False)

    flip(runs[0], 1)
    assert main(["--into", str(copied / "docs"), "check", str(copied / "runs")]) == 0
    assert capsys.readouterr().out.count("1 of 2") == 1
    for path in runs[:4]:
        flip(path, 99)
    assert main(["--into", str(copied / "docs"), "check", str(copied / "runs")]) == 1
    said = capsys.readouterr().out
    assert re.search(r"every +\| .*\| NO ", said)
    assert "3 of 4 variants are within" in said


def test_the_tolerance_is_that_of_a_seed(built):
    rows = tables.read(built / "docs" / "results", tables.EXPECTED)
    by_variant = pd.DataFrame(rows).groupby("variant")["macro_f1"].var(ddof=1)
    (tolerance,) = {row["tolerance"] for row in rows}
    assert tolerance == pytest.approx(3 * math.sqrt(2 * by_variant.mean()))
