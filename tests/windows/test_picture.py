"""Pictures of recordings: what they show, and that the same store gives the same bytes."""

import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

from har.__main__ import main
from har.errors import UsageError
from har.windows.picture import _outline, draw_recording
from har.windows.prepare import prepare
from har.windows.segment import WindowSpec, window_index
from har.windows.store import Store
from tests.fakes.stores import faked


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hapt")
    card, written = faked("hapt", folder / "raw")
    return Store.open(prepare(card, source=written["source"], root=folder))


def texts(path):
    tree = ElementTree.parse(path)  # noqa: S314 - the picture that was just drawn
    return [element.text for element in tree.iter("{http://www.w3.org/2000/svg}text")]


def test_a_picture_names_what_it_shows(store, tmp_path):
    index = window_index(store, WindowSpec(1.0, 0.5))
    draw_recording(tmp_path / "a.svg", store, 0, index)
    found = texts(tmp_path / "a.svg")
    assert "hapt, recording 0: subject 1, trial 1" in found
    assert {"accelerometer at the waist, m/s²", "acc_x", "gyro_z", "standing", "stand-to-sit", "unlabelled"} <= set(
        found
    )
    assert f"{np.count_nonzero(index.recording == 0)} windows of 1 s" in found
    draw_recording(tmp_path / "b.svg", store, 0, index)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()


def test_without_windows_there_is_no_panel_for_them(store, tmp_path):
    draw_recording(tmp_path / "a.svg", store, 1)
    assert not any("windows" in text for text in texts(tmp_path / "a.svg"))


def test_an_outline_keeps_every_peak_of_a_long_signal():
    value_T = np.zeros(100_000, np.float32)
    value_T[[17, 54_321, 99_000]] = [5, -7, 9]
    row_T, outline_T = _outline(value_T)
    assert len(row_T) <= 4000
    assert {5, -7, 9} <= set(outline_T.tolist())
    assert (np.diff(row_T) >= 0).all()
    np.testing.assert_array_equal(outline_T, value_T[row_T])
    row_T, outline_T = _outline(value_T[:3000])
    assert len(row_T) == 3000


@pytest.mark.parametrize(("name", "number", "message"), [("a.png", 0, r"ends? with \.svg"), ("a.svg", 61, "0 to 60")])
def test_what_cannot_be_drawn_is_refused(store, tmp_path, name, number, message):
    with pytest.raises(UsageError, match=message):
        draw_recording(tmp_path / name, store, number)
    assert list(tmp_path.iterdir()) == []


def test_the_command_draws(store, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HAR_DATA", str(store.folder.parents[1]))
    path = tmp_path / "picture.svg"
    assert main(["datasets", "hapt", "--picture", str(path), "--recording", "3", "--window-s", "1"]) == 0
    assert str(path) in capsys.readouterr().out
    assert any("recording 3" in text for text in texts(path))
    assert main(["datasets", "--picture", str(path)]) == 2


def test_matplotlib_is_loaded_for_pictures_alone():
    script = "import sys, har.commands.datasets; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
