"""Where the bytes of a stream come from: standard input, a file or pipe, a TCP connection."""

from __future__ import annotations

import io
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

from har.errors import DataError, UsageError

_AT_ONCE = 1 << 16  # bytes; what is there is taken, without waiting for more
LOOPBACK = "127.0.0.1"


def standard_input() -> Iterator[bytes]:
    """Yield what is written to this process.

    Raises:
        UsageError: It was started with its standard input closed.
    """
    if sys.stdin is None:
        raise UsageError("standard input is closed.", "Name a file of samples (--from), or pipe them in.")
    while data := cast("io.BufferedReader", sys.stdin.buffer).read1(_AT_ONCE):
        yield data


def file(path: Path) -> Iterator[bytes]:
    """Yield the content of a file or a named pipe.

    Raises:
        UsageError: There is none, or it is a folder.
    """
    try:
        with path.open("rb") as stream:
            while data := stream.read1(_AT_ONCE):
                yield data
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UsageError(f"there is no file {path}.", "Name a file of samples, or pipe them in.") from None


def address_of(text: str) -> tuple[str, int]:
    """Return host and port of ``HOST:PORT`` or ``PORT``, which is this machine's alone.

    Raises:
        UsageError: It is neither.
    """
    host, _, port = text.rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {text} is no address.", "Give PORT, or HOST:PORT; 0.0.0.0:PORT is open to others.")
    return host.strip("[]") or LOOPBACK, int(port)


def listener(address: tuple[str, int], *, backlog: int) -> socket.socket:
    """Return a socket that listens.

    Args:
        address: Host and port; 0 is any free port.
        backlog: Connections that may wait to be taken.

    Raises:
        UsageError: The address cannot be listened at.
    """
    host, port = address
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(address, family=family, backlog=backlog)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (while")[0]  # Python adds the address, which is named here
        raise UsageError(f"cannot listen at {host}:{port} ({reason}).", "Choose another.") from None


def connection(address: tuple[str, int], tell: Callable[[str], None]) -> Iterator[bytes]:
    """Wait for one TCP connection and yield what comes through it, until the other side closes it.

    Args:
        address: Host and port; 0 is any free port.
        tell: Is given the sentences that say where to connect and who has.

    Raises:
        UsageError: The address cannot be listened at.
        DataError: The connection broke.
    """
    host = address[0]
    with listener(address, backlog=1) as server:
        tell(f"listening at {host}:{server.getsockname()[1]}")
        client, peer = server.accept()
    tell(f"connected: {peer[0]}:{peer[1]}")
    with client:
        try:
            while data := client.recv(_AT_ONCE):
                yield data
        except OSError as error:
            raise DataError(f"the connection broke ({error.strerror or error}).", "Connect again.") from None
