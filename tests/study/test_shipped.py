"""The studies that are shipped: each can be read, and each of its variants is a possible configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from har.study.definition import load_study
from har.training.cli import resolve

SHIPPED = sorted((Path(__file__).parents[2] / "configs" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_study_is_named_as_its_file_and_its_variants_resolve(path):
    study = load_study(path)
    assert study.name == path.stem
    for overrides in study.variants.values():
        resolve([study.base], {**overrides, "inferences": list(study.inferences)})
