"""The reader of files: what a card says about a folder is what comes out of it."""

import shutil

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings
from hypothesis import strategies as st

from har.__main__ import main
from har.datasets.gathering import unmatched
from har.errors import DataError
from har.windows.prepare import prepare
from har.windows.store import Store
from tests.datasets.own import all_of, card_with, lines, write

_NUMBERS = st.floats(allow_nan=True, allow_infinity=False, width=64)
_HEADERLESS = {"columns": {"acc": "1-3"}, "label": {"column": 4}}


@st.composite
def tables(draw):
    """Return values, labels, a format and the text of a table in it."""
    rows = draw(st.integers(1, 8))
    values = [[draw(_NUMBERS) for _ in range(3)] for _ in range(rows)]
    codes = ["walk", *(draw(st.sampled_from(["walk", "sit", ""])) for _ in range(rows - 1))]
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", "whitespace"]))
    decimal = draw(st.sampled_from([".", ","])) if delimiter != "," else "."
    missing = draw(st.sampled_from(["", "NaN", "-", "9999"]))
    if delimiter == "whitespace":
        missing, codes = missing or "NaN", [code or "NaN" for code in codes]
    layout = {"delimiter": delimiter, "decimal": decimal, "header": draw(st.booleans()), "missing": [missing or "NaN"]}
    between = draw(st.sampled_from([" ", "\t", "   "])) if delimiter == "whitespace" else delimiter
    around = draw(st.sampled_from(["", " "]))

    def number(value):
        return missing if np.isnan(value) else repr(value).replace(".", decimal)

    body = [around + between.join([*map(number, row), code]) + around for row, code in zip(values, codes, strict=True)]
    if layout["header"]:
        body.insert(0, between.join(["ax", "ay", "az", "activity"]))
    skipped = draw(st.integers(0, 2))
    if skipped:
        layout["skip_rows"] = skipped
    if draw(st.booleans()):
        layout["comment"] = "#"
        body.insert(draw(st.integers(0, len(body))), "# a remark, with; all | signs")
    if draw(st.booleans()):
        layout["strip"] = "!"
        body = [line + "!" for line in body]
    end = draw(st.sampled_from(["\n", "\r\n"]))
    text = end.join(["anything"] * skipped + body) + draw(st.sampled_from(["", end]))
    mark = b"\xef\xbb\xbf" if draw(st.booleans()) else b""
    return values, codes, layout, mark + text.encode()


@settings(max_examples=150)
@given(table=tables())
def test_what_was_written_in_any_format_is_read_back_exactly(table, tmp_path_factory):
    values, codes, layout, content = table
    folder = tmp_path_factory.mktemp("own")
    own = {"format": layout} if layout["header"] else {"format": layout, **_HEADERLESS}
    write(folder, {"raw/s1/t.csv": content})
    (recording,) = all_of(card_with(folder, files=own), folder / "raw")
    np.testing.assert_array_equal(recording.streams[0].signal_TC, np.array(values))
    assert recording.label_T.tolist() == [{"walk": 0, "sit": 1}.get(code, -1) for code in codes]
    assert (recording.subject, recording.trial, recording.files) == ("s1", "t", ("s1/t.csv",))


def test_recordings_come_in_the_order_a_person_expects(tmp_path):
    names = ["10/b", "2/b", "2/a", "1/x10", "1/x9"]
    folder = write(tmp_path / "raw", {f"{name}.csv": lines("1,2,3,walk") for name in names})
    found = all_of(card_with(tmp_path), folder)
    assert [f"{r.subject}/{r.trial}" for r in found] == ["1/x9", "1/x10", "2/a", "2/b", "10/b"]


def test_columns_are_added_up_and_found_by_name_or_number(tmp_path):
    folder = write(
        tmp_path / "raw", {"1/a.csv": lines("1,2,3,10,20,30,sit", header=",g.x,g.y,g.z,u.x,u.y,u.z,activity"[1:])}
    )
    columns = {"acc": ["g.x + u.x", "2 + u.y", 6]}
    (recording,) = all_of(card_with(tmp_path, files={"columns": columns}), folder)
    assert recording.streams[0].signal_TC.tolist() == [[11, 22, 30]]


