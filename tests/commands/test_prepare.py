"""`har prepare`, through the command line."""

import hashlib
import subprocess
import sys

import pytest
import yaml

from har.__main__ import main
from har.datasets.registry import get_card
from tests.fakes.spar import write


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("HAR_DATA", str(tmp_path / "data"))


def test_spar_is_prepared_once(capsys, tmp_path):
    assert main(["prepare", "spar"]) == 0
    first = capsys.readouterr().out
    assert "140 recordings of 10 subjects, 244102 rows" in first
    assert str(tmp_path / "data" / "prepared" / "spar") in first
    assert main(["prepare", "spar"]) == 0
    assert "already prepared" in capsys.readouterr().out


def test_another_root_is_taken(tmp_path):
    assert main(["prepare", "spar", "--root", str(tmp_path / "other")]) == 0
    assert (tmp_path / "other" / "prepared" / "spar" / "manifest.json").is_file()


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


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["prepare", "sparr"], 2, "Did you mean 'spar'?"),
        (["prepare"], 2, "har prepare --help"),
        (["prepare", "spar", "--sorce", "x"], 2, "Did you mean '--source'"),
        (["prepare", "none.yaml"], 2, "there is no file none.yaml"),
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
    assert done.returncode == 1
    assert "could not write: the file would be larger than is allowed here" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "data" / "prepared").iterdir()] == [".spar.lock"]


def test_an_unwritable_root_is_one_clear_error(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["prepare", "spar", "--root", str(tmp_path / "file")]) == 1
    assert str(tmp_path / "file") in capsys.readouterr().err
