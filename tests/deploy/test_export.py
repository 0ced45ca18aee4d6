"""`har export`: every file gives the checkpoint's probabilities and says what it must be fed."""

import dataclasses
import io
import json
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

import har
from har.__main__ import main
from har.deploy import export as exporting
from har.deploy.export import LIMIT, export
from har.deploy.facts import CHECKPOINT
from har.deploy.formats import exported, save_int8, save_onnx
from har.deploy.model_card import _protocol, _scores
from har.deploy.networks import classifier_of, open_network
from har.errors import DataError, RunError, UsageError
from har.learners.classifier import Classifier, InputScaling
from har.learners.handcrafted import HandCrafted
from har.learners.heads import Head
from har.learners.minirocket import MiniRocket
from har.learners.registry import FITTED_LEARNERS, LEARNERS
from har.norms.plan import NormPlan
from har.training.stored import read_config, read_run
from tests.deploy.made import made_run, scored
from tests.learners.small import small


@pytest.fixture(scope="module")
def root(spar):
    return spar.folder.parents[1]


@pytest.fixture(scope="module")
def shipped(spar, root, tmp_path_factory):
    """An exported run, in a folder of its own among the folds of a variant."""
    place = tmp_path_factory.mktemp("a study, with ä") / "every" / "subject-1" / "repeat-0"
    made_run(place, spar, plan=NormPlan("batch", "input_every", "post"), root=root)
    other = made_run(place.parents[1] / "subject-2" / "repeat-0", spar, root=root, subjects={"test": ["2"]})
    scored(other, root)
    return export(scored(place, root))


def test_every_file_gives_the_checkpoints_probabilities_for_any_number_of_windows(shipped):
    run = shipped.folder.parent
    random = np.random.default_rng(0)
    for windows in (1, 3, 64):
        x_NTC = random.normal(0, 5, (windows, 100, 6)).astype(np.float32)
        with torch.inference_mode():
            expected_NK = torch.softmax(classifier_of(run)(torch.from_numpy(x_NTC)), 1).numpy()
        for name in ("model.onnx", "model.pt2"):
            np.testing.assert_allclose(open_network(shipped.folder / name)[1](x_NTC), expected_NK, atol=1e-5)
        in_8_bits = open_network(shipped.folder / "model-int8.onnx")[1](x_NTC)
        assert in_8_bits.shape == expected_NK.shape
        np.testing.assert_allclose(in_8_bits.sum(1), 1, atol=1e-5)
    content = json.loads((shipped.folder / "deploy.json").read_text())
    assert content["parity"]["test_windows"] > 1000
    assert all(content["parity"]["largest_difference"][name] < 1e-5 for name in ("model.onnx", "model.pt2"))
    assert content["int8"]["method"] == "static"
    assert content["multiply_adds"] == 8 * 96 * 6 * 5 + 8 * 20 * 8 * 5 + 8 * 7
    assert set(content["cost"]) == {"best.ckpt", "model.onnx", "model.pt2", "model-int8.onnx"}
    sizes = {name: cost["bytes"] for name, cost in content["cost"].items() if name.startswith("model")}
    assert sizes == {name: (shipped.folder / name).stat().st_size for name in sizes}
    assert all(cost["single_ms"] > 0 for cost in content["cost"].values())


@pytest.mark.parametrize("windows", [1, 70])
def test_any_number_of_windows_gives_the_ranges_of_8_bits(shipped, tmp_path, windows):
    facts, _ = open_network(shipped.folder.parent)
    x_NTC = np.random.default_rng(windows).normal(0, 5, (windows, 100, 6)).astype(np.float32)
    assert save_int8(shipped.folder / "model.onnx", facts, tmp_path / "int8.onnx", x_NTC) == "static"
    probability_NK = open_network(tmp_path / "int8.onnx")[1](x_NTC)
    np.testing.assert_allclose(probability_NK, open_network(shipped.folder / "model.onnx")[1](x_NTC), atol=0.2)


