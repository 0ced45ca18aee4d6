"""Loading in blocks: the same recordings whatever the size of blocks and spool, and little memory whatever the file."""

import subprocess
import sys
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from har.datasets import spool, text
from har.datasets.spool import Spool
from har.errors import DataError
from har.windows.store import Store
from tests.datasets.own import all_of, card_with, lines, write
from tests.datasets.test_files import two_files

MEBIBYTE = 1 << 20


def read_in(card, folder, block_bytes, spool_bytes):
    """Return the recordings, or the error, when files are read in blocks of so many bytes."""
    with mock.patch.object(text, "BLOCK_BYTES", block_bytes), mock.patch.object(spool, "MOST_BYTES", spool_bytes):
        try:
            return all_of(card, folder)
        except DataError as error:
            return str(error)


def require_equal(found, expected):
    """Fail where two lists of recordings differ in anything."""
    assert isinstance(found, list), found
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert (one.subject, one.trial, one.extra, one.files, one.lacks) == (
            *(other.subject, other.trial, other.extra),
            *(other.files, other.lacks),
        )
        assert one.label_T.tolist() == other.label_T.tolist()
        for own, its in zip(one.streams, other.streams, strict=True):
            assert own.channels == its.channels
            np.testing.assert_array_equal(own.signal_TC, its.signal_TC)
            assert (own.time_s is None) == (its.time_s is None)
            if own.time_s is not None:
                np.testing.assert_array_equal(own.time_s, its.time_s)


@st.composite
def own_tables(draw):
    """Return the section `files` of a card, and files of several subjects whose rows stand in runs."""
    clock = draw(st.sampled_from([None, "s", "datetime"]))
    runs = draw(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("12"), st.integers(1, 6)), max_size=9))
    runs = runs or [("a", "1", 1)]
    end, quote, blank = draw(st.sampled_from(["\n", "\r\n"])), draw(st.sampled_from(["", '"'])), draw(st.booleans())
    rows = []
    for who, session, length in runs:
        for _ in range(length):
            n = len(rows)
            moment = f"1970-01-01 00:00:{n // 50:02}.{n % 50 * 2:02}" if clock == "datetime" else f"{n / 50}"
            label = draw(st.sampled_from(["walk", "walk", "sit", "0", ""]))
            value = draw(st.sampled_from(["1.5", "-", " - ", "NaN", "1e-3"]))
            rows.append(f"{quote}{who}{quote},{session},{moment},{n},{value},{-n},{quote}{label}{quote}")
    rows[0] = rows[0].rsplit(",", 1)[0] + ",walk"  # a card wants one label at least of each subject: `unlabelled` below
    if draw(st.booleans()):
        rows.insert(draw(st.integers(0, len(rows))), "# a remark, of one line")
    if blank:
        rows.insert(draw(st.integers(0, len(rows))), "")
    half = draw(st.integers(0, len(rows)))
    pieces = [rows[:half], rows[half:]] if draw(st.booleans()) else [rows]
    pieces = [piece for piece in pieces if any(row and not row.startswith("#") for row in piece)]
    header = "who,session,t,ax,ay,az,activity"
    files = {
        f"part{i}.csv": end.join([header, *piece]) + draw(st.sampled_from(["", end])) for i, piece in enumerate(pieces)
    }
    own = {
        "path": "part{piece:d}.csv",
        "chain": "piece",
        "format": {"comment": "#", "missing": ["-"]},
        "groups": {"subject": "who", "session": "session"},
        "label": {"column": "activity", "drop": [0]},
        **({"time": {"column": "t", "unit": clock}} if clock else {}),
    }
    return own, files


@settings(max_examples=40)
@given(own_tables(), st.integers(1, 300), st.sampled_from([0, 100, 500, 1 << 27]))
def test_blocks_of_any_size_make_the_same_recordings(tmp_path_factory, tables, block_bytes, spool_bytes):
    own, files = tables
    folder = tmp_path_factory.mktemp("own")
    write(folder / "raw", files)
    card = card_with(folder, files=own)
    expected = read_in(card, folder / "raw", 1 << 24, 1 << 27)
    found = read_in(card, folder / "raw", block_bytes, spool_bytes)
    if isinstance(expected, str):  # rows that take turns without a clock, or a subject without a label
        assert found == expected
    else:
        require_equal(found, expected)
        rows = [row for r in expected for row in r.streams[0].signal_TC[:, 0].tolist()]
        assert len(rows) == len(set(rows))
        if "time" in own:  # the rows of each subject and session come in their order, whoever comes between
            for recording in expected:
                assert (np.diff(recording.streams[0].signal_TC[:, 0]) > 0).all()


