"""The prepared fake of SPAR that the tests of studies share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.study.small import write_root


@pytest.fixture(scope="session")
def data_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))
