"""`har prepare`, through the command line."""

import dataclasses
import hashlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import yaml

from har.__main__ import main
from har.datasets.recording import RawRecording, Stream
from har.datasets.registry import get_card
from har.windows.store import Store
from tests.fakes.spar import write


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("HAR_DATA", str(tmp_path / "data"))


def test_spar_is_prepared_once(capsys, tmp_path):
    assert main(["prepare", "spar"]) == 0
    first = capsys.readouterr().out
    assert "140 recordings of 10 subjects, 244102 rows" in first
    assert "Nothing was resampled: every row of the store is a row of the source." in first
    assert str(tmp_path / "data" / "prepared" / "spar") in first
    assert main(["prepare", "spar"]) == 0
    assert "already prepared" in capsys.readouterr().out


def test_channels_that_are_computed_are_said_to_be(capsys):
    assert main(["prepare", "spar", "--gravity", "causal", "--as", "live"]) == 0
    said = "Nothing was resampled: every row of the store is a row of the source, with 6 channels computed from it."
    assert said in capsys.readouterr().out


def test_another_root_is_taken(tmp_path):
    assert main(["prepare", "spar", "--root", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other" / "prepared" / "spar" / "manifest.json").is_file()


@pytest.mark.parametrize("killed", ["behind its last rename", "between its renames"])
def test_what_a_killed_preparation_left_beside_a_whole_store_goes_or_comes_back(tmp_path, capsys, killed):
    main(["prepare", "spar"])
    prepared = tmp_path / "data" / "prepared"
    if killed == "between its renames":
        (prepared / "spar").rename(prepared / ".spar.old")
    else:
        shutil.copytree(prepared / "spar", prepared / ".spar.old")
    (prepared / ".spar.part").mkdir()
    capsys.readouterr()
    assert main(["prepare", "spar"]) == 0
    assert "already prepared" in capsys.readouterr().out
    assert sorted(path.name for path in prepared.iterdir()) == [".locks", "spar"]


def test_a_damaged_store_is_mended_by_the_command_it_names(tmp_path, capsys):
    main(["prepare", "spar"])
    signal = tmp_path / "data" / "prepared" / "spar" / "signal.npy"
    content = bytearray(signal.read_bytes())
    content[-1] ^= 1
    signal.write_bytes(content)
    assert main(["prepare", "spar"]) == 0
    assert "already prepared" not in capsys.readouterr().out.splitlines()[-2]
    assert main(["datasets", "spar", "--window-s", "4"]) == 0


def test_a_card_of_ones_own_is_prepared_from_its_source(tmp_path, capsys):
    written = write(tmp_path / "raw", rows=(8, 12))
    content = {**get_card("spar").content(), "name": "mine", "facts": None}
    content["source"]["sha256"] = hashlib.sha256(written["source"].read_bytes()).hexdigest()
    card = tmp_path / "mine.yaml"
    card.write_text(yaml.safe_dump(_plain(content)))
    assert main(["prepare", str(card), "--source", str(tmp_path / "raw")]) == 0
    assert "The card states no counts" in capsys.readouterr().out


def _plain(value):
    """YAML has lists, no tuples."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def test_another_recipe_is_prepared_under_its_own_name(tmp_path, capsys):
    args = ["prepare", "spar", "--rate-hz", "25", "--sensors", "accelerometer", "--gravity", "causal", "--as", "live"]
    assert main([*args, "--magnitude", "gravity,body-acceleration", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "live: 140 recordings of 10 subjects" in out
    assert "rows of the store were computed from rows of the source" in out
    store = Store.open(tmp_path / "data" / "prepared" / "live")
    assert store.rate_hz == 25
    assert store.channels[-2:] == ["gravity_wrist_magnitude", "body_acceleration_wrist_magnitude"]
    assert main([*args, "--magnitude", "gravity,body-acceleration"]) == 0
    assert "live is already prepared" in capsys.readouterr().out
    assert main(args) == 2
    assert "was made from spar by another recipe" in capsys.readouterr().err


def raw_with(time_s, signal, **changes):
    signal_TC = np.stack([signal] * 6, axis=1)
    channels = tuple(channel.name for channel in get_card("spar").channels)
    names = {"subject": "1", "trial": "a", "extra": {"side": "left"}, **changes}
    return RawRecording(
        streams=(Stream(channels, signal_TC, time_s),), label_T=np.zeros(len(signal), np.int16), **names
    )


def test_what_was_done_is_said(tmp_path, monkeypatch, capsys):
    card = dataclasses.replace(get_card("spar"), facts=None, subjects=())
    signal = np.arange(60.0)
    signal[10] = np.nan
    time_s = np.round(np.arange(60) / 50, 3)
    time_s[40:] += 3
    raws = [raw_with(time_s, signal), raw_with(None, np.full(9, np.nan), subject="2")]
    monkeypatch.setattr("har.commands.prepare.find_card", lambda _: card)
    monkeypatch.setattr("har.windows.prepare.read", lambda *_: iter(raws))
    assert main(["prepare", "spar"]) == 3
    assert "subject 2, trial a: nothing is left of it: no row has a value in every channel" in capsys.readouterr().err
    assert main(["prepare", "spar", "--leave-out-empty", "--as", "mine"]) == 0
    out = capsys.readouterr().out
    assert "The clocks show 50 Hz (from 50 to 50); the card says 50 Hz, the store has 50 Hz." in out
    assert "       59 rows of the store are rows of the source" in out
    assert "        1 rows of the store were computed" in out
    assert "Nothing was resampled" not in out
    assert "        1 gaps that ended a recording" in out
    assert "        6 of them, values that were interpolated" in out
    assert "left out: subject 2, trial a: no row has a value in every channel" in out


def test_sigterm_leaves_no_half_written_store(tmp_path, monkeypatch):
    def stopped(*_):
        yield raw_with(None, np.zeros(60))
        assert list((tmp_path / "data" / "prepared").glob(".spar*.part"))
        signal.raise_signal(signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    monkeypatch.setattr("har.windows.prepare.read", stopped)
    try:
        assert main(["prepare", "spar"]) == 130
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not list((tmp_path / "data" / "prepared").glob(".spar*.part"))


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["prepare", "sparr"], 2, "Did you mean 'spar'?"),
        (["prepare"], 2, "har prepare --help"),
        (["prepare", "spar", "--sorce", "x"], 2, "Did you mean '--source'"),
        (["prepare", "none.yaml"], 2, "there is no file none.yaml"),
        (["prepare", "spar", "--rate-hz", "25"], 2, "--as spar-2"),
        (["prepare", "spar", "--rate-hz", "0", "--as", "x"], 2, "rate_hz: 0.0 is not a rate"),
        (["prepare", "spar", "--rate-hz", "401", "--as", "x"], 2, "more than 8 times the card's 50 Hz"),
        (["prepare", "spar", "--rate-hz", "fast", "--as", "x"], 2, "invalid float value: 'fast'"),
        (["prepare", "spar", "--sites", "hip", "--as", "x"], 2, "site 'hip' is not known"),
        (["prepare", "spar", "--sites", "a,,b", "--as", "x"], 2, "'a,,b' is no list such as A,B"),
        (["prepare", "spar", "--gravity", "low", "--as", "x"], 2, "invalid choice: 'low'"),
        (["prepare", "spar", "--max-gap-s", "0.01", "--as", "x"], 2, "shorter than one step at 50 Hz"),
        (["prepare", "spar", "--jobs", "0"], 2, "'0' is no number of jobs"),
        (["prepare", "spar", "--source", "nowhere"], 3, "there is no file nowhere"),
        (["prepare", "spar", "--source", __file__], 3, "SHA-256"),
    ],
)
def test_bad_input_is_one_clear_error(args, code, message, capsys):
    assert main(args) == code
    assert message in capsys.readouterr().err


def test_no_room_for_a_file_is_one_clear_error_and_leaves_nothing(tmp_path):
    # A limit on file sizes fails in the same system call as a full disk does.
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000));"
        "from har.__main__ import main; sys.exit(main(['prepare', 'spar']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert f"spar could not be prepared in {tmp_path / 'data'}: the file would be larger than is allowed" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "data" / "prepared").iterdir()] == [".locks"]


def test_an_unwritable_root_is_one_clear_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["prepare", "spar", "--root", str(tmp_path / "file")]) == 3
    assert f"a file stands where a folder is needed at {tmp_path / 'file'}" in capsys.readouterr().err


def test_an_error_that_is_none_of_the_disks_is_a_bug_and_keeps_its_traceback(monkeypatch):
    def fails(*_, **__):
        raise OSError("no number")

    monkeypatch.setattr("har.commands.prepare.prepare", fails)
    with pytest.raises(OSError, match="no number"):
        main(["prepare", "spar"])
