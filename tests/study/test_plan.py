"""Plans: each run is a complete experiment configuration, and seeds are nested in folds."""

from __future__ import annotations

import copy
import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from har.commands.study import _overrides, _parser
from har.errors import DataError, UsageError
from har.learners.cnn import CNN
from har.study import plan as planning
from har.study.definition import load_study
from har.study.plan import Options, Plan, make_plan
from har.study.record import caveats, command_line, record, save_plan
from har.study.runs import fill, run_seed
from har.windows.prepare import open_store, prepare
from har.windows.splits import grouped_k_fold, load_folds
from tests.datasets import own
from tests.study.small import fold, write_study

NAMES = st.text("abcdefghijklmnopqrstuvwxyz-0123456789", min_size=1, max_size=12)


@pytest.fixture
def study(tmp_path):
    return load_study(write_study(tmp_path))


@pytest.fixture
def plan(study, data_root, tmp_path) -> Plan:
    return make_plan(replace(study, repeats=2), Options(root=data_root, runs=tmp_path / "runs"))


@given(st.integers(0, 2**32), st.lists(st.tuples(NAMES, st.integers(0, 99)), unique=True, min_size=2, max_size=20))
@settings(max_examples=100)
def test_seeds_differ_between_folds_and_between_repeats(seed, places):
    seeds = [run_seed(seed, name, repeat) for name, repeat in places]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= value < 2**31 for value in seeds)


@given(st.integers(0, 2**32), st.integers(0, 2**32), NAMES)
@settings(max_examples=50)
def test_another_study_seed_is_another_run_seed(one, other, name):
    assert (run_seed(one, name, 0) == run_seed(other, name, 0)) == (one == other)


def test_run_seeds_are_the_same_on_every_machine():
    assert run_seed(0, "subject-1", 0) == 1364700960


def test_variants_of_a_fold_and_repeat_share_their_seed_and_others_do_not(plan):
    seeds: dict[tuple[str, int], set[int]] = {}
    for run in plan.runs:
        seeds.setdefault((run.fold.name, run.repeat), set()).add(run.config["seed_everything"])
    assert all(len(values) == 1 for values in seeds.values())
    assert len(set.union(*seeds.values())) == len(seeds) == 6


def test_the_variants_of_a_fold_stand_together_and_repeats_come_last(plan):
    order = [(run.repeat, run.fold.name, run.variant) for run in plan.runs]
    folds = ("subject-1", "subject-2", "subject-3")
    assert order == [(repeat, name, variant) for repeat in (0, 1) for name in folds for variant in ("none", "every")]


def test_run_folders_are_study_data_set_variant_fold_repeat(plan, tmp_path):
    assert plan.folder == tmp_path / "runs" / "small" / "spar"
    assert plan.runs[1].folder == plan.folder / "every" / "subject-1" / "repeat-0"
    assert len({run.folder for run in plan.runs}) == len(plan.runs) == 12


def test_a_filled_in_configuration_is_the_one_that_the_parser_would_give(plan, study):
    from har.training.cli import resolve

    run = plan.runs[3]
    overrides = {
        "model.norm.placement": run.variant,
        "name": study.name,
        "data.folds": study.protocol.folds,
        "data.root": run.config["data"]["root"],
        "data.fold": run.fold.name,
        "seed_everything": run_seed(0, run.fold.name, run.repeat),
    }
    assert run.config == resolve([study.base], overrides)


def test_filling_in_leaves_the_shared_configuration_alone(plan):
    config = plan.runs[0].config
    before = copy.deepcopy(config)
    fill(config, "elsewhere", 1)
    assert config == before


def test_the_saved_configuration_of_a_run_is_the_same_run(plan):
    from har.training.record import identity

    config = plan.runs[0].config
    assert identity(yaml.safe_load(yaml.safe_dump(config))) == identity(config)


def test_every_run_has_one_thread_its_variant_and_its_fold(plan):
    for run in plan.runs:
        assert run.config["threads"] == 1
        assert run.config["model"]["norm"]["placement"] == run.variant
        assert run.config["data"]["fold"] == run.fold.name


def test_an_override_for_all_variants_reaches_every_run(study, data_root):
    plan = make_plan(
        study, Options(root=data_root, overrides={"trainer.max_steps": 7, "trainer.val_check_interval": 7})
    )
    assert {run.config["trainer"]["max_steps"] for run in plan.runs} == {7}
    assert record(plan)["overrides"]["trainer.max_steps"] == 7


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.norm.placement", "is what variant 'none' sets"),
        ("seed_everything", "is set by the study itself"),
        ("data.fold", "is set by the study itself"),
        ("a..b", "is not a dotted key"),
    ],
)
def test_an_override_that_belongs_to_study_or_variant_is_refused(study, data_root, key, words):
    with pytest.raises(UsageError, match=words):
        make_plan(study, Options(root=data_root, overrides={key: 1}))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"model.norm.placement": "evry"}, "every"),
        ({"model.norm.plcement": "every"}, "model.norm.placement"),
        ({"trainer.max_steps": "many"}, "many"),
    ],
)
def test_a_variant_that_cannot_be_is_refused_by_name_before_anything_is_written(tmp_path, data_root, override, words):
    variants = {"none": {"model.norm.placement": "none"}, "odd": override}
    path = write_study(tmp_path, variants=variants, contrasts=[{"a": "odd", "b": "none", "primary": True}])
    with pytest.raises(UsageError) as refusal:
        make_plan(load_study(path), Options(root=data_root, runs=tmp_path / "runs"))
    assert words in str(refusal.value)
    assert "variant 'odd' of" in str(refusal.value)
    assert not (tmp_path / "runs").exists()


