"""`har serve`: a local page that shows the activity of the phone that opens it."""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import socket
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from har.commands.interrupt import termination_as_interrupt
from har.commands.parser import CommandParser
from har.errors import UsageError

if TYPE_CHECKING:
    from har.deploy.serve import PhoneServer

_LOOPBACK = "127.0.0.1"
_PORT = 8765
_EXAMPLES = """
har serve wrist-model/model.onnx
har serve wrist-model/model.onnx --host 0.0.0.0 --tls-cert har-cert.pem --tls-key har-key.pem
har serve wrist-model/model.onnx --smooth majority --last 5

The model is one of an accelerometer and a gyroscope, or one of them. Phones give motion to secure pages only, which are
those by https and those of the device itself; without --tls-cert a command that makes a certificate is printed."""


def main(args: list[str]) -> int:
    """Serve until Ctrl-C; say at the end what came."""
    options = _parser().parse_args(args)
    tls = _tls(options.tls_cert, options.tls_key)
    from har.deploy.latency import one_torch_thread
    from har.deploy.model import load
    from har.deploy.serve import PhoneServer
    from har.deploy.serve_session import Wish
    from har.deploy.sources import listener

    wish = Wish(options.step_s, options.smooth, options.last)
    server = PhoneServer(load(options.model), wish, names=_names(options.host), secure=tls is not None)
    with (
        listener((options.host, options.port), backlog=16) as listening,
        one_torch_thread(),
        termination_as_interrupt(),
    ):
        _announce(options.host, listening.getsockname()[1], secure=tls is not None)
        try:
            asyncio.run(_serve(server, listening, tls))
        finally:
            counts = ", ".join(f"{server.counts[what]} {what}" for what in ("connections", "samples", "decisions"))
            _tell(counts)
    return 0


def _parser() -> CommandParser:
    """Return the parser of the command line."""
    parser = CommandParser("serve", "A local page for live motion from a phone's browser.", _EXAMPLES)
    parser.add_argument("model", type=Path, metavar="MODEL", help="an .onnx or .pt2 file, or the folder of a run")
    parser.add_argument(
        "--host",
        default=_LOOPBACK,
        metavar="ADDRESS",
        help="default: this machine alone; 0.0.0.0 is open to its network",
    )
    parser.add_argument("--port", type=_port, default=_PORT, metavar="N", help=f"default {_PORT}; 0 is any free one")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate (PEM), which makes the page secure")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key (PEM, without a password)")
    parser.add_argument("--step-s", type=float, metavar="S", help="seconds between windows (default: the training's)")
    parser.add_argument("--smooth", default="none", metavar="HOW", help="none, mean or majority of the last decisions")
    parser.add_argument("--last", type=int, default=5, metavar="N", help="how many decisions are smoothed (default 5)")
    return parser


def _port(text: str) -> int:
    """Return a port's number."""
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port, which is a number from 0 to 65535")
    return int(text)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    """Return the server's side of encryption; None where no files are named.

    Raises:
        UsageError: One of the two is not named or not there, or they are no certificate with its key.
    """
    if certificate is None and key is None:
        return None
    if certificate is None or key is None:
        raise UsageError("--tls-cert and --tls-key go together.", "Name both files.")
    for path in (certificate, key):
        if not path.is_file():
            raise UsageError(f"there is no file {path}.", f"Make both: {_openssl(_LOOPBACK)}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")  # instead of a question at the terminal
    except ssl.SSLError:
        raise UsageError(
            f"{certificate} and {key} are no certificate with its own key, in PEM and without a password.",
            f"Make both: {_openssl(_LOOPBACK)}",
        ) from None
    return context


def _names(host: str) -> frozenset[str]:
    """Return the names that this machine has in its network; none where it is not open to it."""
    if _is_loopback(host):
        return frozenset()
    own = socket.gethostname()
    return frozenset({host, own, f"{own}.local", socket.getfqdn()})


def _is_loopback(host: str) -> bool:
    """Return whether an address is reached from this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _announce(host: str, port: int, *, secure: bool) -> None:
    """Say where the page is, who can open it, and what phones want."""
    shown = _address_in_network() if host in {"0.0.0.0", "::"} else host  # noqa: S104  (a person's choice)
    bracketed = f"[{shown}]" if ":" in shown else shown
    whom = "from this machine alone (--host 0.0.0.0: from its network)" if _is_loopback(host) else "from its network"
    _tell(f"open http{'s' if secure else ''}://{bracketed}:{port}/ {whom}; Ctrl-C ends")
    if secure:
        return
    _tell("phones give motion to secure pages only: use --tls-cert har-cert.pem --tls-key har-key.pem, made by")
    print(f"  {_openssl(_address_in_network() if _is_loopback(host) else shown)}", file=sys.stderr, flush=True)


def _address_in_network() -> str:
    """Return the address that others in this machine's network reach it by; nothing is sent for that."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))  # of no machine: reserved for documentation
            return str(probe.getsockname()[0])
    except OSError:  # no network
        return _LOOPBACK


def _openssl(host: str) -> str:
    """Return a command that makes a certificate for a host, and its key."""
    try:
        kind = f"IP:{ipaddress.ip_address(host)}"
    except ValueError:
        kind = f"DNS:{host}"
    return (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 90 -subj /CN=har -keyout har-key.pem -out har-cert.pem "
        f"-addext subjectAltName={kind} -addext extendedKeyUsage=serverAuth"
    )


async def _serve(server: PhoneServer, listening: socket.socket, tls: ssl.SSLContext | None) -> None:
    """Serve until this is cancelled."""
    started = await server.start(listening, tls)
    await started.serve_forever()


def _tell(sentence: str) -> None:
    """Say something to the person at the terminal."""
    print(f"har serve: {sentence}", file=sys.stderr, flush=True)
