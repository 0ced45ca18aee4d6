"""A prepared fake of SPAR, and a configuration whose run takes a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from har.windows.prepare import prepare
from tests.fakes.stores import faked


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the fake of SPAR in it."""
    folder = tmp_path_factory.mktemp("data")
    card, written = faked("spar", folder / "raw")
    prepare(card, source=written["source"], root=folder)
    return folder


@pytest.fixture
def small(data_root: Path) -> dict[str, Any]:
    """Dotted settings of a small run on the fake."""
    return small_settings(data_root)


def small_settings(data_root: Path) -> dict[str, Any]:
    """Return them, for fixtures of a whole module."""
    return {
        "name": "small",
        "data.root": str(data_root),
        "data.window_s": 2.0,
        "data.step_s": 0.5,
        "data.batch_size": 32,
        "model.learner": "har.learners.cnn.CNN",
        "model.learner.init_args.filters": [8, 8],
        "model.learner.init_args.pool": [4, 2],
        "model.learning_rate": 0.003,
        "trainer.max_steps": 30,
        "trainer.val_check_interval": 10,
        "trainer.enable_progress_bar": False,
    }
