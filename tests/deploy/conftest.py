"""The real SPAR recordings, prepared, and an untrained run on them."""

from __future__ import annotations

from pathlib import Path

import pytest

import har
from har.datasets.registry import get_card
from har.deploy.model import Model
from har.windows.store import Store
from tests.deploy.made import made_run, prepared


@pytest.fixture(scope="session")
def spar(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The store of SPAR, which comes with a dependency."""
    return prepared(get_card("spar"), tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def run(spar: Store, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on SPAR: windows of 2 s every 0.5 s at 50 Hz."""
    return made_run(tmp_path_factory.mktemp("runs") / "run", spar, root=spar.folder.parents[1])


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    """The run's model in use."""
    return har.load(run)
