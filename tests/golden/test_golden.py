"""The arithmetic of training is the one that the golden losses were made with."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.golden.trace import FILE, STEPS, VARIANTS, losses, prepared


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_losses_of_the_first_steps_are_the_golden_ones(variant: str, root: Path) -> None:
    golden = json.loads(FILE.read_text(encoding="utf-8"))["losses"][variant]
    assert len(golden) == STEPS
    np.testing.assert_allclose(losses(root, VARIANTS[variant]), golden, rtol=1e-6)
