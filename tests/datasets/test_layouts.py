"""The cards of the public sets against their fakes: the right column, unit and label in the right place."""

import dataclasses
import re
import shutil

import numpy as np
import pytest
import scipy.io

from har.datasets.readers import read
from har.datasets.readers.unimib_shar import windows_of
from har.datasets.registry import card_names, get_card
from har.errors import DataError
from har.windows.prepare import prepare
from har.windows.store import Store
from tests.fakes import opportunity, pamap2, unimib_shar, wisdm
from tests.fakes.stores import faked


def _read(name, folder):
    card, written = faked(name, folder)
    return card, written, list(read(card, folder / (card.source.root or ".")))


def _columns(raw, *names):
    """Return columns of a recording of one stream."""
    (stream,) = raw.streams
    return stream.signal_TC[:, [stream.channels.index(name) for name in names]]


def _xyz(name):
    return [f"{name}_{axis}" for axis in "xyz"]


# -- MotionSense --


def test_motionsense_adds_gravity_to_the_users_acceleration(tmp_path):
    _, written, raws = _read("motionsense", tmp_path)
    raw = next(raw for raw in raws if (raw.subject, raw.trial) == ("10", "wlk-8"))
    values = written["signal"]["wlk", 8, 10]
    np.testing.assert_allclose(_columns(raw, *_xyz("acc")), values[:, 3:6] + values[:, 9:12], atol=1e-12)
    np.testing.assert_allclose(_columns(raw, *_xyz("gyro")), values[:, 6:9], atol=1e-12)
    assert [raw.subject for raw in raws[::15]] == [str(subject) for subject in range(1, 25)]


# -- WISDM --


@pytest.mark.parametrize("device", ["phone", "watch"])
def test_wisdm_sensors_keep_their_own_clocks(tmp_path, device):
    card, written, raws = _read(f"wisdm-{device}", tmp_path)
    assert {raw.subject: 0 for raw in raws} == dict.fromkeys(written["subjects"], 0)
    for raw in raws:
        acc, gyro = raw.streams
        assert len(acc.signal_TC) == len(gyro.signal_TC) + 2
        assert gyro.time_s[0] > acc.time_s[0]
        (label,) = set(raw.label_T.tolist())
        assert raw.trial == card.activities[label].code
    assert {raw.trial for raw in raws if raw.subject == "1617"} == set(written["codes"]["1617"])


def test_wisdm_reads_the_line_of_the_documents(tmp_path):
    _, _, raws = _read("wisdm-watch", tmp_path)
    acc = next(raw for raw in raws if (raw.subject, raw.trial) == ("1600", "A")).streams[0]
    assert wisdm.LINE == "1600,A,90426708196641,7.091625,-0.5916671,8.195502;"
    np.testing.assert_array_equal(acc.signal_TC[0], [7.091625, -0.5916671, 8.195502])
    assert acc.time_s[1] - acc.time_s[0] == pytest.approx(0.05, abs=0.005)


@pytest.mark.parametrize("device", ["phone", "watch"])
def test_wisdm_columns_are_x_y_z_of_both_sensors(tmp_path, device):
    _, _, raws = _read(f"wisdm-{device}", tmp_path)
    for sensor, stream in zip(("accel", "gyro"), raws[0].streams, strict=True):
        path = tmp_path / "wisdm-dataset" / "raw" / device / sensor / f"data_1600_{sensor}_{device}.txt"
        words = path.read_text().splitlines()[4].rstrip(";").split(",")
        assert [word.split("_")[1] for word in stream.channels] == ["x", "y", "z"]
        assert stream.signal_TC[4].tolist() == [float(word) for word in words[3:]]
        assert stream.time_s[4] == pytest.approx(int(words[2]) / 1e9, abs=1e-6)


