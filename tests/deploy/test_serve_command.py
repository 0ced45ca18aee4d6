"""`har serve` as a person starts it: what it says, encrypted pages, its end, one sentence for every mistake."""

import re
import shlex
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from websockets.sync.client import connect

from har.__main__ import main
from har.commands import serve
from har.deploy.serve import MOST_CONNECTIONS
from har.deploy.serve_session import LONGEST, MOST_MESSAGES, MOST_SAMPLES
from tests.deploy.serving import asked


def without_z(run, folder):
    """A run whose model is fed something that no phone has."""
    checkpoints = folder / "checkpoints"
    checkpoints.mkdir(parents=True)
    state = torch.load(run / "checkpoints" / "best.ckpt")
    state["recipe"]["preparation"]["channels"][2]["sensor"] = "magnetometer"
    torch.save(state, checkpoints / "best.ckpt")
    for name in ("run.json", "config.yaml"):
        (folder / name).write_bytes((run / name).read_bytes())
    return folder


def test_an_encrypted_page_with_the_certificate_of_the_printed_command(run, tmp_path, capsys):
    serve._announce("127.0.0.1", 8765, secure=False)
    said = capsys.readouterr().err
    assert "http://127.0.0.1:8765/" in said
    assert "secure pages only" in said
    command = shlex.split(re.sub(r"IP:[\d.]+", "IP:127.0.0.1", said.splitlines()[-1]))
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    names = {"--tls-cert": "har-cert.pem", "--tls-key": "har-key.pem"}
    files = [word for option, name in names.items() for word in (option, str(tmp_path / name))]
    arguments = [sys.executable, "-m", "har", "serve", str(run), "--port", "0", *files]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        address = re.search(r"https://(\S+)/", process.stderr.readline()).group(1)
        trusted = ssl.create_default_context(cafile=str(tmp_path / "har-cert.pem"))
        with connect(f"wss://{address}/live", origin=f"https://{address}", ssl=trusted) as client:
            assert asked(client, {"rate_hz": 50}) == {"delay_s": 0.0}
            process.send_signal(signal.SIGINT)
            _, text = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "1 connections, 0 samples, 0 decisions" in text
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--port", "70000"], "70000 is no port"),
        (["--host", "999.1.1.1"], "cannot listen at 999.1.1.1"),
        (["--tls-cert", "a.pem"], "go together"),
        (["--tls-cert", "a.pem", "--tls-key", "b.pem"], "there is no file a.pem"),
        (["--tls-cert", "{run}/run.json", "--tls-key", "{run}/run.json"], "no certificate with its own key"),
        (["--smooth", "medium"], "smoothing 'medium' is not known"),
        (["--step-s", "0"], "0.0 s at 50 Hz is 0 samples"),
    ],
)
def test_every_mistake_is_one_sentence(run, tmp_path, monkeypatch, capsys, args, message):
    monkeypatch.chdir(tmp_path)
    assert main(["serve", str(run), *(text.format(run=run) for text in args)]) == 2
    text = capsys.readouterr().err
    assert message in text
    assert "Traceback" not in text


def test_a_port_in_use_is_one_sentence(run, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", str(run), "--port", str(port)]) == 2
    assert f"cannot listen at 127.0.0.1:{port} (Address already in use)" in capsys.readouterr().err


def test_a_model_of_other_sensors_is_refused_by_what_it_needs(run, tmp_path, capsys):
    assert main(["serve", str(without_z(run, tmp_path / "run"))]) == 2
    text = capsys.readouterr().err
    assert re.search(r"the model needs acc_x \(m/s²\), .* and a phone's browser gives", text)


def test_the_documentation_states_commands_that_exist_and_the_limits_that_hold():
    text = (Path(__file__).parents[2] / "docs" / "deploying.md").read_text(encoding="utf-8")
    commands = re.findall(r"^har serve (.+)$", text, re.MULTILINE)
    parsed = [serve._parser().parse_args(shlex.split(command)) for command in commands]
    assert [(options.host, options.port) for options in parsed] == [("127.0.0.1", 8765), ("0.0.0.0", 8765)]  # noqa: S104
    assert f"At most {MOST_CONNECTIONS} pages are connected" in text
    limits = f"{LONGEST:_} bytes and {MOST_SAMPLES} samples, and {MOST_MESSAGES} come a second".replace("_", " ")
    assert limits in " ".join(text.split())


def test_names_of_this_machine_count_only_where_it_is_open_to_its_network():
    assert serve._names("127.0.0.1") == serve._names("::1") == serve._names("localhost") == frozenset()
    assert socket.gethostname() in serve._names("0.0.0.0")  # noqa: S104