@settings(max_examples=30)
@given(
    runs=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5)), min_size=1, max_size=6),
    join=st.sampled_from(["row", "time"]),
    block_bytes=st.integers(1, 80),
    spool_bytes=st.sampled_from([0, 60, 1 << 27]),
    spoilt=st.integers(-1, 8),
)
def test_joined_tables_are_the_same_in_blocks_of_any_size(
    tmp_path_factory, runs, join, block_bytes, spool_bytes, spoilt
):
    who = [name for name, length in runs for _ in range(length)]
    gyro = [f"{name},{n / 50},{n},walk" for n, name in enumerate(who)]
    others = ["b" if n == spoilt and name == "a" else name for n, name in enumerate(who)]
    acc = [f"{name},{-n},{n / 50}" for n, name in enumerate(others)]
    folder = tmp_path_factory.mktemp("own")
    write(
        folder / "raw",
        {"gyro.csv": lines(*gyro, header="who,t,wx,activity"), "acc.csv": lines(*acc, header="who,ax,t")},
    )
    tables = [{"path": "gyro.csv", "columns": {"gyro": "wx"}}, {"path": "acc.csv", "columns": {"acc": "ax"}}]
    own = two_files(tables=tables, groups={"subject": "who"}, join=join, time={"column": "t"})
    card = card_with(folder, **own)
    expected = read_in(card, folder / "raw", 1 << 24, 1 << 27)
    found = read_in(card, folder / "raw", block_bytes, spool_bytes)
    if join == "row" and others != who:
        assert f"acc.csv, line {spoilt + 2}: subject b, but" in expected
    if isinstance(expected, str):
        assert found == expected
    else:
        require_equal(found, expected)


FAULTS = {
    "no number": ("b,9,x,3,walk", "is not a number"),
    "infinite": ("b,9,inf,3,walk", "is not a finite number"),
    "too short": ("b,9,2", "3 values where 5"),
    "an unknown code": ("b,9,2,3,run", "activity code 'run'"),
    "no subject": (",9,2,3,walk", "no subject is given"),
    "no text": ("b,9,2,3,wa\x01lk,", "byte 0x01: the file is binary"),
}


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("block_bytes", [1, 300])
def test_a_fault_is_named_with_its_line_in_whatever_block_it_stands(kind, block_bytes, tmp_path):
    row, message = FAULTS[kind]
    rows = [f"{'abc'[i // 40]},{i},2,3,walk" for i in range(120)]
    rows[77] = row
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="who,ax,ay,az,activity")})
    card = card_with(tmp_path, files={"path": "all.csv", "groups": {"subject": "who"}})
    found = read_in(card, folder, block_bytes, 1 << 27)
    assert "all.csv, line 79" in found
    assert message in found


def test_a_byte_that_is_no_text_is_named_beyond_the_first_block(tmp_path):
    good = lines(*["1,2,3,walk"] * 50).encode()
    folder = write(tmp_path / "raw", {"1/a.csv": good + b"1,2,3,sp\xe4t\n"})
    found = read_in(card_with(tmp_path), folder, 64, 1 << 27)
    assert "a.csv, line 52: byte 0xe4 is not UTF-8" in found


def test_an_activity_in_a_group_is_named_with_the_line_that_it_begins_in(tmp_path):
    rows = [f"{n},u,{what},1,2,3" for n, what in enumerate(["walk", "sit", "walk", "sit", "run", "sit"])]
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="t,who,what,ax,ay,az")})
    own = {"path": "all.csv", "groups": {"subject": "who", "activity": "what"}, "time": {"column": "t"}, "label": None}
    card = card_with(tmp_path, files=own)
    assert "all.csv, line 6: activity code 'run'" in read_in(card, folder, 1 << 24, 1 << 27)


