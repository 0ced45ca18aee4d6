"""Cards and fakes against the true documents and label files of OPPORTUNITY, UniMiB-SHAR and HAPT, where they are."""

import hashlib
import re
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.io

import har
from har.datasets.fetch import tree_sha256
from har.datasets.readers.unimib_shar import windows_of
from har.datasets.registry import get_card
from tests.fakes import hapt, opportunity, unimib_shar

_SHARED = Path(har.__file__).parent.parent.parent / "shared" / "datasets"
_OPPORTUNITY = _SHARED / "opportunity-documents"
_UNIMIB = _SHARED / "unimib-shar-partial"
pytestmark = pytest.mark.skipif(not _SHARED.is_dir(), reason="needs ../shared/datasets")

# what column_names.txt calls a site -> what the cards call it
_SITES = {
    "RKN^": "right-knee-upper",
    "HIP": "hip",
    "LUA^": "left-upper-arm-upper",
    "RUA_": "right-upper-arm-lower",
    "BACK": "back",
    "RKN_": "right-knee-lower",
    "RWR": "right-wrist",
    "RUA^": "right-upper-arm-upper",
    "LUA_": "left-upper-arm-lower",
    "LWR": "left-wrist",
    "RUA": "right-upper-arm",
    "RLA": "right-lower-arm",
    "LUA": "left-upper-arm",
    "LLA": "left-lower-arm",
    "L-SHOE": "left-shoe",
    "R-SHOE": "right-shoe",
}
_IMU = {
    "acc": "accelerometer",
    "gyro": "gyroscope",
    "magnetic": "magnetometer",
    "Eu": "orientation",
    "Nav_A": "acceleration-nav",
    "Body_A": "acceleration-body",
    "AngVelBodyFrame": "rotation-body",
    "AngVelNavFrame": "rotation-nav",
    "Compass": "compass",
}
_UNITS = {"milli g": "mg", "unknown": "a.u.", "mm/s": "a.u.", "degrees": "deg"}


@pytest.fixture(scope="module")
def columns():
    """Return number -> (system, site, quantity, axis, unit) of column_names.txt."""
    text = (_OPPORTUNITY / "OpportunityUCIDataset" / "dataset" / "column_names.txt").read_text()
    lines = re.findall(
        r"Column: (\d+) (Accelerometer|InertialMeasurementUnit) (\S+) ([A-Za-z_]+?)([XYZxyz]|\d|); value.*unit = (.*)",
        text,
    )
    return {int(number): rest for number, *rest in lines}


@pytest.mark.parametrize("name", ["opportunity", "opportunity-locomotion"])
def test_channels_of_opportunity_are_the_columns_of_its_documents(columns, name):
    card = get_card(name)
    (table,) = card.files.tables
    assert len(columns) > 200
    for channel in card.channels:
        (number,) = table.columns[channel.name]
        system, site, quantity, axis, unit = columns[number]
        assert channel.site == _SITES[site], number
        assert channel.sensor == (_IMU[quantity] if system != "Accelerometer" else "wireless-accelerometer"), number
        assert channel.axis == (axis.lower() or "heading"), number
        assert channel.unit == _UNITS[unit], number


def test_columns_of_the_body_that_opportunity_leaves_out_are_hands_and_quaternions(columns):
    (table,) = get_card("opportunity").files.tables
    taken = {column for (column,) in table.columns.values()}
    left_out = [columns[number] for number in range(2, 135) if number not in taken]
    assert Counter("hand" if site in ("LH", "RH") else quantity for _, site, quantity, *_ in left_out) == {
        "hand": 6,
        "Quaternion": 20,
    }
    hands = [number for number, (_, site, *_) in columns.items() if site in ("LH", "RH")]
    assert hands == [*range(14, 17), *range(35, 38)]


@pytest.mark.parametrize(
    ("name", "track", "column"), [("opportunity", "ML_Both_Arms", 250), ("opportunity-locomotion", "Locomotion", 244)]
)
def test_activities_of_opportunity_are_those_of_its_legend(name, track, column):
    folder = _OPPORTUNITY / "OpportunityUCIDataset" / "dataset"
    legend = re.findall(rf"(\d+)   -   {track}   -   (.*)", (folder / "label_legend.txt").read_text())
    stated = {0: "null", **{int(code): title.strip().lower().replace(" ", "-") for code, title in legend}}
    card = get_card(name)
    assert {activity.code: activity.name for activity in card.activities} == stated
    assert f"Column: {column} {track}" in (folder / "column_names.txt").read_text()
    assert card.files.label.column == column


def test_lines_in_the_fake_of_opportunity_are_those_of_its_documents():
    folder = _OPPORTUNITY / "OpportunityUCIDataset" / "dataset"
    for lines, file in ((opportunity.COLUMNS, "column_names.txt"), (opportunity.LEGEND, "label_legend.txt")):
        there = [line.rstrip() for line in (folder / file).read_text().splitlines()]
        assert all(line in there for line in lines)
    legend = re.findall(r"(\d+)   -   ML_Both_Arms", (folder / "label_legend.txt").read_text())
    assert [int(code) for code in legend] == list(opportunity.GESTURES)


