"""Cards, experiments and studies with anything in them are read, or refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import strategies as st

from har.datasets.registry import card_names, load_card
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.training.cli import resolve
from tests.datasets.own import CARD
from tests.hardening.fuzz import cases, damaged, fuzz, one_of, rewritten
from tests.study.small import BASE, STUDY, fold, write_root
from tests.study.test_trials import CONTRASTS, TUNE

ROOT = Path(__file__).parents[2]
CARDS = [CARD.encode(), *((ROOT / "har/datasets/cards" / f"{name}.yaml").read_bytes() for name in card_names())]
EXPERIMENTS = [BASE.encode(), *(path.read_bytes() for path in sorted((ROOT / "configs/experiments").glob("*.yaml")))]
FULL = {
    **STUDY,
    "tune": TUNE,
    "contrasts": CONTRASTS,
    "repeats": 2,
    "inferences": ["running", "population"],
    "target": {"reference": "none", "share": 0.98},
    "short": ["none", "every"],
    "data_sets": {"spar": {"data.window_s": 2.0}},
}
FOLDS = {"folds": [fold("1"), fold("2")]}


def parsed(texts: list[bytes]) -> list[Any]:
    return [yaml.safe_load(text) for text in texts]


def written(path: Path, content: Any) -> Path:
    """Write bytes, or a value as YAML."""
    text = yaml.safe_dump(content, allow_unicode=True).encode() if not isinstance(content, bytes) else content
    path.write_bytes(text)
    return path


@cases(30, 700)
def test_cards(count, tmp_path):
    either = one_of(damaged, CARDS) | one_of(rewritten, parsed(CARDS))
    fuzz(count, either, lambda content: load_card(written(tmp_path / "card.yaml", content)))


@cases(8, 350)
def test_experiments(count, tmp_path):
    either = one_of(damaged, EXPERIMENTS) | one_of(rewritten, parsed(EXPERIMENTS))
    fuzz(count, either, lambda content: resolve([written(tmp_path / "experiment.yaml", content)], {}))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_root(tmp_path_factory.mktemp("data"))


def plan(path: Path, root: Path) -> None:
    make_plan(load_study(path), Options(root=root, runs=path.parent / "runs"))


@cases(12, 500)
def test_studies(count, root, tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "three.json").write_text(json.dumps(FOLDS))
    shipped = [path.read_bytes() for path in sorted((ROOT / "configs/studies").glob("*.yaml"))]
    either = one_of(rewritten, [FULL, FULL, STUDY, *parsed(shipped)]) | one_of(damaged, shipped)
    fuzz(count, either, lambda content: plan(written(tmp_path / "study.yaml", content), root))


@cases(4, 150)
def test_folds(count, root, tmp_path):
    (tmp_path / "base.yaml").write_text(BASE)
    study = written(tmp_path / "study.yaml", STUDY)

    def call(content: Any) -> None:
        written(tmp_path / "three.json", content if isinstance(content, bytes) else json.dumps(content).encode())
        plan(study, root)

    fuzz(count, st.one_of(rewritten(FOLDS), damaged(json.dumps(FOLDS).encode())), call)