def test_wisdm_has_one_rate_in_the_end_and_a_gap_ends_a_recording(tmp_path):
    card, written = faked("wisdm-watch", tmp_path)
    store = Store.open(prepare(card, source=written["source"], root=tmp_path))
    assert store.rate_hz == 20
    recordings = store.recordings
    second = recordings[(recordings["subject"] == "1605") & (recordings["trial"] == written["codes"]["1605"][1])]
    assert len(second) == 2
    assert len(recordings) == written["recordings"] + 1
    assert store.manifest["done"]["duplicated_timestamps"] > 0


# -- DSADS --


def test_dsads_pieces_are_one_recording_in_their_order(tmp_path):
    card, written, raws = _read("dsads", tmp_path)
    names = [channel.name for channel in card.channels]
    assert len(raws) == 24
    for raw in raws:
        (label,) = set(raw.label_T.tolist())
        code = card.activities[label].code
        values = written["signal"][code, int(raw.subject)]
        np.testing.assert_array_equal(_columns(raw, *names), values)
        assert raw.files == (f"a{code:02}/p{raw.subject}/s01.txt", f"a{code:02}/p{raw.subject}/s02.txt")
    sensors = [(channel.site, channel.sensor) for channel in card.channels[::3]]
    sites = ["torso", "right-arm", "left-arm", "right-leg", "left-leg"]
    assert sensors == [(site, s) for site in sites for s in ("accelerometer", "gyroscope", "magnetometer")]


def test_a_piece_that_is_missing_in_the_middle_is_named(tmp_path):
    card, _ = faked("dsads", tmp_path, pieces=3)
    (tmp_path / "data" / "a01" / "p1" / "s02.txt").unlink()
    with pytest.raises(DataError, match="piece 2"):
        list(read(card, tmp_path / "data"))


# -- PAMAP2 --


def test_pamap2_takes_the_16_g_sensors_of_the_protocol(tmp_path):
    _, written, raws = _read("pamap2", tmp_path)
    assert len(raws) == written["recordings"]
    words = pamap2.LINE.split(" ")  # of the transient that is dropped: the columns by the readme, 1-based
    hand = [words[i - 1] for i in (5, 6, 7)]
    assert hand == ["2.37223", "8.60074", "3.51048"]
    raw = raws[0]
    table = np.genfromtxt(tmp_path / "PAMAP2_Dataset" / "Protocol" / "subject101.dat")[30:75]
    for site, start in (("hand", 4), ("chest", 21), ("ankle", 38)):
        for sensor, offset in (("acc", 1), ("gyro", 7), ("mag", 10)):
            columns = slice(start - 1 + offset, start - 1 + offset + 3)
            np.testing.assert_array_equal(_columns(raw, *_xyz(f"{site}_{sensor}"))[:45], table[:, columns])


def test_pamap2_recordings_end_at_transients(tmp_path):
    card, _, raws = _read("pamap2", tmp_path)
    for raw in raws:
        assert (raw.label_T >= 0).all()
        time_s = raw.streams[0].time_s
        assert np.diff(time_s).max() == pytest.approx(0.01, abs=1e-6)
    first = raws[0]  # one activity followed the other without a transient: one recording
    assert [card.activities[i].name for i in dict.fromkeys(first.label_T.tolist())] == ["lying", "sitting"]
    assert {raw.subject for raw in raws} == {str(subject) for subject in range(101, 110)}


# -- mHealth --


def test_mhealth_turns_degrees_into_radians_and_keeps_null(tmp_path):
    card, written = faked("mhealth", tmp_path)
    store = Store.open(prepare(card, source=written["source"], root=tmp_path))
    names = [channel.name for channel in card.channels]
    first = written["signal"][1]
    expected = first.copy()
    for i, name in enumerate(names):
        expected[:, i] *= {"gyro": np.pi / 180, "ecg": 1e-3}.get(name.split("_")[name.count("_") - 1], 1)
    np.testing.assert_array_equal(store.signal_TC[: len(first)], expected.astype(np.float32))
    assert store.null == "null"
    assert store.label_T[0] == 0


# -- UCI-HAR --


