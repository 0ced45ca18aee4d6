"""What the tests of the findings start from."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from docs.findings.collect import collect
from tests.docs.placement import write_placement


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A root of runs with one study of two repeats, and what was collected of it; not to be changed."""
    root = tmp_path_factory.mktemp("findings")
    write_placement(root / "runs", repeats=2)
    collect([root / "runs"], root / "docs" / "results")
    return root


@pytest.fixture
def copied(built, tmp_path):
    return Path(shutil.copytree(built, tmp_path / "copy"))