def test_the_facts_inside_are_the_runs_and_norms_are_folded(shipped, spar):
    run = shipped.folder.parent
    facts, _ = open_network(run)
    for name in ("model.onnx", "model.pt2", "model-int8.onnx"):
        assert open_network(shipped.folder / name)[0] == facts
    model = onnx.load(shipped.folder / "model.onnx")
    inside = json.loads(next(entry.value for entry in model.metadata_props if entry.key == "har"))
    assert inside["activities"] == spar.activities
    first = inside["preparation"]["channels"][0]
    assert (first["name"], first["unit"]) == ("acc_x", "m/s²")
    assert (inside["rate_hz"], inside["samples"], inside["step_s"]) == (50.0, 100, 0.5)
    assert inside["hashes"]["data"] == spar.sha256
    assert {"config", "split", "checkpoint"} < set(inside["hashes"])
    kinds = {node.op_type for node in model.graph.node}
    assert "BatchNormalization" not in kinds
    assert {"Conv", "Softmax"} <= kinds
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "windows"


def test_runs_of_other_settings_beside_a_run_are_not_of_its_card(spar, root, tmp_path):
    first, second = (tmp_path / "every" / f"subject-{number}" / "seed-0" for number in (1, 2))
    scored(made_run(first, spar, root=root), root)
    scored(made_run(second, spar, root=root, step_s=1.0, subjects={"test": ["2"]}), root)
    scores = json.loads((first / "scores.json").read_text())
    facts, config = open_network(first)[0], read_config(first)
    assert "subjects together" not in _scores(first, facts, config, scores)
    (second / "config.yaml").write_text((first / "config.yaml").read_text())
    assert "2 subjects together" in _scores(first, facts, config, scores)