def test_ucihar_windows_are_recordings_with_the_official_split(tmp_path):
    card, written, raws = _read("ucihar", tmp_path)
    assert len(raws) == len(written["windows"])
    split = card.splits["official"]
    assert not set(split.train) & set(split.test)
    assert set(split.train) | set(split.test) == set(card.subjects)
    at = {"train": [], "test": []}
    for part, subject, code, values in written["windows"]:
        at[part].append((str(subject), code, values))
    for raw in raws:
        part, line = raw.trial.split("-")
        subject, code, values = at[part][int(line) - 1]
        assert raw.subject == subject
        assert raw.extra == {"part": part}
        assert subject in getattr(split, part)
        assert card.activities[raw.label_T[0]].code == code
        found = _columns(raw, *_xyz("body_acc"), *_xyz("body_gyro"), *_xyz("total_acc"))
        np.testing.assert_allclose(found, values, rtol=1e-7)
    assert list(dict.fromkeys(raw.subject for raw in raws)) == [str(subject) for subject in range(1, 31)]


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("train/subject_train.txt", None, r"there is no file .*subject_train\.txt.*\n.*get the archive from UCI"),
        ("test/y_test.txt", lambda text: text.replace("\n", "", 1), r"y_test\.txt.*17 lines.*subject_test\.txt has 18"),
        ("test/y_test.txt", lambda text: "9" + text[1:], r"y_test\.txt, line 1: activity code 9 is not in the card"),
        ("test/subject_test.txt", lambda text: "2.5" + text[1:], r"subject_test\.txt, line 1: 2\.5 is no whole number"),
        (
            "test/Inertial Signals/body_gyro_y_test.txt",
            lambda text: text.replace("\n", " 1.0\n"),
            r"body_gyro_y_test\.txt has 129 values a line, not 128",
        ),
        (
            "test/Inertial Signals/body_gyro_y_test.txt",
            lambda text: re.sub(r"(?m) \S+$", "", text),
            r"body_gyro_y_test\.txt",
        ),
        (
            "train/Inertial Signals/total_acc_x_train.txt",
            lambda text: text[: len(text) // 2],
            r"total_acc_x_train\.txt has 21 lines, but .*subject_train\.txt has 42",
        ),
        (
            "train/Inertial Signals/total_acc_x_train.txt",
            lambda text: text[: len(text) // 2 - 50],
            r"total_acc_x_train\.txt, line 21",
        ),
    ],
)
def test_ucihar_names_what_is_wrong(tmp_path, file, change, message):
    card, _ = faked("ucihar", tmp_path)
    path = tmp_path / "UCI HAR Dataset" / file
    if change is None:
        path.unlink()
    else:
        path.write_text(change(path.read_text()))
    with pytest.raises(DataError, match=message):
        list(read(card, tmp_path / "UCI HAR Dataset"))


# -- UniMiB-SHAR --


def test_unimib_axes_lie_one_after_the_other():
    row = np.concatenate([np.arange(151), 1000 + np.arange(151), 2000 + np.arange(151)])
    (window_TC,) = windows_of(row[None])
    np.testing.assert_array_equal(window_TC[:, 0], np.arange(151))
    np.testing.assert_array_equal(window_TC[7], [7, 1007, 2007])


def test_unimib_windows_are_recordings_by_subject(tmp_path):
    card, written, raws = _read("unimib-shar", tmp_path)
    assert list(dict.fromkeys(raw.subject for raw in raws)) == list(card.subjects)
    for raw in raws:
        trial, row = map(int, raw.trial.split("-"))
        code, subject, own_trial = written["labels"][row - 1].tolist()
        assert (raw.subject, trial) == (str(subject), own_trial)
        assert set(raw.label_T.tolist()) == {code - 1}
        np.testing.assert_array_equal(_columns(raw, *_xyz("acc")), written["windows"][row - 1])


