"""The prepared fake of SPAR that the tests of studies share, and a small plan on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from har.study.definition import load_study
from har.study.plan import Options, Plan, make_plan
from tests.study.runners import fake_identity
from tests.study.small import write_root, write_study


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def planned(tmp_path_factory, data_root) -> Plan:
    return make_plan(load_study(write_study(tmp_path_factory.mktemp("study"))), Options(root=data_root))


@pytest.fixture
def plan(planned, tmp_path, monkeypatch) -> Plan:
    monkeypatch.setattr("har.training.record.identity", fake_identity)
    folder = tmp_path / "small" / "spar"
    runs = [replace(run, folder=folder / run.folder.relative_to(planned.folder)) for run in planned.runs]
    return replace(planned, folder=folder, runs=tuple(runs))
