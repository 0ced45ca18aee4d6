"""`har datasets`, through the command line."""

import importlib.metadata

import pytest

from har.__main__ import main


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
    assert line_of("spar", capsys.readouterr().out)[5:7] == ["source", "missing"]


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
    assert main(["datasets", "spar", "--window-s", "4", "--step-s", "1"]) == 0
    text = capsys.readouterr().out
    assert "4397 windows of 4 s every 1 s (left out: nothing)" in text
    assert line_of("all", text) == ["all", "462", "730", "740", "678", "683", "543", "561"]


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["datasets", "spor"], 2, "Did you mean 'spar'?"),
        (["datasets", "spar", "--step-s", "1"], 2, "--step-s needs --window-s"),
        (["datasets", "--window-s", "1"], 2, "Name it: har datasets spar"),
        (["datasets", "spar", "--window-s", "4"], 3, "Make it: har prepare spar"),
    ],
)
def test_bad_input_is_one_clear_error(args, code, message, capsys):
    assert main(args) == code
    assert message in capsys.readouterr().err