def test_a_date_that_is_none_is_named_beyond_the_first_block(tmp_path):
    rows = [f"2024-05-31 10:00:{n:02},1,2,3,walk" for n in range(50)]
    rows[40] = "yesterday,1,2,3,walk"
    folder = write(tmp_path / "raw", {"1/a.csv": lines(*rows, header="t,ax,ay,az,activity")})
    card = card_with(tmp_path, files={"time": {"column": "t", "unit": "datetime"}})
    assert "a.csv, line 42, column t: 'yesterday' is no date" in read_in(card, folder, 200, 1 << 27)


def test_groups_may_be_named_in_another_order_in_each_table(tmp_path):
    files = {
        "gyro.csv": lines("u,1,3,walk", "v,1,4,sit", header="who,ses,wx,activity"),
        "acc.csv": lines("1,u,1", "1,v,2", header="ses,who,ax"),
    }
    tables = [
        {"path": "gyro.csv", "columns": {"gyro": "wx"}, "groups": {"subject": "who", "session": "ses"}},
        {"path": "acc.csv", "columns": {"acc": "ax"}, "groups": {"session": "ses", "subject": "who"}},
    ]
    card = card_with(tmp_path, **two_files(tables=tables))
    found = all_of(card, write(tmp_path / "raw", files))
    assert [(r.subject, r.trial, r.streams[0].signal_TC.tolist()) for r in found] == [
        ("u", "1", [[1, 3]]),
        ("v", "1", [[2, 4]]),
    ]


def test_values_that_mean_the_same_group_are_one_part(tmp_path):
    tables = [{"path": "x_{subject:d}.csv", "columns": {"acc": ["ax", "ay", "az"]}, "groups": {"trial": "n"}}]
    rows = ['" a",1,2,3,walk', "a,4,5,6,walk", '"a ",7,8,9,sit']
    folder = write(tmp_path / "raw", {"x_1.csv": lines(*rows, header="n,ax,ay,az,activity")})
    card = card_with(tmp_path, files={"path": None, "columns": None, "tables": tables})
    (recording,) = all_of(card, folder)
    assert recording.streams[0].signal_TC[:, 0].tolist() == [1, 4, 7]


def test_blanks_beside_quotes_are_cut_off_and_those_inside_stay(tmp_path):
    rows = ['1, 2 ,3, "sit  down" ', ' 9999 ,5,6,"sit  down"', '1,2,3,"a, ""b"" , c"']
    folder = write(tmp_path / "raw", {"1/a.csv": lines(*rows)})
    activities = {"sit  down": "sitting", 'a, "b" , c': "else"}
    card = card_with(tmp_path, activities=activities, files={"format": {"missing": ["9999"]}})
    (recording,) = all_of(card, folder)
    assert recording.label_T.tolist() == [0, 0, 1]
    np.testing.assert_array_equal(recording.streams[0].signal_TC, [[1, 2, 3], [np.nan, 5, 6], [1, 2, 3]])


@given(st.lists(st.integers(0, 40), max_size=8), st.sampled_from([0, 64, 200, 1 << 20]))
def test_a_spool_gives_back_what_it_took(sizes, most_bytes):
    arrays = [np.random.default_rng(i).normal(size=(2, size)) for i, size in enumerate(sizes)]
    with mock.patch.object(spool, "MOST_BYTES", most_bytes), Spool() as kept:
        numbers = [kept.put(array[:, ::-1]) for array in arrays]
        for number, array in reversed(list(zip(numbers, arrays, strict=True))):
            np.testing.assert_array_equal(kept.get(number), array[:, ::-1])