def test_the_earlier_release_of_unimib_is_refused_by_its_shape(tmp_path):
    unimib_shar.write(tmp_path, samples=51)
    with pytest.raises(DataError, match=r"acc_data\.mat has 153 values a window, .* the release of 2016") as caught:
        list(read(get_card("unimib-shar"), tmp_path / "UniMiB-SHAR"))
    assert "sal.disco.unimib.it" in caught.value.hint


def _save(folder, name, content):
    scipy.io.savemat(folder / "UniMiB-SHAR" / "data" / f"{name}.mat", content)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: _save(f, "acc_data", {"acc_data": np.zeros((3, 450))}), "has 450 values a window, not 453"),
        (lambda f: _save(f, "acc_data", {"acc_data": np.zeros((3, 453))}), r"acc_labels\.mat has 87 rows of 3"),
        (lambda f: _save(f, "acc_data", {"adl_data": np.zeros((3, 453))}), r"no matrix 'acc_data'.*\n.*'adl_data'"),
        (lambda f: (f / "UniMiB-SHAR/data/acc_labels.mat").unlink(), r"there is no file .*acc_labels\.mat"),
        (lambda f: (f / "UniMiB-SHAR/data/acc_data.mat").write_bytes(b"no"), r"acc_data\.mat is no MATLAB file"),
    ],
)
def test_unimib_names_what_is_wrong(tmp_path, spoil, message):
    card, _ = faked("unimib-shar", tmp_path)
    spoil(tmp_path)
    with pytest.raises(DataError, match=message):
        list(read(card, tmp_path / "UniMiB-SHAR"))


# -- OPPORTUNITY --


def test_opportunity_takes_each_column_once_and_keeps_missing_values(tmp_path):
    card, written, raws = _read("opportunity", tmp_path)
    (table,) = card.files.tables
    taken = [column for (column,) in table.columns.values()]
    assert len(set(taken)) == len(taken) == len(card.channels) == 107
    assert not set(taken) & set(written["missing_columns"])
    text = (tmp_path / "OpportunityUCIDataset" / "dataset" / "S1-ADL1.dat").read_text()
    values = np.array([[float(word) for word in line.split()] for line in text.splitlines()])
    (stream,) = raws[0].streams
    np.testing.assert_array_equal(stream.signal_TC, values[:, np.array(taken) - 1])
    assert np.isnan(stream.signal_TC).any()
    codes = [card.activities[label].code for label in raws[0].label_T.tolist()]
    assert codes == values[:, 249].astype(int).tolist()


def test_the_cards_of_opportunity_differ_in_their_labels_alone(tmp_path):
    gestures, locomotion = get_card("opportunity"), get_card("opportunity-locomotion")
    assert gestures.channels == locomotion.channels
    assert gestures.files.tables == locomotion.files.tables
    assert gestures.source == locomotion.source
    assert gestures.splits == locomotion.splits
    assert gestures.preparation == locomotion.preparation
    assert (gestures.files.label.column, locomotion.files.label.column) == (250, 244)


def test_the_card_of_opportunity_by_runs_differs_in_what_a_subject_is_alone():
    people, runs = get_card("opportunity"), get_card("opportunity-li2018")
    same = ("source", "reader", "rate_hz", "channels", "activities", "null_activity", "preparation")
    assert [key for key in same if getattr(people, key) != getattr(runs, key)] == []
    assert people.files.label == runs.files.label
    (ours,), (theirs,) = people.files.tables, runs.files.tables
    assert dataclasses.replace(ours, path=theirs.path) == theirs


def test_the_scrambled_card_of_unimib_has_the_rows_of_the_other_in_triples_of_one_axis(tmp_path):
    card, written = faked("unimib-shar-li2018-scrambled", tmp_path)
    raws = list(read(card, tmp_path / "UniMiB-SHAR"))
    order = np.argsort(written["labels"][:, 1], kind="stable")
    (stream,) = raws[3].streams
    xyz_T3 = written["windows"][order[3]]
    np.testing.assert_allclose(stream.signal_TC[:50].ravel(), xyz_T3[:150, 0])
    np.testing.assert_allclose(stream.signal_TC[50, :], [xyz_T3[150, 0], *xyz_T3[:2, 1]])
    np.testing.assert_allclose(stream.signal_TC[-1], xyz_T3[-3:, 2])
    true, scrambled = get_card("unimib-shar"), card
    assert true.activities == scrambled.activities
    assert true.subjects == scrambled.subjects


