"""The studies that are shipped: each can be read, and be run on its own data set and on another."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from har.study.conduct import survey
from har.study.declared import Protocol, short_form
from har.study.definition import load_study
from har.study.plan import Options, make_plan
from har.study.rehearsal import rehearse
from har.windows.prepare import prepare
from tests.fakes.stores import faked

FOLDER = Path(__file__).parents[2] / "configs" / "studies"
SHIPPED = sorted(FOLDER.glob("*.yaml"))


@pytest.fixture(scope="module")
def hapt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the fake of HAPT, whose recordings are mostly shorter than the four seconds of the base."""
    root = tmp_path_factory.mktemp("hapt")
    card, written = faked("hapt", root / "raw")
    prepare(card, source=written["source"], root=root)
    return root


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_study_is_named_as_its_file_and_declares_a_family_that_ten_subjects_can_show(path: Path) -> None:
    """Of ten subjects the smallest p is 2/2¹⁰, which Holm multiplies by the size of the family."""
    study = load_study(path)
    assert study.name == path.stem
    assert len(study.contrasts) * 2 / 2**10 < 0.05
    assert study.data_sets["hapt"]["data.window_s"] == 2.56


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_run_of_a_shipped_study_could_begin_on_another_data_set(path: Path, hapt: Path, tmp_path: Path) -> None:
    """Windows, kernels, groups, chunks and batches fit windows of 128 samples, hence also the 200 of the base."""
    study = load_study(path)
    for own in study.variants.values():  # in a fake an activity lasts hardly longer than a window
        own.update({"data.set_aside_s": 0.0} if "data.set_aside_s" in own else {})
    inferences = tuple(name for name in study.inferences if not name.startswith("personal"))
    three = replace(study, protocol=Protocol("kfold", 3, 1), inferences=inferences)
    # Windows start close to one another, so that those of a small fake fill a batch.
    options = Options(data="hapt", root=hapt, runs=tmp_path, overrides={"data.step_s": 0.1})
    found = survey(make_plan(three, options))
    assert {round(run.config["data"]["window_s"] * 50) for run in found.plan.work} == {128}
    # Inner folds, which tuning makes, may lack an activity of so small a fake.
    assert [sentence for sentence in rehearse(found).failing if re.search(r"/fold-\d+[, ]", sentence)] == []


def test_the_short_form_of_the_main_study_is_forty_runs_of_spar_and_the_whole_crosses_placement_with_scaling() -> None:
    study = load_study(FOLDER / "bn-placement.yaml")
    assert list(short_form(study).variants) == ["none", "input", "first", "every"]
    crossed = {
        (own["model.norm.placement"], own.get("model.norm.order", "pre"), own["model.scaling"])
        for own in study.variants.values()
    }
    placements = [(name, "pre") for name in ("none", "input_scalar", "input", "first", "every", "last", "input_every")]
    both = {(*place, scaling) for place in [*placements, ("every", "post")] for scaling in ("none", "channel")}
    assert crossed == both | {("none", "pre", "scalar")}


def test_arms_of_the_small_batch_study_differ_in_the_norm_alone_and_see_as_many_examples() -> None:
    study = load_study(FOLDER / "small-batch.yaml")
    apart: dict[bool, list[dict[str, object]]] = {True: [], False: []}
    for name, own in study.variants.items():
        shared = {key: value for key, value in own.items() if not key.startswith("model.norm")}
        apart["true" in name].append(shared)
    assert apart[False] == [{"data.batch_size": 128}] * 16
    (true,) = [dict(pairs) for pairs in {tuple(shared.items()) for shared in apart[True]}]
    assert true["data.batch_size"] * true["trainer.max_steps"] == 128 * 600  # type: ignore[operator]
    assert true["trainer.max_steps"] / true["trainer.val_check_interval"] == 600 / 50  # type: ignore[operator]
    assert true["model.learning_rate"] * 8 == 0.001  # type: ignore[operator]
    memory = {own["model.norm.options.size"]: own["model.norm.options.memory"] for name, own in study.variants.items()
              if name.startswith("mabn-") and "true" not in name}  # fmt: skip
    assert memory == {2: 16, 4: 8, 8: 4, 32: 1, 128: 1}