def test_a_full_disk_names_the_folder_of_temporary_files(tmp_path, capsys):
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000));"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "from har.datasets import spool; spool.MOST_BYTES = 0;"
        "from har.__main__ import main; sys.exit(main(sys.argv[1:]))"
    )
    rows = [f"u{i // 500},1,2,3,walk" for i in range(1000)]
    folder = write(tmp_path / "raw", {"all.csv": lines(*rows, header="who,ax,ay,az,activity")})
    card_with(tmp_path, files={"path": "all.csv", "groups": {"subject": "who"}})
    words = ["prepare", str(tmp_path / "mine.yaml"), "--source", str(folder), "--root", str(tmp_path / "data")]
    done = subprocess.run([sys.executable, "-c", script, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert f"no room in {tempfile.gettempdir()}: the file would be larger than is allowed here" in done.stderr
    assert "TMPDIR" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in (tmp_path / "data").glob("prepared/*") if path.is_dir() and path.name[0] != "."] == []


# -- memory --

HEADER = "who,ses,t,ax,ay,az,gx,gy,gz,activity"
BIG = """\
name: mine
source: {kind: folder}
reader: files
rate_hz: 50
channels:
  - {name: acc, axes: [x, y, z], sensor: accelerometer, site: wrist, unit: m/s²}
  - {name: gyro, axes: [x, y, z], sensor: gyroscope, site: wrist, unit: rad/s}
activities: {walk: walking, sit: sitting}
files:
  path: all.csv
  columns: {acc: [ax, ay, az], gyro: [gx, gy, gz]}
  groups: {subject: who, session: ses}
  time: {column: t, unit: ms}
  label: {column: activity}
"""
_PEAK = """
import sys
from har.__main__ import main

def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) >> 10

import har.windows.prepare, pyarrow.csv, har.datasets.readers.files
from har.datasets import spool, text
text.BLOCK_BYTES, spool.MOST_BYTES = int(sys.argv[1]) or text.BLOCK_BYTES, int(sys.argv[2]) or spool.MOST_BYTES
before = peak()
code = main(sys.argv[3:])
print("MEBIBYTES", peak() - before)
sys.exit(code)
"""


def write_big(path: Path, size: int, recordings: int, in_turns: bool) -> int:
    """Write a table of many recordings of two activities each; return its rows."""
    random = np.random.default_rng(0)
    chunk = 200 if in_turns else 4000
    values = [",".join(f"{value:.6f}" for value in row) for row in random.normal((0, 0, 9.8, 0, 0, 0), 0.3, (chunk, 6))]
    rows = [0] * recordings
    with path.open("w") as stream:
        stream.write(HEADER + "\n")
        while stream.tell() < size:
            for i in range(recordings):
                for _ in range(1 if in_turns else size // recordings // 75 // chunk):
                    begin, who = 1_700_000_000_000 + 20 * rows[i], f"p{i // 4:03},s{i % 4}"
                    stream.writelines(
                        f"{who},{begin + 20 * n},{text},{'walk' if n < chunk // 2 else 'sit'}\n"
                        for n, text in enumerate(values)
                    )
                    rows[i] += chunk
    return sum(rows)


def _peak_mebibytes(tmp_path, size, recordings, in_turns, block_bytes=0, spool_bytes=0):
    """Prepare a big table in a process of its own; return how many MiB it took beyond its imports, and the store."""
    (tmp_path / "raw").mkdir()
    rows = write_big(tmp_path / "raw" / "all.csv", size, recordings, in_turns)
    (tmp_path / "mine.yaml").write_text(BIG)
    words = [
        "prepare",
        str(tmp_path / "mine.yaml"),
        "--source",
        str(tmp_path / "raw"),
        "--root",
        str(tmp_path / "data"),
    ]
    command = [sys.executable, "-c", _PEAK, str(block_bytes), str(spool_bytes), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    store = Store.open(tmp_path / "data" / "prepared" / "mine")
    assert store.manifest["source_counts"]["rows"] == rows
    assert store.manifest["counts"]["recordings"] == recordings
    return int(done.stdout.split("MEBIBYTES")[1]), store


needs_proc = pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs /proc to measure memory")


@needs_proc
@pytest.mark.parametrize("in_turns", [False, True])
def test_memory_does_not_grow_with_the_table(in_turns, tmp_path):
    mebibytes, store = _peak_mebibytes(tmp_path, 60_000_000, 40, in_turns, MEBIBYTE, MEBIBYTE)
    assert store.subjects == [f"p{i:03}" for i in range(10)]
    assert mebibytes < 40  # 270 where it is read as a whole


@needs_proc
@pytest.mark.slow
@pytest.mark.parametrize("in_turns", [False, True])
def test_a_table_of_two_gigabytes_takes_less_than_one_of_memory(in_turns, tmp_path):
    mebibytes, store = _peak_mebibytes(tmp_path, 2_000_000_000, 120, in_turns)
    print(f"in turns {in_turns}: {mebibytes} MiB beyond imports, {len(store.signal_TC)} rows")  # noqa: T201 - shown by -rP
    assert mebibytes < 1024
