"""The main study as `make study` runs it: the shipped file, the real SPAR recordings, from nothing to its report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from docs.findings.__main__ import main as findings
from har.__main__ import main

STUDY = Path(__file__).parents[2] / "configs" / "studies" / "bn-placement.yaml"
LEAST_F1 = 0.86  # of `every`, mean over the ten subjects
MOST_MIB = 4096.0


@pytest.mark.slow
def test_the_main_study_ends_with_all_its_runs_its_report_and_the_scores_that_are_published(tmp_path):
    """Its tables are printed: `pytest -m slow -rP` shows them, and how many scores are bit-equal on this machine."""
    assert (
        main(["study", str(STUDY), "--short", "--root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]) == 0
    )
    folder = tmp_path / "runs" / "bn-placement" / "spar"
    records = [json.loads(path.read_text()) for path in sorted(folder.rglob("run.json"))]
    peak_mib = max(record["peak_memory_mib"] for record in records)
    seconds = sum(record["seconds"] for record in records)
    print(f"{len(records)} runs, {seconds:.0f} s of work, peak {peak_mib:.0f} MiB")  # noqa: T201 - -rP shows it
    assert [record["status"] for record in records] == ["done"] * 40
    assert peak_mib <= MOST_MIB
    result = json.loads((folder / "contrasts.json").read_text())
    assert result["runs"] == {"declared": 40, "counted": 40}
    assert result["variants"]["every"]["macro_f1"] >= LEAST_F1
    assert [found["verdict"] for found in result["contrasts"] if found["verdict"] == "not judged"] == []
    for file in ("report.html", "report.md"):
        assert (folder / file).stat().st_size > 0
    assert findings(["check", str(tmp_path / "runs")]) == 0
