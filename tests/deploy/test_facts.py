"""What an exported model says of itself: read as it was written, or refused in a sentence that says what is wrong."""

import json
import operator
from functools import reduce
from pathlib import Path

import onnx
import pytest

import har
from har.deploy.facts import Facts
from har.deploy.formats import exported, save_onnx
from har.deploy.networks import classifier_of
from har.errors import DataError
from har.windows.prepare import open_store
from tests.deploy.made import made_run
from tests.study.small import write_root


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    root = write_root(tmp_path_factory.mktemp("data"))
    return made_run(tmp_path_factory.mktemp("models") / "run", open_store("spar", root), root=root)


@pytest.fixture(scope="module")
def model(run) -> Path:
    facts, path = Facts.of_run(run), run.parent / "model.onnx"
    save_onnx(exported(classifier_of(run), facts.samples, len(facts.channels.made)), facts, path)
    return path


def saying(model: Path, text: str | None, path: Path) -> Path:
    """Write a model that says something else of itself."""
    network = onnx.load(model)
    del network.metadata_props[:]
    if text is not None:
        network.metadata_props.add(key="har", value=text)
    onnx.save(network, path)
    return path


def test_facts_are_read_as_they_were_written(run, model, tmp_path):
    facts = Facts.of_run(run)
    assert Facts.read(facts.text(), run) == facts == har.load(run).facts == har.load(model).facts
    assert har.load(saying(model, facts.text(), tmp_path / "same.onnx")).facts == facts


def test_facts_that_are_missing_damaged_or_of_another_format_are_refused(run, model, tmp_path):
    facts = json.loads(Facts.of_run(run).text())
    wrong = {
        "does not say": None,
        "is damaged": "{",
        "has format 9": json.dumps({**facts, "format": 9}),
        "must be fed is damaged": json.dumps({**facts, "preparation": {"recipe": {}, "channels": [{"name": "x"}]}}),
    }
    for message, text in wrong.items():
        with pytest.raises(DataError, match=message):
            har.load(saying(model, text, tmp_path / "model.onnx"))


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (["activities"], ["walk", "sit"], "2 activities, its network answers one such window with"),
        (["activities"], [], "is damaged .0 activities"),
        (["activities"], [1], r"is damaged .activities\[0\]: text"),
        (["samples"], 3, "it says 3 samples of"),
        (["samples"], 2**62, "its network answers one such window with"),
        (["rate_hz"], -1.5, "is damaged .rate_hz is -1.5"),
        (["rate_hz"], "50", "is damaged .rate_hz: a number is expected"),
        (["step_s"], None, "is damaged .step_s: a number is expected"),
        (["preparation", "channels", 0, "name"], 3, r"is damaged .channels\[0\].name: text"),
        (["preparation", "channels", 0, "unit"], "stone", "is damaged .unit 'stone'"),
        (["preparation", "recipe", "gravity"], {"order": "x"}, "is damaged .recipe.gravity.order: a whole number"),
        (["preparation", "recipe"], [], "is damaged .recipe: keys with values"),
    ],
)
def test_facts_that_are_impossible_or_not_of_the_network_are_refused(run, model, tmp_path, keys, value, message):
    facts = json.loads(Facts.of_run(run).text())
    *above, last = keys
    reduce(operator.getitem, above, facts)[last] = value
    with pytest.raises(DataError, match=message):
        har.load(saying(model, json.dumps(facts), tmp_path / "model.onnx"))