def test_a_label_in_the_name_holds_for_the_whole_file(tmp_path):
    folder = write(tmp_path / "raw", {"sit_1/sub_07.csv": lines("1,2,3", "1,2,3", header="ax,ay,az")})
    files = {"path": "{activity}_{trial}/sub_{subject:d}.csv", "label": None}
    (recording,) = all_of(card_with(tmp_path, files=files), folder)
    assert (recording.subject, recording.trial, recording.label_T.tolist()) == ("7", "sit-1", [1, 1])


def test_groups_may_stand_in_columns_and_cut_the_rows(tmp_path):
    rows = ["u1,1,2,3,walk", "u1,4,5,6,walk", "u2,7,8,9,sit", "u1,0,0,0,sit"]
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="user,ax,ay,az,activity")})
    card = card_with(tmp_path, files={"path": "all.csv", "groups": {"subject": "user"}})
    found = all_of(card, folder)
    assert [(r.subject, r.trial, len(r.label_T)) for r in found] == [("u1", "1", 2), ("u2", "1", 1), ("u1", "2", 1)]


def _in_turns(samples):
    """Return rows of two subjects who take turns, sorted by time."""
    return [f"{u},{t / 50},{t},0,{n},{'walk' if n else 'sit'}" for t in range(samples) for n, u in enumerate("ab")]


def test_rows_of_subjects_who_take_turns_are_put_together_by_their_clock(tmp_path):
    folder = write(tmp_path / "raw", {"all.csv": lines(*_in_turns(60), header="user,t,ax,ay,az,activity")})
    own = {"path": "all.csv", "groups": {"subject": "user"}, "time": {"column": "t"}}
    found = all_of(card_with(tmp_path, files=own), folder)
    assert [(r.subject, r.trial, set(r.label_T.tolist())) for r in found] == [("a", "1", {1}), ("b", "1", {0})]
    for number, recording in enumerate(found):
        (stream,) = recording.streams
        assert stream.signal_TC[:, 0].tolist() == list(range(60))
        assert set(stream.signal_TC[:, 2]) == {number}
        np.testing.assert_allclose(stream.time_s, np.arange(60) / 50)


def test_a_row_that_was_put_elsewhere_is_named_by_its_own_line(tmp_path):
    own = {"path": "all.csv", "groups": {"subject": "user"}, "time": {"column": "t"}}
    rows = _in_turns(3)
    rows[1] = "b,0,1,1,1,run"
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="user,t,ax,ay,az,activity")})
    with pytest.raises(DataError, match=r"all\.csv, line 3: activity code 'run'"):
        all_of(card_with(tmp_path, files=own), folder)


def test_rows_of_subjects_who_take_turns_are_refused_without_a_clock(tmp_path):
    rows = _in_turns(60)
    own = {"path": "all.csv", "groups": {"subject": "user"}}
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows[:8], header="user,t,ax,ay,az,activity")})
    assert len(all_of(card_with(tmp_path, files=own), folder)) == 8
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="user,t,ax,ay,az,activity")})
    with pytest.raises(DataError, match=r"(?s)all\.csv, line 10: subject a begins again, for the 4th time.*`time`"):
        all_of(card_with(tmp_path, files=own), folder)


def test_activities_that_alternate_without_a_clock_are_taken_for_labels(tmp_path):
    rows = [f"{who},1,2,3,{activity}" for who in "ab" for _ in range(5) for activity in ("walk", "sit")]
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="user,ax,ay,az,what")})
    own = {"path": "all.csv", "groups": {"subject": "user", "activity": "what"}, "label": None}
    with pytest.raises(DataError, match=r"line 10: subject a, activity walk begins again, for the 4th time") as caught:
        all_of(card_with(tmp_path, files=own), folder)
    assert "label: {column: what}, in place of the group activity" in caught.value.hint
    card = card_with(tmp_path, files={**own, "groups": {"subject": "user"}, "label": {"column": "what"}})
    assert [r.label_T.tolist() for r in all_of(card, folder)] == [[0, 1] * 5] * 2