def test_the_tree_hash_of_opportunity_is_that_of_the_24_official_files():
    words = [line.split() for line in (_OPPORTUNITY / "official-dat-sha256.txt").read_text().splitlines() if line]
    files = {name: digest for digest, _, name in words}
    assert len(files) == 24
    lines = "".join(f"{files[name]}  {name}\n" for name in sorted(files))
    assert get_card("opportunity").source.tree.sha256 == hashlib.sha256(lines.encode()).hexdigest()


# -- UniMiB-SHAR --


def _unimib(name):
    return scipy.io.loadmat(_UNIMIB / "data" / f"{name}.mat")[name.split("/")[-1]]


def test_counts_of_unimib_are_those_of_its_label_file():
    card, labels_N3 = get_card("unimib-shar"), _unimib("acc_labels")
    assert labels_N3.shape == (card.facts.recordings, 3)
    found = Counter(labels_N3[:, 0].tolist())
    assert {a.name: 151 * found[a.code] for a in card.activities} == card.facts.rows_per_activity
    assert sorted(found) == [activity.code for activity in card.activities]
    assert sorted({str(subject) for subject in labels_N3[:, 1]}, key=int) == list(card.subjects)
    assert sorted(set(labels_N3[:, 2].tolist())) == [1, 2, 3, 4, 5, 6]


def test_activities_of_unimib_are_those_of_its_names():
    names = [(str(long[0]), str(short[0])) for long, short in _unimib("acc_names").T]
    assert tuple(names) == unimib_shar.NAMES
    for (long, _), activity in zip(names, get_card("unimib-shar").activities, strict=True):
        words = {"laying": "lying", "generic": ""}  # the source says laying and lying, the card lying
        said = {words.get(word, word)[:4] for word in long.lower().replace("-", " ").split()} - {""}
        own = {word[:4] for word in activity.name.split("-")}
        assert own <= said | {"from", "sitt"}, activity.name


def test_subjects_of_unimib_lack_the_classes_that_the_fake_leaves_out():
    labels_N3 = _unimib("acc_labels")
    for subject in range(1, 31):
        own = set(labels_N3[labels_N3[:, 1] == subject, 0].tolist())
        assert tuple(sorted(set(range(1, 18)) - own)) == unimib_shar.LACKING.get(subject, ())


def test_the_hash_in_the_unimib_card_is_that_of_its_label_file():
    path = _UNIMIB / "data" / "acc_labels.mat"
    assert get_card("unimib-shar").source.tree.sha256 == tree_sha256(_UNIMIB, [path])


def test_true_unimib_windows_are_smooth_in_the_layout_that_is_read():
    folds = scipy.io.loadmat(_UNIMIB / "data/split/split51/fall_splitted_data5_folds.mat")["splitted_data"]
    rows_NX = np.concatenate([fold for fold in folds[:, 0] if fold.ndim == 2])
    assert rows_NX.shape[1] == 3 * 51

    def roughness(window_NTC):
        return np.abs(np.diff(window_NTC, axis=1)).mean()

    read, interleaved = windows_of(rows_NX), rows_NX.reshape(len(rows_NX), -1, 3)
    assert roughness(read) < 0.7 * roughness(interleaved)
    norm = np.linalg.norm(read, axis=2)
    assert np.median(norm) == pytest.approx(9.81, rel=0.15)  # m/s², with gravity


def test_the_official_folds_of_unimib_leave_one_subject_out():
    labels_N3 = _unimib("acc_labels")
    test, train = (
        scipy.io.loadmat(_UNIMIB / f"data/split/split151/acc_{part}_idxssubjective_folds.mat")[f"{part}_idxs"]
        for part in ("test", "train")
    )
    assert len(test) == len(train) == len(get_card("unimib-shar").subjects)
    left_out = []
    for test_rows, train_rows in zip(test[:, 0], train[:, 0], strict=True):
        (subject,) = set(labels_N3[test_rows.ravel().astype(int) - 1, 1].tolist())  # rows count from 1
        left_out.append(subject)
        rest = set(range(1, 31)) - {subject}
        assert set(labels_N3[train_rows.ravel().astype(int) - 1, 1].tolist()) == rest
        assert len(test_rows) + len(train_rows) == len(labels_N3)
    assert sorted(left_out) == list(range(1, 31))


# -- HAPT --


def test_lines_in_the_fake_of_hapt_are_those_of_the_true_labels():
    with zipfile.ZipFile(_SHARED / "HAPT.zip") as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("RawData/labels.txt")]
        assert tuple(archive.read(name).decode().splitlines()[:3]) == hapt.LINES
