"""A small study of placements under the name of the real one."""

from __future__ import annotations

from pathlib import Path

from tests.fakes.study import FakeStudy, write_study

PLACEMENT = {"none": 0.6, "input": 0.62, "first": 0.64, "every": 0.9}
DECLARED = [("every", "input"), ("every", "first"), ("every", "none"), ("input", "none")]


def write_placement(root: Path, data_set: str = "fake", **settings) -> Path:
    """Write the study below a root of runs; return its folder."""
    plan = FakeStudy(hit=PLACEMENT, contrasts=DECLARED, name="bn-placement", data_set=data_set, **settings)
    return write_study(root / "bn-placement" / data_set, plan)
