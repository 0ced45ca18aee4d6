"""A server of the tests' own, in a thread, and what a phone's browser would send to it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
from websockets.sync.client import ClientConnection, connect

from har.deploy.model import Model
from har.deploy.serve import PhoneServer
from har.deploy.serve_session import Wish


@contextlib.contextmanager
def serving(model: Model, wish: Wish = Wish()) -> Iterator[tuple[PhoneServer, str]]:  # noqa: B008
    """Serve a model at a free port; yield the server and its address."""
    server = PhoneServer(model, wish)
    ready, loop = threading.Event(), asyncio.new_event_loop()

    async def main() -> None:
        nonlocal stop
        stop = asyncio.Event()
        started = await server.start(listening)
        ready.set()
        await stop.wait()
        started.close()
        await started.wait_closed()

    stop = asyncio.Event()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        host = f"127.0.0.1:{listening.getsockname()[1]}"
        thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
        thread.start()
        ready.wait(60)
        try:
            yield server, host
        finally:
            loop.call_soon_threadsafe(stop.set)
            thread.join(60)
            loop.close()


def page_of(host: str, **options: Any) -> ClientConnection:
    """Connect as the page does."""
    return connect(f"ws://{host}/live", origin=f"http://{host}", **options)  # type: ignore[arg-type]


def rows_of(signal_TC: Any, rate_hz: float) -> list[list[float]]:
    """Return accelerations in m/s² and rates of rotation in rad/s as a browser gives them, with times in ms."""
    signal_TC = np.asarray(signal_TC, np.float64)
    turned_TC = np.concatenate([signal_TC[:, :3], np.rad2deg(signal_TC[:, 3:])], axis=1)
    return [[1000 * i / rate_hz, *row] for i, row in enumerate(turned_TC.tolist())]


def asked(client: ClientConnection, message: Any) -> Any:
    """Send a message and return the answer."""
    client.send(message if isinstance(message, (str, bytes)) else json.dumps(message))
    return json.loads(client.recv(timeout=60))