def test_tables_joined_by_row_must_agree_about_their_groups(tmp_path):
    tables = [{"path": "gyro.csv", "columns": {"gyro": "wx"}}, {"path": "acc.csv", "columns": {"acc": "ax"}}]
    card = card_with(tmp_path, **two_files(tables=tables, groups={"subject": "who"}))
    files = {"gyro.csv": "who,wx,activity\nu,3,walk\nv,4,sit\n", "acc.csv": "who,ax\nu,1\nv,2\n"}
    folder = write(tmp_path / "raw", files)
    assert [r.subject for r in all_of(card, folder)] == ["u", "v"]
    (folder / "acc.csv").write_text("who,ax\nu,1\nu,2\n")
    with pytest.raises(DataError, match=r"acc\.csv, line 3: subject u, but .*gyro\.csv, line 3 has subject v"):
        all_of(card, folder)


def _with_others(tmp_path):
    """Write a folder with six files that no path of its card matches; return card, folder and the six."""
    good = lines(*["1,2,3,walk"] * 60)
    others = ["1/Tag1.csv", "1/Tag2.csv", "1/Tag3.csv", "1/Tag4.csv", "1/Tag9.csv", "1/day3.CSV"]
    files = {"1/day1.csv": good, "1/.day2.csv": good, "notes.txt": "x", **dict.fromkeys(others[::-1], good)}
    folder = write(tmp_path / "raw", files)
    return card_with(tmp_path, files={"path": "{subject}/day{trial:d}.csv"}), folder, others


def test_files_of_the_same_kind_that_no_path_matches_are_named(tmp_path, capsys):
    card, folder, others = _with_others(tmp_path)
    assert unmatched(card, folder) == others
    words = ["prepare", str(tmp_path / "mine.yaml"), "--source", str(folder), "--root", str(tmp_path / "data")]
    for _ in range(2):  # made, and found made
        assert main(words) == 0
        warning = capsys.readouterr().err
        assert "not read (6): 1/Tag1.csv, 1/Tag2.csv, 1/Tag3.csv, 1/Tag4.csv, 1/Tag9.csv and 1 more." in warning
    assert Store.open(tmp_path / "data" / "prepared" / "mine").manifest["done"]["unread_files"] == others
    for name in others:
        (folder / name).unlink()
    assert main(words) == 0
    assert not capsys.readouterr().err
    assert Store.open(tmp_path / "data" / "prepared" / "mine").manifest["done"]["unread_files"] == []


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_files_that_no_path_matches_are_named_in_an_archive_too(kind, tmp_path, capsys):
    card, folder, others = _with_others(tmp_path)
    archive = shutil.make_archive(str(tmp_path / "packed"), kind, folder)
    words = ["prepare", str(tmp_path / "mine.yaml"), "--root", str(tmp_path / "data"), "--source"]
    assert main([*words, archive]) == 0
    assert f"in {archive} that no path of the card matches, and that were not read (6)" in capsys.readouterr().err
    store = Store.open(tmp_path / "data" / "prepared" / "mine")
    assert store.manifest["done"]["unread_files"] == others
    assert Store.open(prepare(card, source=folder, root=tmp_path / "other")).sha256 == store.sha256


def test_an_archive_of_the_folder_itself_is_the_folder(tmp_path, capsys):
    good = lines(*["1,2,3,walk"] * 60)
    folder = write(tmp_path / "walks", {"anna/1.csv": good, "anna/2.csv": good, "ben/1.csv": good})
    card = card_with(tmp_path)
    expected = Store.open(prepare(card, source=folder, root=tmp_path / "one")).sha256
    packed = shutil.make_archive(str(tmp_path / "walks"), "zip", tmp_path, "walks")
    (folder / "labels.csv").write_text("of no recording")  # which */*.csv would match, one folder higher
    with_others = shutil.make_archive(str(tmp_path / "others"), "zip", tmp_path, "walks")
    assert Store.open(prepare(card, source=packed, root=tmp_path / "two")).sha256 == expected
    found = Store.open(prepare(card, source=with_others, root=tmp_path / "three"))
    assert (found.subjects, found.manifest["done"]["unread_files"]) == (["anna", "ben"], ["labels.csv"])
    flat = shutil.make_archive(str(tmp_path / "flat"), "zip", tmp_path / "walks", "anna")
    assert Store.open(prepare(card, source=flat, root=tmp_path / "four")).subjects == ["anna"]


