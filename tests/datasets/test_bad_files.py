"""Bad input: one clear sentence with file and line, and what to do."""

import numpy as np
import pytest
import scipy.io

from har.errors import DataError
from tests.datasets.own import all_of, card_with, lines, write

GOOD = lines("1,2,3,walk", "4,5,6,sit")
NUMBERED = {"format": {"header": False}, "columns": {"acc": "1-3"}, "label": {"column": 4}}

BAD = {
    "cut in the middle of a line": (
        "ax,ay,az,activity\n1,2,3,walk\n4,5",
        r"line 3: 2 values where 4 .*ends in the middle",
    ),
    "a short line": (lines("1,2,3,walk", "1,2", "1,2,3,sit"), r"line 3: 2 values where 4 are expected: '1,2'.*Mend"),
    "a long line": (lines("1,2,3,walk,9", "1,2,3,walk"), r"line 2: 5 values where 4"),
    "empty": ("", r"is empty \(0 bytes\)"),
    "blank": ("\n\n", "holds blank lines only"),
    "a header alone": ("ax,ay,az,activity\n", "no rows after its header"),
    "binary": (b"ax,ay,az,activity\n1,2\x00,3,walk\n", "line 2: byte 0x00: the file is binary"),
    "no UTF-8": (b"ax,ay,az,activity\n1,2,3,walk\n1,2,3,sp\xe4t\n", "line 3: byte 0xe4 is not UTF-8"),
    "UTF-16": ("ax,ay".encode("utf-16"), "line 1: the text is UTF-16"),
    "another delimiter": (
        GOOD.replace(",", ";"),
        "no column 'ax'.*single column, 'ax;ay;az;activity': is `delimiter` right",
    ),
    "another delimiter below": (lines("1;2;3;walk"), "line 2: 1 values where 4 .*looks divided by ';'"),
    "no number": (lines("1,2,3,walk", "1,x,3,walk"), r"line 3, column 2 \(ay\): 'x' is not a number"),
    "a missing column": (lines("1,2,walk", header="ax,az,activity"), "header: no column 'ay'"),
    "a column twice": (
        lines("1,2,3,4,walk", header="ax,ay,ay,az,activity"),
        "more than one column 'ay'.*Give its number",
    ),
    "a carriage return within a line": (b"ax,ay,az,activity\n1\r,2,3,walk\n", r"a\.csv"),
    "an unknown code": (
        lines("1,2,3,walk", "1,2,3,run"),
        "line 3: activity code 'run' is not in the card.*Known: sit, walk",
    ),
    "no label at all": (
        lines("1,2,3,", "1,2,3,"),
        r"no sample of subject 7 has a label \(subject 7, trial a \(7/a\.csv\)\)",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_named_with_its_line(kind, tmp_path):
    content, message = BAD[kind]
    folder = write(tmp_path / "raw", {"7/a.csv": content})
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        all_of(card_with(tmp_path), folder)
    assert "a.csv" in caught.value.what
    assert caught.value.hint
    assert caught.value.exit_code == 3


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    text = "made by a logger\n\n# unit: g\n" + lines("1,2,3,walk", "", "# pause", "1,2,3,run")
    folder = write(tmp_path / "raw", {"7/a.csv": text})
    card = card_with(tmp_path, files={"format": {"skip_rows": 1, "comment": "#"}})
    with pytest.raises(DataError, match="line 8: activity code 'run'"):
        all_of(card, folder)


def test_a_file_without_header_must_have_the_columns_of_the_others(tmp_path):
    folder = write(tmp_path / "raw", {"1/a.csv": "1,2,3,walk\n", "2/a.csv": "0,1,2,3,walk\n"})
    with pytest.raises(DataError, match=r"2/a\.csv, line 1: 5 columns, but .*1/a\.csv has 4"):
        all_of(card_with(tmp_path, files=NUMBERED), folder)
    with pytest.raises(DataError, match="has 4 columns, but the card names column 5"):
        all_of(card_with(tmp_path, files={**NUMBERED, "label": {"column": 5}}), folder)


def test_two_files_for_one_recording_are_refused(tmp_path):
    folder = write(tmp_path / "raw", {"1/a.csv": GOOD, "01/a.csv": GOOD})
    with pytest.raises(
        DataError, match=r"01/a\.csv and .*1/a\.csv are two files for one recording \(subject 1, trial a\)"
    ):
        all_of(card_with(tmp_path, files={"path": "{subject:d}/{trial}.csv"}), folder)


def test_a_folder_without_such_files_says_what_is_there(tmp_path):
    folder = write(tmp_path / "raw", {"1/a.txt": GOOD})
    with pytest.raises(DataError, match=r"(?s)no file in .*raw matches \{subject\}/\{trial\}\.csv.*There are: 1\."):
        all_of(card_with(tmp_path), folder)


def test_a_group_in_a_column_must_not_be_empty(tmp_path):
    folder = write(
        tmp_path / "raw", {"all.csv": lines("u1,1,2,3,walk", ",1,2,3,walk", header="user,ax,ay,az,activity")}
    )
    with pytest.raises(DataError, match=r"all\.csv, line 3: no subject is given"):
        all_of(card_with(tmp_path, files={"path": "all.csv", "groups": {"subject": "user"}}), folder)


def test_a_timestamp_that_is_no_date_is_refused_with_its_line(tmp_path):
    rows = [f"{moment},1,2,3,walk" for moment in ("2024-05-31 13:45:00", "", "yesterday")]
    folder = write(tmp_path / "raw", {"1/a.csv": lines(*rows, header="t,ax,ay,az,activity")})
    with pytest.raises(DataError, match=r"a\.csv, line 4, column t: 'yesterday' is no date and time\.") as caught:
        all_of(card_with(tmp_path, files={"time": {"column": "t", "unit": "datetime"}}), folder)
    assert "format" not in str(caught.value)


@pytest.mark.parametrize("value", ["inf", "-inf"])
def test_an_infinite_value_is_refused_with_its_line(value, tmp_path):
    folder = write(tmp_path / "raw", {"1/a.csv": lines("1,2,3,walk", f"1,{value},3,walk")})
    with pytest.raises(DataError, match=rf"a\.csv, line 3, column ay: {value} is not a finite number"):
        all_of(card_with(tmp_path), folder)
    card = card_with(tmp_path, files={"format": {"missing": [value]}})
    assert len(all_of(card, folder)) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "is no MATLAB file"),
        ({"reading": [[1.0]]}, "no variable 'readings'"),
        ({"readings": "text"}, "no matrix of numbers"),
        ({"readings": [[1.0, 2.0, 3.0]]}, "has 3 columns, but the card names column 4"),
        ({"readings": [[1.0, 2, 3, 0], [1, 2, np.inf, 0]]}, "row 2, column 3: inf is not a finite number"),
        ({"readings": [[1.0, 2, 3, 0], [1, -np.inf, 3, 0]]}, "row 2, column 2: -inf is not a finite number"),
        ({"readings": [[1.0, 2, 3, 0], [1, 2, 3, np.inf]]}, "row 2: activity code 'inf' is not in the card"),
    ],
)
def test_a_bad_matrix_is_named(content, message, tmp_path):
    folder = write(tmp_path / "raw", {"1/a.mat": b"no matrix"})
    if content:
        scipy.io.savemat(folder / "1" / "a.mat", content)
    own = {**NUMBERED, "path": "{subject}/{trial}.mat", "format": {"variable": "readings"}}
    with pytest.raises(DataError, match=rf"a\.mat.*{message}"):
        all_of(card_with(tmp_path, files=own, activities={0: "walking"}), folder)


