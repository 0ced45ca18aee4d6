"""`har stream` as a person uses it: lines in, decisions out, one sentence for every mistake."""

import contextlib
import io
import json
import signal
import socket
import subprocess
import sys
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import har
from har.__main__ import main
from har.deploy.sources import LOOPBACK, address_of
from har.errors import UsageError


@pytest.fixture(scope="module")
def recording(spar):
    row = spar.recordings.iloc[(spar.recordings["stop"] - spar.recordings["start"]).argmax()]
    return np.array(spar.signal_TC[row["start"] : row["start"] + 400])


def csv_of(spar, signal_TC, rate_hz=50):
    lines = [",".join(["time_s", *spar.channels])]
    lines += [",".join([f"{i / rate_hz:.4f}", *map(repr, row)]) for i, row in enumerate(signal_TC.tolist())]
    return "\n".join(lines) + "\n"


def objects_of(spar, signal_TC):
    return "".join(json.dumps(dict(zip(spar.channels, row, strict=True))) + "\n" for row in signal_TC.tolist())


@pytest.fixture
def stream(run, capsys, monkeypatch):
    """Call the command with something on standard input; return exit code, decisions and standard error."""

    def call(*args, data=b""):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(data))))
        code = main(["stream", str(run), *map(str, args)])
        captured = capsys.readouterr()
        return code, captured.out.splitlines(), captured.err

    return call


def test_lines_become_the_offline_decisions(run, spar, recording, stream, tmp_path):
    expected = har.load(run).predict(recording, 50)
    path = tmp_path / "samples of ä.csv"
    path.write_text(csv_of(spar, recording))
    for args, data in ((("--from", path), b""), ((), path.read_bytes()), ((), objects_of(spar, recording).encode())):
        code, lines, text = stream("--rate-hz", 50, "--json", *args, data=data)
        assert code == 0
        found = [json.loads(line) for line in lines]
        assert [step["activity"] for step in found] == expected["activity"].tolist()
        probability_NK = [list(step["probabilities"].values()) for step in found]
        np.testing.assert_allclose(probability_NK, expected.filter(like="probability:"), atol=1e-5)
        np.testing.assert_allclose([step["end_s"] for step in found], expected["end_s"], atol=1e-6)
        assert "400 samples, 13 decisions" in text
        assert all(step["latency_ms"] > 0 for step in found)
    code, lines, _ = stream("--rate-hz", 50, "--smooth", "majority", "--last", 3, "--from", path)
    assert code == 0
    assert len(lines) == 13
    assert lines[0].split()[:2] == ["2.00", "s"]


def test_a_stream_shorter_than_a_window_says_how_many_samples_one_needs(spar, recording, stream):
    code, lines, text = stream("--rate-hz", 50, data=csv_of(spar, recording[:99]).encode())
    assert (code, lines) == (0, [])
    assert "no window was complete: 99 samples came, and one of 2 s needs 100 of them at 50 Hz, without a gap" in text
    code, lines, text = stream("--rate-hz", 50, data=csv_of(spar, recording[:100]).encode())
    assert (code, len(lines)) == (0, 1)
    assert "no window" not in text


def test_bad_lines_are_counted_and_units_converted(run, spar, recording, stream):
    recording = np.concatenate([recording[:, :3] / 9.80665, recording[:, 3:]], axis=1)
    head, *lines = csv_of(spar, recording).splitlines()
    data = "\n".join([head, *lines[:200], "a,b", "1,2,3", *lines[200:]]).encode()
    code, found, text = stream("--rate-hz", 50, "--json", "--units", "accelerometer=g", data=data)
    assert code == 0
    expected = har.load(run).predict(recording, 50, units={"accelerometer": "g"})
    assert [json.loads(line)["activity"] for line in found] == expected["activity"].tolist()
    assert "2 line(s) skipped (line 202: it has 2 values for 7 columns)" in text
    code, _, text = stream("--rate-hz", 50, data=data)
    assert code == 2
    assert "looks like g" in text