@pytest.mark.parametrize("name", ["empty", "other", "other/a.txt", "other.zip"])
def test_a_source_without_the_files_says_what_is_there(name, tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "other", {"a.txt": "x", "deep/b.txt": "x"})
    shutil.make_archive(str(tmp_path / "other"), "zip", tmp_path / "other")
    with pytest.raises(DataError) as caught:
        prepare(card_with(tmp_path), source=tmp_path / name, root=tmp_path / "data")
    assert "that paths in the card are counted from, or correct them" in caught.value.hint
    assert {"empty": "empty is empty", "other.zip": "in other.zip are: a.txt, deep."}.get(
        name, "are: a.txt, deep."
    ) in caught.value.hint


def test_pieces_are_chained_in_natural_order(tmp_path):
    folder = write(
        tmp_path / "raw", {f"1/a{i}.csv": lines(f"{i},0,0,{'walk' if i < 10 else 'sit'}") for i in range(1, 12)}
    )
    card = card_with(tmp_path, files={"path": "{subject}/a{piece:d}.csv", "chain": "piece"})
    (recording,) = all_of(card, folder)
    assert recording.streams[0].signal_TC[:, 0].tolist() == list(range(1, 12))
    assert recording.label_T.tolist() == [0] * 9 + [1] * 2
    (folder / "1" / "a5.csv").unlink()
    with pytest.raises(DataError, match=r"a11\.csv: piece 5 of subject 1 is missing"):
        all_of(card, folder)


def test_dropped_codes_end_the_recording(tmp_path):
    folder = write(tmp_path / "raw", {"1/a.csv": lines("1,0,0,walk", "2,0,0,0", "3,0,0,0", "4,0,0,sit", "5,0,0,none")})
    card = card_with(tmp_path, files={"label": {"column": "activity", "drop": [0], "unlabelled": ["none"]}})
    first, second = all_of(card, folder)
    assert (first.streams[0].signal_TC[:, 0].tolist(), first.trial, first.label_T.tolist()) == ([1], "a", [0])
    assert (second.streams[0].signal_TC[:, 0].tolist(), second.trial, second.label_T.tolist()) == (
        [4, 5],
        "a-2",
        [1, -1],
    )


TWO = {
    "channels": [
        {"name": "acc", "axes": ["x"], "sensor": "accelerometer", "site": "wrist", "unit": "g"},
        {"name": "gyro", "axes": ["x"], "sensor": "gyroscope", "site": "wrist", "unit": "°/s"},
    ],
}
TWO_TABLES = [
    {"path": "gyro_{subject}.csv", "columns": {"gyro": "wx"}},
    {"path": "acc_{subject}.csv", "columns": {"acc": "ax"}},
]


def two_files(**changes):
    return {**TWO, "files": {"path": None, "columns": None, "tables": TWO_TABLES, **changes}}


def test_files_joined_by_row_become_one_stream_in_the_cards_order(tmp_path):
    folder = write(tmp_path / "raw", {"acc_1.csv": "ax\n1\n2\n", "gyro_1.csv": "wx,activity\n3,walk\n4,sit\n"})
    (recording,) = all_of(card_with(tmp_path, **two_files()), folder)
    (stream,) = recording.streams
    assert stream.channels == ("acc_x", "gyro_x")
    assert stream.signal_TC.tolist() == [[1, 3], [2, 4]]
    assert recording.files == ("gyro_1.csv", "acc_1.csv")
    (folder / "acc_1.csv").write_text("ax\n1\n")
    with pytest.raises(DataError, match=r"acc_1\.csv has 1 rows, but .*gyro_1\.csv has 2"):
        all_of(card_with(tmp_path, **two_files()), folder)


def test_files_joined_by_time_keep_their_clocks(tmp_path):
    folder = write(
        tmp_path / "raw", {"acc_1.csv": "ax,t\n1,1000\n2,1020\n3,1040\n", "gyro_1.csv": "wx,t,activity\n4,1010,sit\n"}
    )
    card = card_with(tmp_path, **two_files(join="time", time={"column": "t", "unit": "ms"}))
    (recording,) = all_of(card, folder)
    gyro, acc = recording.streams
    assert (gyro.channels, acc.channels) == (("gyro_x",), ("acc_x",))
    np.testing.assert_allclose(gyro.time_s, [1.01])
    np.testing.assert_allclose(acc.time_s, [1.0, 1.02, 1.04])
    assert recording.label_T.tolist() == [1]


