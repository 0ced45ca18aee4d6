"""The configuration: precedence, refusals, and an option surface that changes on purpose only."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from har.errors import UsageError
from har.training.cli import complete, full_help, parts, resolve

EXPERIMENTS = sorted((Path(__file__).parents[2] / "configs" / "experiments").glob("*.yaml"))
SETTINGS = {
    "data": "activities batch_size fold fold_count folds label_rule min_purity name null root set_aside_s "
    "shift_s step_s train_subjects validation_subjects window_s",
    "model": "adaptive_clipping augmentation head learner learning_rate norm optimisation precise_validation scaling "
    "weight_decay",
    "model.head": "kind options",
    "model.augmentation": "channel_dropout gain jitter mirror rotation_deg time_warp",
    "model.optimisation": "class_weights label_smoothing optimiser schedule warm_up weight_averaging",
    "model.norm": "epsilon kind momentum options order placement",
    "model.learner.init_args": "dropout filters kernel pool",
}


def at(config: dict[str, Any], dotted: str) -> Any:
    for key in dotted.split("."):
        config = config[key]
    return config


def written(path: Path, settings: object) -> Path:
    path.write_text(yaml.safe_dump(settings))
    return path


def test_the_settings_are_these_and_no_others() -> None:
    config = resolve([], {})
    assert set(config) == {"name", "seed_everything", "threads", "inferences", "probes", "data", "model", "trainer"}
    for section, names in SETTINGS.items():
        assert " ".join(sorted(at(config, section))) == names, section


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_is_complete_and_consistent(path: Path) -> None:
    config = resolve([path], {})
    assert config["name"] == path.stem
    parts(config)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed_everything", 2**63),
        ("data.batch_size", -(2**64)),
        ("trainer.max_steps", 10**400),
        ("data.step_s", 10**400),
        ("model.learning_rate", -(10**400)),
    ],
)
def test_a_number_that_no_setting_can_be_is_refused(key: str, value: int) -> None:
    with pytest.raises(UsageError, match=rf"of {len(str(abs(value)))} digits is more than"):
        resolve([], {key: value})


def test_command_line_beats_later_file_beats_earlier_file_beats_default(tmp_path: Path) -> None:
    one = written(tmp_path / "1.yaml", {"data": {"window_s": 1.0, "step_s": 1.0, "batch_size": 1}})
    two = written(tmp_path / "2.yaml", {"data": {"step_s": 2.0, "batch_size": 2}})
    config = complete(["--data.batch_size=3", "--config", str(one), "--config", str(two), "--data.batch_size=3"])
    data = config["data"]
    assert (data["window_s"], data["step_s"], data["batch_size"], data["label_rule"]) == (1.0, 2.0, 3, "majority")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([], None),
        (["--probes=false"], None),
        (["--probes=null"], None),
        (["--probes=true"], {"times": 10, "batches": 2, "windows": 256}),
        (["--probes={}"], {"times": 10, "batches": 2, "windows": 256}),
        (["--probes={times: 3}", "--probes.windows=64"], {"times": 3, "batches": 2, "windows": 64}),
        (["--probes=true", "--probes.times=4"], {"times": 4, "batches": 2, "windows": 256}),
    ],
)
def test_probes_are_off_and_their_settings_complete(given: list[str], meant: dict[str, int] | None) -> None:
    config = complete(given)
    assert config["probes"] == meant
    assert resolve([], {"probes": meant})["probes"] == meant
    parts(config)


@pytest.mark.parametrize("given", ["--probes.times=0", "--probes.batches=0", "--probes.windows=1", "--probes.windos=9"])
def test_impossible_probes_are_refused(given: str) -> None:
    name = given.removeprefix("--").split("=")[0].split(".")[1]
    with pytest.raises(UsageError, match=name):
        complete([given])


def test_an_unknown_setting_of_probes_gets_its_neighbours(tmp_path: Path) -> None:
    for arguments in (
        ["--probes.windos=9"],
        ["--config", str(written(tmp_path / "a.yaml", {"probes": {"windos": 9}}))],
    ):
        with pytest.raises(UsageError, match=r"probes\.windos") as raised:
            complete(arguments)
        assert "'probes.windows'" in raised.value.hint


def test_a_saved_configuration_resolves_to_itself(tmp_path: Path) -> None:
    config = resolve([EXPERIMENTS[0]], {"model.norm.placement": [0, 2], "data.activities": ["pendulum", "abduction"]})
    assert resolve([written(tmp_path / "config.yaml", config)], {}) == config


@pytest.mark.parametrize("value", ["every", "none", [0, 2], [1]])
def test_overrides_arrive_as_they_are(value: object) -> None:
    assert resolve([], {"model.norm.placement": value})["model"]["norm"]["placement"] == value


def test_text_that_looks_like_another_type_stays_text() -> None:
    assert resolve([], {"data.fold": "3"})["data"]["fold"] == "3"


@pytest.mark.parametrize(
    ("overrides", "what", "hint"),
    [
        ({"model.norm.placment": "every"}, "model.norm.placment", "'model.norm.placement'"),
        ({"modl.norm": "x"}, "modl", "'model'"),
        ({"trainer.max_step": 3}, "trainer.max_step", "'trainer.max_steps'"),  # never an abbreviation
        ({"model.norm.placement": "evry"}, "evry", "'every'"),
        ({"model.learner.init_args.kernl": 3}, "model.learner.init_args.kernl", "kernel"),
        ({"model.learner.init_args.kernel": "long"}, "kernel", "har fit --help=all"),
        ({"data.window_s": "long"}, "data.window_s", "har fit --help=all"),
        ({"model.learner": "har.learners.cnn.CN"}, "'CN'", "CNN"),
        ({"model.learner": "LTSM"}, "'LTSM'", "LSTM"),
        ({"model.learning_rate": -1}, "-1", "0.001"),
        ({"trainer.logger": True}, "trainer.logger", "trainer.max_steps"),
        ({"trainer.max_epochs": 3}, "trainer.max_epochs", "trainer.max_steps"),
    ],
)
def test_wrong_settings_are_one_error_with_the_nearest(overrides: dict[str, Any], what: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        resolve([], overrides)
    assert what in error.value.what
    assert hint in error.value.hint
    assert "\n" not in error.value.what


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("model: {norm: {placment: every}}", "model.norm.placment"),
        ("modl: {}", "modl"),
        ("data: {window: 3}", "data.window"),
        ("a: [", "line 1, column 5"),
        ("- 1", "holds no settings"),
        ("model: {learner: {class_path: har.learners.cnn.CNN, init_args: {kernl: 3}}}", "kernl"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, text: str, what: str) -> None:
    path = tmp_path / "experiment.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as error:
        resolve([path], {})
    assert what in error.value.what


def test_a_missing_file_names_its_neighbours() -> None:
    with pytest.raises(UsageError) as error:
        resolve([EXPERIMENTS[0].with_name("spar-cn.yaml")], {})
    assert "spar-cnn.yaml" in error.value.hint


def test_full_help_names_settings_of_module_data_and_trainer() -> None:
    text = full_help()
    assert all(key in text for key in ("--model.norm.placement", "--data.window_s", "--trainer.max_steps"))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"threads": None}, "threads: Expected a <class 'int'>"),
        ({"model.learning_rate": None}, "model.learning_rate: Expected a <class 'float'>"),
        ({"model.norm": 3}, "model.norm"),
        ({"model.learner": {"class_path": "har.learners.cnn.CNN", "init_args": {"pool": None}}}, "pool holds nothing"),
        ({"model.weight_decay": ".inf"}, "model.weight_decay is inf"),
        (
            {"model.head.kind": "linear_svm", "model.head.options": {"c": [1.0, float("inf")]}},
            "model.head.options.c.1 is inf",
        ),
    ],
    ids=[
        "nothing for a whole number",
        "nothing for a number",
        "a number for a section",
        "nothing for an argument",
        "infinity",
        "infinity in a list of options",
    ],
)
def test_a_value_that_parsing_would_let_pass_is_refused(override: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        resolve([], override)


@pytest.mark.parametrize("text", ["data: 3", "trainer: [1]", "model:"])
def test_a_section_that_is_none_is_refused_and_not_passed_over(text: str, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UsageError, match="has settings of its own"):
        resolve([tmp_path / "a.yaml"], {})
