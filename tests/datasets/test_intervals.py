"""Labels in files of intervals."""

import pytest

from har.errors import DataError
from tests.datasets.own import all_of, card_with, lines, write

SIGNAL = lines(*["1,2,3"] * 6, header="ax,ay,az")
TIMED = lines(*[f"{10 + i / 10},1,2,3" for i in range(6)], header="t,ax,ay,az")
COLUMNS = {"subject": "who", "activity": "what", "start": "from", "stop": "to"}


def labels(tmp_path, intervals, counting="samples-from-1", signal=SIGNAL, **files):
    """Return the labels of subject 1 for some lines of intervals."""
    folder = write(tmp_path / "raw", {"1.csv": signal, "labels.csv": lines(*intervals, header="who,what,from,to")})
    label = {"intervals": {"path": "labels.csv", "columns": COLUMNS, "counting": counting}}
    card = card_with(tmp_path, rate_hz=10, files={"path": "{subject:d}.csv", "label": label, **files})
    (recording,) = all_of(card, folder)
    assert recording.files == ("1.csv", "labels.csv")
    return recording.label_T.tolist()


def test_samples_count_from_one_and_include_the_last(tmp_path):
    assert labels(tmp_path, ["1,sit,1,2", "01,walk,4,4"]) == [1, 1, -1, 0, -1, -1]


def test_samples_count_from_zero_and_exclude_the_last(tmp_path):
    assert labels(tmp_path, ["1,sit,0,2", "1,walk,2,6"], "samples-from-0") == [1, 1, 0, 0, 0, 0]


def test_seconds_are_those_of_the_clock_or_of_the_recording(tmp_path):
    time = {"column": "t"}
    assert labels(tmp_path, ["1,sit,9.95,10.15"], "seconds", TIMED, time=time) == [1, 1, -1, -1, -1, -1]
    assert labels(tmp_path, ["1,sit,0.35,0.7"], "seconds-from-start", TIMED, time=time) == [-1, -1, -1, -1, 1, 1]
    assert labels(tmp_path, ["1,walk,0,0.2"], "seconds-from-start") == [0, 0, -1, -1, -1, -1]


def test_each_recording_may_have_a_file_of_its_own(tmp_path):
    files = {"1.csv": SIGNAL, "2.csv": SIGNAL, "1.txt": "sit 0 3\n", "2.txt": "walk 0 1\n"}
    folder = write(tmp_path / "raw", files)
    intervals = {
        "path": "{subject}.txt",
        "format": {"delimiter": "whitespace", "header": False},
        "columns": {"activity": 1, "start": 2, "stop": 3},
        "counting": "samples-from-0",
    }
    card = card_with(tmp_path, files={"path": "{subject}.csv", "label": {"intervals": intervals}})
    first, second = all_of(card, folder)
    assert first.label_T.tolist() == [1, 1, 1, -1, -1, -1]
    assert second.label_T.tolist() == [0, -1, -1, -1, -1, -1]
    assert second.files == ("2.csv", "2.txt")


@pytest.mark.parametrize(
    ("intervals", "message"),
    [
        (["1,sit,1,2", "1,run,3,4"], "line 3: activity code 'run'"),
        (["1,sit,0,2"], r"line 2: the interval from 0 to 2 does not lie in the 6 samples of 1\.csv"),
        (["1,sit,5,7"], "line 2: the interval from 5 to 7 does not lie"),
        (["1,sit,3,2"], "line 2: the interval from 3 to 2 ends before it starts"),
        (["1,sit,1,3", "1,walk,3,4"], "line 3: the interval overlaps with the one in line 2"),
        (["1,sit,1,3", "9,walk,1,2"], "line 3: there is no recording of subject 9"),
        (["1,sit,1,"], "line 2: start or stop is missing"),
        (["1,,1,2"], "line 2: activity is missing"),
        (["1,sit,1.5,2"], "line 2: the interval from 1.5 to 2"),
    ],
)
def test_a_bad_interval_is_named_with_its_line(intervals, message, tmp_path):
    with pytest.raises(DataError, match=rf"labels\.csv, {message}") as caught:
        labels(tmp_path, intervals)
    assert caught.value.hint


def test_an_interval_without_samples_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"from 50 s to 51 s holds no sample of 1\.csv"):
        labels(tmp_path, ["1,sit,50,51"], "seconds", TIMED, time={"column": "t"})


@pytest.mark.parametrize(
    ("interval", "counting", "message"),
    [
        (
            "1,sit,10.2,10.71",
            "seconds",
            r"from 10\.2 s to 10\.71 s reaches beyond 1\.csv, which is from 10 s to",
        ),
        ("1,sit,9.89,10.2", "seconds", r"from 9\.89 s to 10\.2 s reaches beyond 1\.csv"),
        (
            "1,sit,0.2,500",
            "seconds-from-start",
            r"from 0\.2 s to 500 s reaches beyond 1\.csv, which is from 0 s to",
        ),
        ("1,sit,10.4,10.1", "seconds", r"from 10\.4 to 10\.1 ends before it starts"),
    ],
)
def test_seconds_beyond_the_recording_are_refused(interval, counting, message, tmp_path):
    with pytest.raises(DataError, match=rf"labels\.csv, line 2: the interval {message}"):
        labels(tmp_path, [interval], counting, TIMED, time={"column": "t"})


def test_sessions_share_a_clock_and_each_interval_meets_one_of_them(tmp_path):
    later = lines(*[f"{50 + i / 10},1,2,3" for i in range(6)], header="t,ax,ay,az")
    intervals = {"path": "labels.csv", "columns": COLUMNS, "counting": "seconds"}
    own = {"path": "{subject}_{trial}.csv", "label": {"intervals": intervals}, "time": {"column": "t"}}
    card = card_with(tmp_path, rate_hz=10, files=own)
    rows = ["1,sit,10,10.2", "1,walk,50.3,50.6"]
    files = {"1_a.csv": TIMED, "1_b.csv": later, "labels.csv": lines(*rows, header="who,what,from,to")}
    first, second = all_of(card, write(tmp_path / "raw", files))
    assert first.label_T.tolist() == [1, 1, -1, -1, -1, -1]
    assert second.label_T.tolist() == [-1, -1, -1, 0, 0, 0]
    write(tmp_path / "raw", {"labels.csv": lines(*rows, "1,sit,30,31", header="who,what,from,to")})
    with pytest.raises(DataError, match=r"line 4: .* from 30 s to 31 s holds no sample of 1_a\.csv … 1_b\.csv"):
        all_of(card, tmp_path / "raw")


def test_a_missing_file_of_intervals_is_named(tmp_path):
    folder = write(tmp_path / "raw", {"1.csv": SIGNAL})
    label = {"intervals": {"path": "labels.csv", "columns": COLUMNS, "counting": "samples-from-1"}}
    with pytest.raises(DataError, match=r"no file of intervals in .* matches labels\.csv"):
        all_of(card_with(tmp_path, files={"path": "{subject}.csv", "label": label}), folder)