def test_a_recording_without_a_counterpart_is_refused_or_counted(tmp_path):
    files = {"acc_1.csv": "ax\n1\n", "gyro_1.csv": "wx,activity\n3,walk\n", "acc_2.csv": "ax\n1\n"}
    folder = write(tmp_path / "raw", files)
    with pytest.raises(DataError, match=r"acc_2\.csv has no counterpart gyro_\{subject\}\.csv"):
        all_of(card_with(tmp_path, **two_files()), folder)
    whole, incomplete = all_of(card_with(tmp_path, **two_files(incomplete="leave-out")), folder)
    assert (whole.subject, whole.lacks) == ("1", ())
    assert (incomplete.subject, incomplete.lacks, incomplete.streams) == ("2", ("gyro_{subject}.csv",), ())


@pytest.mark.parametrize(
    ("unit", "cells", "seconds"),
    [
        ("s", ["1.5", "2"], [1.5, 2]),
        ("us", ["1500000", "2000000"], [1.5, 2]),
        ("ns", ["90426708196641", "90426758196641"], [90426.708196641, 90426.758196641]),
        ("datetime", ["1970-01-01 00:00:01.5", "1970-01-01T00:00:02"], [1.5, 2]),
        ("datetime", ["1970-01-01T02:00:01+02:00", ""], [1, np.nan]),
    ],
)
def test_timestamps_become_seconds(unit, cells, seconds, tmp_path):
    rows = [f"{cell},1,2,3,walk" for cell in cells]
    folder = write(tmp_path / "raw", {"1/a.csv": lines(*rows, header="t,ax,ay,az,activity")})
    (recording,) = all_of(card_with(tmp_path, files={"time": {"column": "t", "unit": unit}}), folder)
    np.testing.assert_allclose(recording.streams[0].time_s, seconds, rtol=1e-12)


def test_a_matrix_is_read_by_the_numbers_of_its_columns(tmp_path):
    folder = write(tmp_path / "raw", {"1/a.txt": ""})
    matrix = np.array([[1.0, 2, 3, 7], [4, 5, np.nan, 8], [4, 5, 6, np.nan]])
    scipy.io.savemat(folder / "1" / "a.mat", {"readings": matrix, "note": "text"})
    own = {"path": "{subject}/{trial}.mat", "format": {"variable": "readings"}, **_HEADERLESS}
    card = card_with(tmp_path, files=own, activities={7: "walking", 8: "sitting"})
    (recording,) = all_of(card, folder)
    np.testing.assert_array_equal(recording.streams[0].signal_TC, matrix[:, :3])
    assert recording.label_T.tolist() == [0, 1, -1]


def test_extras_are_groups(tmp_path):
    folder = write(tmp_path / "raw", {"1_left.csv": lines("1,2,3,walk")})
    (recording,) = all_of(card_with(tmp_path, extras=["side"], files={"path": "{subject}_{side}.csv"}), folder)
    assert recording.extra == {"side": "left"}


def test_hidden_files_are_no_data(tmp_path):
    folder = write(tmp_path / "raw", {"1/a.csv": lines("1,2,3,walk"), "1/._a.csv": b"\x00\x05\x16\x07"})
    assert len(all_of(card_with(tmp_path), folder)) == 1


def test_codes_are_compared_as_a_person_would(tmp_path):
    folder = write(
        tmp_path / "raw", {"1/a.csv": lines("1,2,3,01", "1,2,3,1.0", "1,2,3,2", '1,2,3," NaN "', '1,2,3,"1 "')}
    )
    (recording,) = all_of(card_with(tmp_path, activities={1: "walking", 2: "sitting"}), folder)
    assert recording.label_T.tolist() == [0, 0, 1, -1, 0]


def test_a_group_that_stands_twice_has_one_value(tmp_path):
    folder = write(tmp_path / "raw", {"1/1_a.csv": lines("1,2,3,walk"), "1/2_a.csv": lines("1,2,3,walk")})
    (recording,) = all_of(card_with(tmp_path, files={"path": "{subject}/{subject}_{trial}.csv"}), folder)
    assert recording.files == ("1/1_a.csv",)
