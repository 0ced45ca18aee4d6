"""Lines of samples: found by name, whatever the cut; bad ones counted, never a traceback."""

import contextlib
import json

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from har.datasets.card import Channel
from har.deploy.lines import LONGEST, MOST_BAD, SampleLines
from har.errors import DataError, UsageError

INPUTS = tuple(Channel(f"acc_{axis}", "accelerometer", "wrist", axis, "m/s²") for axis in "xy")


def read(data, size=7):
    lines = SampleLines(INPUTS)
    parts = [lines.push(data[first : first + size]) for first in range(0, len(data), size)]
    parts.append(lines.end())
    signal_TC = np.concatenate([signal for signal, _ in parts])
    times = [time for _, time in parts if time is not None and len(time)]
    return lines, signal_TC, np.concatenate(times) if times else None


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "time_s,acc_x,acc_y\n0.5,1,2\n1.5,3,4",
        "\ufeffacc_y, note ,time_ms,acc_x\r\n2,a b,500,1\r\n\r\n4,,1500,3\r\n",
        '"time_s","acc_x","acc_y","said"\n"0.5","1","2","sit, then walk"\n1.5,"3","4",""\n',
        '{"acc_x": 1, "acc_y": 2, "time_s": 0.5}\n{"time_s": 1.5, "acc_y": 4, "acc_x": 3, "more": [1]}\n',
    ],
)
def test_columns_and_keys_are_found_by_name_in_any_pieces(text, size):
    lines, signal_TC, time_s = read(text.encode(), size)
    np.testing.assert_array_equal(signal_TC, [[1, 2], [3, 4]])
    np.testing.assert_allclose(time_s, [0.5, 1.5])
    assert lines.bad == 0


def test_samples_without_times_and_values_that_are_missing():
    for text in ("acc_x,acc_y\n1,\nnan,4\n", '{"acc_x": 1, "acc_y": null}\n{"acc_x": NaN, "acc_y": 4}\n'):
        _, signal_TC, time_s = read(text.encode())
        np.testing.assert_array_equal(signal_TC, [[1, np.nan], [np.nan, 4]])
        assert time_s is None


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"1,one", "line 3: 'one' is no number"),
        (b"1", "it has 1 values for 2 columns"),
        (b'1,"2,3', "line 3: '2,3' is no number"),
        (b"1,\xff\xfe", "is no number"),
        (b"9" * (LONGEST + 10), f"longer than {LONGEST} bytes"),
    ],
)
def test_a_bad_line_is_skipped_and_the_first_is_told(line, reason):
    lines, signal_TC, _ = read(b"acc_x,acc_y\n1,2\n" + line + b"\n3,4\n5\n", 1000)
    np.testing.assert_array_equal(signal_TC, [[1, 2], [3, 4]])
    assert lines.bad == 2
    assert reason in lines.first_bad


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"acc_x": 1', "no JSON"),
        ("[1, 2]", "no JSON object"),
        ('{"acc_x": 1}', "lacks acc_y"),
        ('{"acc_x": true, "acc_y": 2, "time_s": 3}', "'True' is no number"),
        ('{"acc_x": 1, "acc_y": 2}', "lacks time_s"),
        ('{"acc_x": 1e999, "acc_y": "2", "time_s": 3}', "'2' is no number"),
        ("[" * 60_000, "no JSON"),
        ('{"acc_x": 1' + "0" * 400 + ', "acc_y": 2, "time_s": 3}', "of 401 digits is more than 64 bits"),
    ],
)
def test_a_bad_object_is_skipped_with_its_reason(line, reason):
    lines, signal_TC, _ = read(f'{{"acc_x": 1, "acc_y": 2, "time_s": 0}}\n{line}\n'.encode(), 4096)
    assert len(signal_TC) == 1
    assert (lines.bad, reason in lines.first_bad) == (1, True)


def test_too_many_bad_lines_in_a_row_and_a_bad_header_are_errors():
    good = b"acc_x,acc_y\n" + b"1,2\n"
    assert read(good + b"x\n" * (MOST_BAD - 1) + b"1,2\n" + b"x\n" * (MOST_BAD - 1))[0].bad == 2 * MOST_BAD - 2
    with pytest.raises(DataError, match="100 lines in a row"):
        read(good + b"x\n" * MOST_BAD)
    with pytest.raises(DataError, match="'acc_y' is not known"):
        read(b"acc_x,accy\n1,2\n")
    with pytest.raises(DataError, match=r"commas between; .*Known: acc_x;acc_y\."):
        read(b"acc_x;acc_y\n1;2\n")
    with pytest.raises(DataError, match=f"Known: {'9' * 40}\\.$"):
        read(b"9" * 5000 + b"\n")
    with pytest.raises(DataError, match="more than once"):
        read(b"acc_x,acc_y,acc_x\n1,2,3\n")


def test_an_endless_line_takes_no_memory():
    lines = SampleLines(INPUTS)
    lines.push(b"acc_x,acc_y\n")
    for _ in range(100):
        lines.push(b"1" * LONGEST)
        assert len(lines._rest) <= LONGEST
    signal_TC, _ = lines.push(b"1\n3,4\n")
    np.testing.assert_array_equal(signal_TC, [[3, 4]])
    assert lines.bad == 1


values = st.recursive(st.none() | st.booleans() | st.floats() | st.text(max_size=5), lambda x: st.lists(x, max_size=2))


@settings(max_examples=80)
@given(
    st.binary(max_size=200) | st.lists(st.dictionaries(st.sampled_from(["acc_x", "acc_y", "time_s"]), values)),
    st.integers(1, 50),
)
@example(b"acc_x,acc_y\n\x00,1\n", 3)
def test_no_bytes_make_another_error_than_those_for_users(content, size):
    data = content if isinstance(content, bytes) else "\n".join(map(json.dumps, content)).encode()
    for prefix in (b"", b"acc_x,acc_y\n1,2\n"):
        with contextlib.suppress(DataError, UsageError):
            lines, signal_TC, _ = read(prefix + data, size)
            assert signal_TC.shape[1] == 2
            assert lines.bad <= data.count(b"\n") + 1