@pytest.mark.parametrize("line", ["1  2", " 1 2", "1 2 ", "1 2"])
def test_blanks_never_stand_for_a_value_that_is_not_there(line, tmp_path):
    own = {"path": "{activity}_{subject}.txt", "columns": {"acc": "1-3"}, "label": None}
    folder = write(tmp_path / "raw", {"walk_1.txt": f"1 2 3\n{line}\n4 5 6\n"})
    card = card_with(tmp_path, files={**own, "format": {"delimiter": "whitespace", "header": False}})
    with pytest.raises(DataError, match=r"walk_1\.txt, line 2: 2 values where 3 are expected"):
        all_of(card, folder)


def test_a_line_is_named_in_the_piece_that_it_stands_in(tmp_path):
    folder = write(tmp_path / "raw", {"1/a1.csv": GOOD, "1/a2.csv": GOOD, "1/a3.csv": lines("1,2,3,walk", "1,2,3,run")})
    card = card_with(tmp_path, files={"path": "{subject}/a{piece:d}.csv", "chain": "piece"})
    with pytest.raises(DataError, match=r"a3\.csv, line 3: activity code 'run'"):
        all_of(card, folder)


def test_a_column_of_numbers_that_is_the_label_too_is_refused(tmp_path):
    folder = write(tmp_path / "raw", {"7/a.csv": GOOD})
    with pytest.raises(DataError, match=r"column 2 \(ay\) is a channel or the time, and an activity or a group too"):
        all_of(card_with(tmp_path, files={"label": {"column": "ay"}}), folder)
