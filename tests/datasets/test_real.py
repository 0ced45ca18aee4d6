"""Real data, where they lie beside the project: every fact of their cards holds."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from har.datasets.registry import get_card
from har.windows.prepare import prepare
from har.windows.store import Store

_SHARED = Path(__file__).parents[3] / "shared" / "datasets"
RECORDINGS = {"hapt": (61, 1_122_772, 815_614), "usc-had": (840, 2_811_490, 2_811_490)}


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_fact_of_a_card_holds_on_the_real_data(name, tmp_path):
    archive = _SHARED / f"{name.upper()}.zip"
    if not archive.is_file():
        pytest.skip("needs ../shared/datasets")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "raw")
    card = get_card(name)
    store = Store.open(prepare(card, source=tmp_path / "raw", root=tmp_path))  # refuses what contradicts the card
    recordings, rows, labelled = RECORDINGS[name]
    assert len(store.recordings) == card.facts.recordings == recordings
    assert len(store.signal_TC) == card.facts.rows == rows
    assert np.count_nonzero(store.label_T >= 0) == card.facts.labelled_rows == labelled
    assert sum(card.facts.rows_per_activity.values()) == labelled
    assert store.subjects == list(card.subjects)
    norm = np.linalg.norm(store.signal_TC[:, :3], axis=1)
    assert np.median(norm) == pytest.approx(9.8, abs=0.3)


def test_hapt_values_are_the_files_and_its_labels_their_lines(tmp_path):
    archive = _SHARED / "HAPT.zip"
    if not archive.is_file():
        pytest.skip("needs ../shared/datasets")
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "raw")
    store = Store.open(prepare(get_card("hapt"), source=tmp_path / "raw", root=tmp_path))
    first = store.recordings.iloc[0]
    assert (first["subject"], first["trial"]) == ("1", "1")
    expected = np.array([0.9180555898766518, -0.1124999994242935, 0.5097222514293852]) * 9.80665
    np.testing.assert_array_equal(store.signal_TC[0, :3], expected.astype(np.float32))
    names = [*store.activities, None]
    assert [names[label] for label in store.label_T[[248, 249, 1231, 1232, 1391, 1392]]] == [
        None,
        "standing",
        "standing",
        "stand-to-sit",
        "stand-to-sit",
        "sitting",
    ]  # labels.txt: 1 1 5 250 1232, 1 1 7 1233 1392, 1 1 4 1393 2194
