"""`har datasets`, through the command line."""

import importlib.metadata

import pytest

from har.__main__ import main
from tests.fakes import mhealth, wisdm


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("HAR_DATA", str(tmp_path))


def line_of(name, text):
    return next(line for line in text.splitlines() if line.startswith(name)).split()


def test_the_table_tells_what_is_on_this_machine(capsys, monkeypatch):
    assert main(["datasets"]) == 0
    assert line_of("spar", capsys.readouterr().out)[:8] == ["spar", "10", "7", "50", "1.36", "can", "be", "prepared"]
    main(["prepare", "spar"])
    capsys.readouterr()
    main(["datasets"])
    assert line_of("spar", capsys.readouterr().out)[5] == "prepared"

    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", missing)
    monkeypatch.setenv("HAR_DATA", "nowhere")
    main(["datasets"])
    assert line_of("spar", capsys.readouterr().out)[5:9] == ["not", "here,", "pip", "install"]


def _states(capsys):
    main(["datasets"])
    return {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}


def test_the_table_tells_how_far_each_source_is_away(capsys, tmp_path):
    states = _states(capsys)
    assert "not here, --download" in states["mhealth"]
    assert "not here, --source" in states["unimib-shar"]
    raw = tmp_path / "raw" / "MHEALTH"
    raw.mkdir(parents=True)
    (raw / "MHEALTH.zip").touch()
    assert "can be prepared, archive is here" in _states(capsys)["mhealth"]
    mhealth.write(raw)
    assert "can be prepared, is unpacked" in _states(capsys)["mhealth"]


def test_both_cards_of_one_archive_find_it(capsys, tmp_path):
    wisdm.write(tmp_path / "raw" / "WISDM-2019")
    states = _states(capsys)
    assert "is unpacked" in states["wisdm-phone"]
    assert "is unpacked" in states["wisdm-watch"]


def test_what_nobody_has_counted_is_printed_so(capsys):
    states = _states(capsys)
    assert "6.75~" in states["mhealth"]
    assert "7.81 " in states["usc-had"]
    assert "nobody has counted it in the files" in states["~"]
    main(["datasets", "pamap2"])
    assert "1942872 rows, 1942872 labelled rows, 5.40 h (not verified" in capsys.readouterr().out
    main(["datasets", "hapt"])
    assert "verified" not in capsys.readouterr().out


def test_a_card_is_printed_with_its_sources_and_splits(capsys, tmp_path):
    main(["datasets", "opportunity"])
    text = capsys.readouterr().out
    assert "https://archive.ics.uci.edu/static/public/226/" in text
    assert "SHA-256 not stated by anybody" in text
    assert f"looked for in {tmp_path / 'raw' / 'OPPORTUNITY'}" in text
    assert "challenge: train 1, 2/ADL1" in text
    assert "406516: open-door-1\n" in text
    assert "None" not in text


def test_a_card_is_printed_with_licence_and_citation(capsys):
    assert main(["datasets", "spar"]) == 0
    text = capsys.readouterr().out
    for fact in (
        "BSD-3-Clause",
        "1802.01489",
        "eb122f23cdf0",
        "244102 rows",
        "gyroscope at the wrist (rad/s)",
        "39905",
    ):
        assert fact in text


def test_windows_are_counted_per_subject_and_activity(capsys):
    main(["prepare", "spar"])
    capsys.readouterr()
    assert main(["datasets", "spar", "--windows", "4", "--step", "1"]) == 0
    text = capsys.readouterr().out
    assert "4397 windows of 4 s every 1 s (left out: nothing)" in text
    assert line_of("all", text) == ["all", "462", "730", "740", "678", "683", "543", "561"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["datasets", "spor"], 2, "Did you mean 'spar'?"),
        (["datasets", "spar", "--step", "1"], 2, "--step needs --windows"),
        (["datasets", "--window-s", "1"], 2, "Name it: har datasets spar"),
        (["datasets", "spar", "--window-s", "4"], 3, "Make it: har prepare spar"),
    ],
)
def test_bad_input_is_one_clear_error(args, code, message, capsys):
    assert main(args) == code
    said = capsys.readouterr()
    assert message in said.err
    assert said.out == ""