def test_an_unknown_data_set_is_refused_with_the_nearest(study, data_root):
    with pytest.raises(UsageError, match="data set 'spr' is not known") as refusal:
        make_plan(study, Options(data="spr", root=data_root))
    assert "Did you mean 'spar'?" in refusal.value.hint


def test_a_store_of_ones_own_needs_no_built_in_card(tmp_path):
    rows = own.lines(*["0,0,9.8,walk"] * 100, *["0,9.8,0,sit"] * 100)
    raw = own.write(tmp_path / "raw", {f"{name}/day.csv": rows for name in ("anna", "ben", "carla", "dora")})
    prepare(own.card_with(tmp_path), source=raw, root=tmp_path / "data")
    study = load_study(write_study(tmp_path / "study", protocol={"folds": "loso", "validation_subjects": 1}))
    plan = make_plan(study, Options(data="mine", root=tmp_path / "data", runs=tmp_path / "runs"))
    assert [fold.name for fold in plan.folds] == ["subject-anna", "subject-ben", "subject-carla", "subject-dora"]
    assert plan.folder == tmp_path / "runs" / "small" / "mine"
    assert "--data mine" in command_line(plan)


@pytest.mark.parametrize("name", ["../prepared/spar", "spar/", ".", ""])
def test_a_data_set_is_named_and_not_pointed_at(study, data_root, name):
    with pytest.raises(UsageError, match="is not known"):
        make_plan(study, Options(data=name, root=data_root))


def test_a_data_set_without_a_store_is_prepared_first(study, tmp_path, monkeypatch, data_root):
    def copy_store(card, root):
        asked.append(card.name)
        (Path(root) / "prepared").symlink_to(data_root / "prepared")

    asked: list[str] = []
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(planning, "prepare", copy_store)
    make_plan(study, Options(root=tmp_path / "data"))
    make_plan(study, Options(root=tmp_path / "data"))
    assert asked == ["spar"]


def test_a_damaged_store_is_an_error_and_not_prepared_anew(study, tmp_path):
    (tmp_path / "data" / "prepared" / "spar").mkdir(parents=True)
    with pytest.raises(DataError, match="spar"):
        make_plan(study, Options(root=tmp_path / "data"))


def test_leave_one_subject_out_and_k_folds_cover_every_subject_once(tmp_path, data_root):
    for protocol, count in (
        ({"folds": "loso", "validation_subjects": 2}, 10),
        ({"folds": "kfold", "fold_count": 4, "validation_subjects": 1}, 4),
    ):
        plan = make_plan(load_study(write_study(tmp_path, protocol=protocol)), Options(root=data_root))
        assert len(plan.folds) == count
        assert sorted((s for f in plan.folds for s in f.test), key=int) == [str(i) for i in range(1, 11)]
        assert {len(f.validation) for f in plan.folds} == {protocol["validation_subjects"]}


def test_a_fold_name_that_is_no_folder_name_is_refused(tmp_path, data_root):
    path = write_study(tmp_path, [{**fold("1"), "name": "../1"}])
    with pytest.raises(UsageError, match=r"fold name '\.\./1'"):
        make_plan(load_study(path), Options(root=data_root))


def test_study_json_says_what_is_compared_and_where_the_runs_are(plan):
    save_plan(plan)
    saved = json.loads((plan.folder / "study.json").read_text())
    assert saved["question"] == "Is every better than none?"
    assert saved["variants"]["every"] == {"model.norm.placement": "every"}
    assert saved["contrasts"] == [{"a": "every", "b": "none", "primary": True}]
    assert saved["runs"][1] == {
        "variant": "every",
        "fold": "subject-1",
        "repeat": 0,
        "folder": "every/subject-1/repeat-0",
    }
    assert saved["folds"][0] == {
        "name": "subject-1",
        "train": ["4", "5", "6", "7"],
        "validation": ["8"],
        "test": ["1"],
    }
    assert (saved["repeats"], saved["seed"], saved["data_set"]) == (2, 0, "spar")
    assert saved["protocol"]["max_steps"] == 30
    assert "fold_count" not in saved["protocol"]