@pytest.mark.parametrize(
    ("args", "data", "code", "message"),
    [
        (["--rate-hz", "0"], b"", 2, "no rate"),
        (["--rate-hz", "50", "--from", "nowhere.csv"], b"", 2, "no file"),
        (["--rate-hz", "50", "--from", "."], b"", 2, "no file"),
        (["--rate-hz", "50", "--from", "a", "--listen", "1"], b"", 2, "two sources"),
        (["--rate-hz", "50", "--listen", "here"], b"", 2, "no address"),
        (["--rate-hz", "50", "--listen", "999.1.1.1:0"], b"", 2, "cannot listen"),
        (["--rate-hz", "50", "--smooth", "medium"], b"", 2, "smoothing 'medium' is not known"),
        (["--rate-hz", "50", "--smooth", "mean", "--last", "0"], b"", 2, "over 0 steps"),
        (["--rate-hz", "50", "--units", "accelerometer"], b"", 2, "names no unit"),
        (["--rate-hz", "fast"], b"", 2, "invalid float value"),
        ([], b"", 2, "rate of the samples is not given"),
        (["--rate-hz", "50"], b"acc_x,acc_y\n1,2\n", 3, "'acc_z' is not known"),
        (["--rate-hz", "50"], b"{}\n" * 100, 3, "100 lines in a row"),
    ],
)
def test_every_mistake_is_one_sentence(stream, tmp_path, monkeypatch, args, data, code, message):
    monkeypatch.chdir(tmp_path)
    found, lines, text = stream(*args, data=data)
    assert (found, lines) == (code, [])
    assert message in text
    assert "Traceback" not in text


def test_times_of_another_rate_are_refused(spar, recording, stream):
    code, _, text = stream("--rate-hz", 50, data=csv_of(spar, recording, 100).encode())
    assert code == 3
    assert "show 100 Hz, not 50 Hz" in text


def test_samples_without_times_are_told_once_since_another_rate_cannot_show(spar, recording, stream):
    told = "no time_s or time_ms: the samples are taken as evenly spaced, 50 a second"
    timed = csv_of(spar, recording)
    for data, times in (
        (timed, 0),
        (timed.replace("time_s", "timestamp"), 1),
        (objects_of(spar, recording), 1),
        (objects_of(spar, recording).replace("{", '{"time_ms": null, '), 0),
    ):
        assert stream("--rate-hz", 50, data=data.encode())[2].count(told) == times


def test_a_closed_standard_input_is_one_sentence(run, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)
    assert main(["stream", str(run), "--rate-hz", "50"]) == 2
    assert "har: standard input is closed." in capsys.readouterr().err


def test_an_interrupt_ends_the_stream_with_its_counts(spar, recording, stream, monkeypatch):
    data = csv_of(spar, recording).encode()

    def pressed():
        yield data
        raise KeyboardInterrupt

    monkeypatch.setattr("har.deploy.sources.standard_input", pressed)
    code, lines, text = stream("--rate-hz", 50)
    assert code == 130
    assert len(lines) == 13
    assert "400 samples, 13 decisions" in text
    assert text.splitlines()[-1].startswith("har: interrupted")


def test_a_connection_is_taken_from_this_machine_and_its_end_is_the_end(run, spar, recording, stream):
    command = [sys.executable, "-m", "har", "stream", str(run), "--rate-hz", "50", "--listen", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        said = [process.stderr.readline(), process.stderr.readline()]
        host, port = said[1].split()[-1].rsplit(":", 1)
        assert host == LOOPBACK
        with socket.create_connection((host, int(port)), timeout=60) as client:
            client.sendall(csv_of(spar, recording).encode())
        out, text = process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(out.splitlines()) == 13
    assert "400 samples, 13 decisions" in text


def test_a_terminated_stream_says_what_it_did(run):
    command = [sys.executable, "-m", "har", "stream", str(run), "--rate-hz", "50", "--listen", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        process.stderr.readline(), process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "0 samples, 0 decisions" in text
    assert "Traceback" not in text


def test_a_broken_connection_is_one_sentence(run, capsys, monkeypatch):
    said = threading.Event()
    port = []

    def tell(sentence):
        if sentence.startswith("listening"):
            port.append(int(sentence.rsplit(":", 1)[1]))
            said.set()

    monkeypatch.setattr("har.commands.stream._tell", tell)

    def client():
        said.wait(60)
        with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port[0])) as connection:
            connection.sendall(b"acc_x")
            # close with a reset instead of an end
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    thread = threading.Thread(target=client)
    thread.start()
    code = main(["stream", str(run), "--rate-hz", "50", "--listen", "0"])
    thread.join()
    text = capsys.readouterr().err
    assert code == 3
    assert "Traceback" not in text
    assert "the connection broke" in text or "is not known" in text  # whichever came first


def test_addresses():
    assert address_of("9000") == (LOOPBACK, 9000)
    assert address_of("0.0.0.0:9000") == ("0.0.0.0", 9000)  # noqa: S104
    assert address_of("[::1]:9") == ("::1", 9)
    for text in ("", "host:", "1:70000", "1:-2"):
        with pytest.raises(UsageError):
            address_of(text)