class Planted:
    """An object that leaves a file where it is unpickled."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return Path.touch, (self.flag,)


def planted(kind, flag, archive):
    """Members that make torch run something of an archive, by name within it."""
    pickled = io.BytesIO()
    torch.save(Planted(flag), pickled)
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None}
    constants = {"config": {"planted": entry}}
    return {
        "sample inputs": {"data/sample_inputs/model.pt": pickled.getvalue()},
        "an object": {
            "data/constants/model_constants_config.json": json.dumps(constants).encode(),
            "data/constants/opaque_obj_0": pickle.dumps(Planted(flag)),
        },
        "weights of old": {"data/weights/model.pt": pickled.getvalue()},
        "a library": {"data/aotinductor/model/model.so": b""},
        "a member twice": {"Data/sample_inputs/model.pt": archive.read("model/data/sample_inputs/model.pt")},
    }[kind]


@pytest.mark.parametrize("kind", ["sample inputs", "an object", "weights of old", "a library", "a member twice"])
def test_an_archive_with_more_than_tensors_and_texts_is_refused_before_anything_of_it_runs(shipped, tmp_path, kind):
    path, flag = tmp_path / "planted.pt2", tmp_path / "flag"
    with zipfile.ZipFile(shipped.folder / "model.pt2") as archive, zipfile.ZipFile(path, "w") as made:
        members = {name: archive.read(name) for name in archive.namelist()}
        members |= {f"model/{name}": content for name, content in planted(kind, flag, archive).items()}
        for name, content in members.items():
            made.writestr(name, content)
    with pytest.raises(DataError, match=r"holds more than tensors and texts|is damaged"):
        har.load(path)
    assert not flag.exists()


def test_no_file_names_a_place_of_this_machine(shipped):
    places = [str(Path(har.__file__).parent).encode(), str(shipped.folder).encode(), sys.prefix.encode()]
    for name in shipped.files:
        content = (shipped.folder / name).read_bytes()
        if name.endswith(".pt2"):
            with zipfile.ZipFile(shipped.folder / name) as archive:
                content = b"".join(archive.read(member) for member in archive.namelist())
        assert not [place for place in places if place in content], name


def test_the_card_tells_data_protocol_scores_and_limits(shipped, spar):
    card = (shipped.folder / "model-card.md").read_text()
    for text in (
        "windows of 2 s every 0.5 s",
        "BSD-3-Clause",
        "tested on 1 (1)",
        "One test subject: there is no interval",
        "2 subjects together, with 95 % intervals",
        "| acc_x   | m/s²",
        "ONNX, 8 bits (static)",
        "Not for decisions about a person's health",
    ):
        assert text in card
    assert all(f"| {activity}" in card for activity in spar.activities)
    assert max(map(len, card.split("\n"))) < 2000
    assert "neither training nor scores" not in card


def test_the_card_names_the_activities_that_the_scores_leave_out(shipped, spar):
    facts, record = open_network(shipped.folder / "model.onnx")[0], read_run(shipped.folder.parent)
    config = read_config(shipped.folder.parent)
    few = dataclasses.replace(facts, activities=spar.activities[2:])
    text = _protocol(few, config, record, spar.activities)
    assert f"Windows of {spar.activities[0]}, {spar.activities[1]} are in neither training nor scores." in text


def test_the_card_says_whether_validation_subjects_chose_the_weights(shipped, spar):
    facts, run = open_network(shipped.folder / "model.onnx")[0], shipped.folder.parent
    record, data = {"best_step": 60, "best_validation_macro_f1": 0.5}, read_config(run)["data"]

    def said(interval: int, **more: bool) -> str:
        trainer = {"max_steps": 60, "val_check_interval": interval}
        return _protocol(facts, {"data": data, "trainer": trainer}, record | more, spar.activities)

    assert "those of step 60, with the best macro F1 on the validation subjects (0.500)." in said(20)
    assert "those of step 60, the last: nothing was chosen by" in said(60)
    assert "The head's setting is the one with the best" in said(60, at_once=True)


def test_a_run_whose_learner_has_other_settings_by_now_is_named(run, tmp_path):
    changed = tmp_path / "changed"
    shutil.copytree(run, changed)
    content = torch.load(run / CHECKPOINT, weights_only=True)
    content["recipe"]["model"]["learner"]["from_before"] = 1
    torch.save(content, changed / CHECKPOINT)
    with pytest.raises(UsageError, match="has settings that CNN does not take in this version"):
        classifier_of(changed)


def test_an_onnx_model_is_used_without_torch(shipped, spar):
    signal_TC = np.array(spar.signal_TC[:1000])
    expected = har.load(shipped.folder.parent).predict(signal_TC, rate_hz=100, streaming=True)
    np.save(shipped.folder.parent / "signal.npy", signal_TC)
    code = (
        "import sys, numpy, har\nmodel = har.load(sys.argv[1])\n"
        "found = model.predict(numpy.load(sys.argv[2]), rate_hz=100, streaming=True)\n"
        "print(found.iloc[0].to_json())\nprint([n for n in ('torch', 'pytorch_lightning', 'onnx') if n in sys.modules])"
    )
    command = [
        sys.executable,
        "-c",
        code,
        str(shipped.folder / "model.onnx"),
        str(shipped.folder.parent / "signal.npy"),
    ]
    found, loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert loaded == "[]"
    row = json.loads(found)
    assert row["activity"] == expected["activity"][0]
    for name in spar.activities:
        assert row[f"probability:{name}"] == pytest.approx(float(expected[f"probability:{name}"][0]), abs=1e-5)


def test_a_file_that_differs_is_refused_and_nothing_is_written(run, root, monkeypatch, tmp_path):
    scored(run, root)

    def perturbed(path):
        facts, network = open_network(path)
        return facts, lambda x_NTC: network(x_NTC * (1.01 if path.suffix == ".onnx" else 1))

    monkeypatch.setattr(exporting, "open_network", perturbed)
    with pytest.raises(RunError, match=r"model.onnx differs from the checkpoint by up to .* 0.0001 is allowed"):
        export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert LIMIT == 1e-4


@pytest.mark.parametrize(("content", "error"), [(None, UsageError), ("{", DataError)])
def test_a_run_without_whole_scores_is_refused_before_anything_is_written(run, root, tmp_path, content, error):
    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("checkpoints", "config.yaml", "run.json"):
        (changed / name).symlink_to(run / name)
    if content is not None:
        (changed / "scores.json").write_text(content)
    with pytest.raises(error, match=r"scores\.json") as caught:
        export(changed, tmp_path / "out", str(root))
    assert caught.value.hint.startswith(f"Score it: har test {changed}" if content is None else "Restore it")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["", "study/", "study/spar/", "study/spar/every/", "study/spar/every/subject-1/"])
def test_the_folder_of_a_study_is_refused_with_one_of_its_runs(place, run, tmp_path):
    for name in ("repeat-0", "repeat-1"):
        copy = tmp_path / "study" / "spar" / "every" / "subject-1" / name
        copy.mkdir(parents=True)
        (copy / "run.json").symlink_to(run / "run.json")
    (tmp_path / "study" / "spar" / "study.json").touch()
    with pytest.raises(UsageError, match="holds no run") as caught:
        export(tmp_path / place)
    first = tmp_path / "study" / "spar" / "every" / "subject-1" / "repeat-0"
    assert caught.value.hint == f"Give the folder of one of its runs, such as {first}."


def test_what_cannot_be_exported_says_why(run, root, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="holds no run") as caught:
        export(tmp_path / "none")
    assert caught.value.hint == "Give the folder that har fit named."
    record = json.loads((run / "run.json").read_text())
    changed = tmp_path / "changed"
    changed.mkdir()
    (changed / "checkpoints").symlink_to(run / "checkpoints")
    (changed / "config.yaml").write_text((run / "config.yaml").read_text())
    for change, message in (
        ({"status": "running"}, "is not finished"),
        ({"hashes": {**record["hashes"], "data": "f" * 64}}, "is not the store"),
    ):
        (changed / "run.json").write_text(json.dumps({**record, **change}))
        with pytest.raises(UsageError, match=message):
            export(changed)
    (changed / "run.json").write_text(json.dumps(record))
    (changed / "checkpoints").unlink()
    with pytest.raises(UsageError, match="no network in it"):
        export(changed)

    network = classifier_of(run)
    network.features.forward = lambda x_NTC: x_NTC.mean(1) if float(x_NTC.sum()) > 0 else x_NTC.sum(1)
    with pytest.raises(UsageError, match="CNNFeatures cannot be exported: "):
        exported(network, 100, 6)


QUICK = ("DeepConvLSTM", "HandCrafted")
EVERY = [
    pytest.param(learner, head, id=f"{learner.__name__}-{head.kind}", marks=[] if is_quick else pytest.mark.slow)
    for learners, heads in ((LEARNERS, [Head()]), (FITTED_LEARNERS, [Head("ridge"), Head("boosted_trees")]))
    for learner in learners
    for head in heads
    for is_quick in [learner.__name__ in QUICK and head.kind != "ridge"]
]


@pytest.mark.parametrize(("learner", "head"), EVERY)
def test_every_learner_and_head_becomes_one_onnx_file(learner, head, spar, root, tmp_path):
    made_run(tmp_path / "run", spar, learner=small(learner), head=head, plan=NormPlan(placement="none"), root=root)
    facts, expected = open_network(tmp_path / "run")
    save_onnx(exported(classifier_of(tmp_path / "run"), facts.samples, 6), facts, tmp_path / "model.onnx")
    _, found = open_network(tmp_path / "model.onnx")
    for windows in (1, 5):
        x_NTC = np.random.default_rng(windows).normal(0, 5, (windows, facts.samples, 6)).astype(np.float32)
        np.testing.assert_allclose(found(x_NTC), expected(x_NTC), atol=1e-4)


def test_features_by_fixed_rules_are_not_rounded_to_8_bits(spar, root, tmp_path):
    run = tmp_path / "run"
    made_run(run, spar, learner=small(HandCrafted), head=Head("ridge"), plan=NormPlan(placement="none"), root=root)
    steps: list[str] = []
    found = export(scored(run, root), say=steps.append)
    assert found.files == ["model.onnx", "model.pt2", "deploy.json", "model-card.md"]
    assert "no trained weights" in found.content["int8"]["why"]
    assert not any("8 bits" in step for step in steps)


def test_a_network_of_many_thresholds_is_not_larger_than_one_of_few():
    """Exporters take longer than in proportion to the nodes: 10,000 thresholds one by one took many minutes."""

    def nodes(features: int) -> int:
        network = Classifier(
            InputScaling("none", torch.zeros(6), torch.ones(6), list("abcdef")),
            MiniRocket(features, dilations=3).build(6, 64, NormPlan(placement="none")),
            4,
            Head("ridge"),
        )
        return len(exported(network.eval(), 64, 6).graph.nodes)

    assert nodes(84 * 3) == nodes(84 * 30)


def test_the_command_says_what_was_written(run, root, tmp_path, capsys):
    scored(run, root)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("kept")
    assert main(["export", str(run), "--out", str(tmp_path / "out"), "--root", str(root)]) == 0
    out = capsys.readouterr()
    assert [line.split()[0] for line in out.err.splitlines()] == [
        "translating",
        "writing",
        "rounding",
        "comparing",
        "measuring",
    ]
    assert "windows of the test subjects" in out.out
    names = {"mine.txt", "model.onnx", "model.pt2", "model-int8.onnx", "deploy.json", "model-card.md"}
    assert {path.name for path in (tmp_path / "out").iterdir()} == names
    assert main(["export", str(tmp_path)]) == 2