def test_the_protocol_leaves_out_what_variants_differ_in(tmp_path, data_root):
    variants = {"slow": {"model.learning_rate": 0.001}, "fast": {"model.learning_rate": 1e-2}}
    path = write_study(tmp_path, variants=variants, contrasts=[{"a": "slow", "b": "fast", "primary": True}])
    plan = make_plan(load_study(path), Options(root=data_root))
    assert "learning_rate" not in record(plan)["protocol"]
    assert record(plan)["protocol"]["scaling"] == "channel"
    assert "The variants have learning rates of their own: slow 0.001, fast 0.01." in record(plan)["notes"]


def test_one_repeat_and_the_matched_learning_rate_are_said_with_the_command_for_three(study, data_root):
    notes = " ".join(caveats(make_plan(study, Options(root=data_root))))
    assert "One repeat per fold was used" in notes
    assert f"har study {study.file} --root {data_root} --repeats 3" in notes
    assert "The learning rate was matched: 0.003 for every variant" in notes


class Codebook(CNN):
    """A learner of somebody's own that is trained in steps, by a name that one fitted at once has."""


def test_what_is_fitted_at_once_is_told_by_the_learner_and_not_by_its_name(study, data_root):
    plan = make_plan(study, Options(root=data_root))
    for run in plan.runs:
        run.config["model"]["learner"]["class_path"] = f"{__name__}.Codebook"
    assert "The learning rate was matched: 0.003 for every variant, tuned for none of them." in caveats(plan)


def test_several_repeats_are_said_without_a_command(plan):
    assert caveats(plan)[0] == "2 repeats per fold were used, each with a seed of its own."


@pytest.mark.parametrize("value", [60, 1e-3, "every", "two words", None, True, [0, 2], "null"])
def test_the_command_line_of_a_study_says_what_was_asked_for(study, data_root, value):
    options = Options("spar", "my runs", data_root, {"model.weight_decay": value})
    plan = Plan(study, "spar", Path("runs"), (), (), options)
    program, command, *words = shlex.split(command_line(plan))
    parsed = _parser().parse_args(words)
    assert (program, command) == ("har", "study")
    assert (parsed.file, parsed.data, parsed.runs, parsed.root) == (str(study.file), "spar", "my runs", str(data_root))
    assert parsed.repeats == 1
    assert _overrides(parsed.set) == options.overrides


def test_other_folds_than_before_are_refused(plan, tmp_path, data_root):
    save_plan(plan)
    save_plan(plan)
    path = write_study(tmp_path / "other", [fold("1"), fold("2"), fold("3", train=("5", "6"))])
    with pytest.raises(UsageError, match="first difference: subject-3"):
        save_plan(make_plan(load_study(path), Options(root=data_root, runs=tmp_path / "runs")))


def test_every_run_predicts_with_the_inferences_of_the_study(data_root, tmp_path):
    study = load_study(write_study(tmp_path / "study", inferences=["running", "population", "running+hmm"]))
    plan = make_plan(study, Options(root=data_root))
    assert all(run.config["inferences"] == ["running", "population"] for run in plan.runs)  # evaluation smooths
    assert record(plan)["inferences"] == ["running", "population", "running+hmm"]
    with pytest.raises(UsageError, match="is set by the study itself"):
        make_plan(study, Options(root=data_root, overrides={"inferences": ["running"]}))


def test_subjects_can_be_divided_otherwise_than_the_file_says(tmp_path, data_root):
    study = load_study(write_study(tmp_path, protocol={"folds": "loso", "validation_subjects": 2}))
    plan = make_plan(study, Options(root=data_root, folds="kfold", fold_count=4))
    store = open_store("spar", data_root)
    assert list(plan.folds) == grouped_k_fold(store.subjects, 4, 2, 0)
    data = plan.runs[0].config["data"]
    assert (data["folds"], data["fold_count"], data["validation_subjects"]) == ("kfold", 4, 2)
    assert "--folds kfold --fold-count 4" in command_line(plan)
    own = tmp_path / "three.json"  # a file says itself who validates
    assert [fold.name for fold in make_plan(study, Options(root=data_root, folds=str(own))).folds] == [
        fold.name for fold in load_folds(own)
    ]


def test_a_split_that_names_who_validates_needs_no_number_for_that(tmp_path, data_root):
    study = load_study(write_study(tmp_path))  # its file of folds has none
    named = {"train": ["3", "4"], "validation": ["2"], "test": ["1"]}
    shutil.copytree(data_root, tmp_path / "data")
    manifest = tmp_path / "data" / "prepared" / "spar" / "manifest.json"
    splits = {"splits": {"own": named, "half": {**named, "validation": []}}}
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | splits))
    (made,) = make_plan(study, Options(root=tmp_path / "data", folds="own")).folds
    assert (made.train, made.validation, made.test) == (("3", "4"), ("2",), ("1",))
    with pytest.raises(UsageError, match="cannot give 0 to validate"):
        make_plan(study, Options(root=tmp_path / "data", folds="half"))