def test_wireless_sensors_of_opportunity_can_be_prepared_by_another_recipe(tmp_path):
    card, written = faked("opportunity", tmp_path)
    store = Store.open(prepare(card, source=written["source"], root=tmp_path))
    assert store.signal_TC.shape == (written["rows"], 77)
    recipe = type(card.preparation)(sensors=("wireless-accelerometer",))
    folder = prepare(card, source=written["source"], root=tmp_path, recipe=recipe, name="wireless")
    wireless = Store.open(folder)
    assert wireless.signal_TC.shape[1] == 30
    done = wireless.manifest["done"]
    assert done["interpolated_values"] == 24 * 2 * 3  # two lost packets of one sensor in each of 24 files
    assert done["rows_in_gaps"] == 24 * 3  # and three rows at the end, where another one had stopped
    assert len(opportunity.GESTURES) == len(card.activities) - 1


def test_a_second_copy_of_a_folder_is_not_mixed_in(tmp_path):
    card, written = faked("mhealth", tmp_path)
    shutil.copytree(tmp_path / "MHEALTHDATASET", tmp_path / "MHEALTHDATASET" / "copy")
    assert len(list(read(card, tmp_path / "MHEALTHDATASET"))) == written["recordings"]


# -- all --

# What the documents call some codes: those that a slip could exchange.
_MEANINGS = {
    "dsads": {1: "sitting", 5: "ascending", 6: "descending", 10: "treadmill", 12: "running", 17: "rowing", 19: "ball"},
    "hapt": {2: "upstairs", 3: "downstairs", 7: "stand-to-sit", 8: "sit-to-stand", 9: "sit-to-lie", 12: "lie-to-stand"},
    "mhealth": {0: "null", 1: "standing", 3: "lying", 5: "stairs", 8: "knee", 10: "jogging", 11: "running", 12: "jump"},
    "motionsense": {"dws": "downstairs", "ups": "upstairs", "wlk": "walking", "jog": "jogging", "std": "stand"},
    "opportunity": {0: "null", 406516: "open-door-1", 404516: "close-door-1", 408512: "clean", 405506: "toggle"},
    "opportunity-locomotion": {0: "null", 1: "stand", 2: "walk", 4: "sit", 5: "lie"},
    "pamap2": {1: "lying", 4: "walking", 7: "nordic", 12: "ascending", 13: "descending", 16: "vacuum", 24: "rope"},
    "spar": {0: "pendulum", 3: "internal", 4: "external", 6: "row"},
    "ucihar": {1: "walking", 2: "upstairs", 3: "downstairs", 4: "sitting", 5: "standing", 6: "lying"},
    "unimib-shar": {
        3: "walking",
        4: "running",
        5: "upstairs",
        7: "downstairs",
        10: "forward",
        16: "syncope",
        17: "left",
    },
    "usc-had": {2: "left", 3: "right", 4: "upstairs", 5: "downstairs", 11: "elevator-up", 12: "elevator-down"},
    "wisdm-phone": {
        "A": "walking",
        "C": "stairs",
        "H": "soup",
        "L": "sandwich",
        "M": "kick",
        "O": "catch",
        "S": "fold",
    },
    "wisdm-watch": {"B": "jogging", "F": "typing", "G": "teeth", "K": "drink", "P": "dribbl", "Q": "writ", "R": "clap"},
}


@pytest.mark.parametrize("name", card_names())
def test_codes_mean_what_the_documents_say(name):
    names = {activity.code: activity.name for activity in get_card(name).activities}
    meanings = _MEANINGS[name.partition("-li2018")[0]]
    assert {code: part for code, part in meanings.items() if part not in names[code]} == {}
