"""A small server: the page for a phone, and one WebSocket connection for each that is open, with a stream of its own.

    GET /        the page, one file with its script, which asks for nothing else
    GET /live    the WebSocket; messages as in `har.deploy.serve_session`

A page of another origin is refused, and so is a name that is not this machine's, behind which such a page could hide.
Everything runs in one thread: a message takes milliseconds. Who is slow to take answers waits alone, and not for long.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import html
import http
import ipaddress
import json
import re
import socket
import ssl
import time
from collections import Counter
from importlib import resources
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_connections
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from har.deploy.model import Model
from har.deploy.serve_session import LONGEST, Pace, Session, Wish, phone_columns
from har.errors import DataError, HarError

MOST_CONNECTIONS = 8
_OPENING_S = 10  # for the handshake of a connection
_ANSWER_S = 5  # for a client to take an answer, when its buffers are full
_WRITE_BYTES = 1 << 15  # that are kept for a client that is slow to read: about 50 decisions
_WAITING = 4  # messages of a client that are kept while one is worked on
_USUAL_HZ = 60.0  # of browsers
_LIVE = "/live"
_CLOSE = {"full": 1013, "limit": 1008, "unreadable": 1007, "slow": 1008}


class PhoneServer:
    """What phones connect to.

    Args:
        model: What decides.
        wish: How decisions are made.
        names: Host names of this machine that a page may be asked for at, besides addresses and ``localhost``.
        secure: Whether the connections are encrypted.

    Attributes:
        counts: Connections, samples and decisions so far.

    Raises:
        UsageError: The model's channels are not a phone's, its recipe is not causal, or the wish is impossible.
    """

    def __init__(self, model: Model, wish: Wish, *, names: frozenset[str] = frozenset(), secure: bool = False) -> None:
        phone_columns(model.facts.inputs)
        wish.stream(
            model, _USUAL_HZ
        )  # refuses what cannot be; and the first phone does not wait for filters to be loaded
        self._model, self._wish, self._secure = model, wish, secure
        self._names = {"localhost", *(name.casefold() for name in names)}
        self._open = 0
        self.counts: Counter[str] = Counter()
        self._page = page(model)

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None = None) -> Server:
        """Begin to serve.

        Args:
            listener: A socket that listens.
            tls: For encrypted connections.
        """
        return await serve_connections(
            self._converse,
            sock=listener,
            ssl=tls,
            process_request=self._answer,
            compression=None,  # a small message could unfold to a large one
            max_size=LONGEST,
            max_queue=_WAITING,
            write_limit=_WRITE_BYTES,
            open_timeout=_OPENING_S,
            close_timeout=_ANSWER_S,
            server_header=None,
        )

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer a request with the page or a refusal, or let it become a WebSocket."""
        hosts, origins = request.headers.get_all("Host"), request.headers.get_all("Origin")
        if len(hosts) != 1 or not self._is_own(hosts[0]):
            return connection.respond(http.HTTPStatus.MISDIRECTED_REQUEST, "This is not the name of this machine.\n")
        path = request.path.partition("?")[0]
        if path == "/":
            return self._page_at(hosts[0])
        if path != _LIVE:
            return connection.respond(http.HTTPStatus.NOT_FOUND, "There is / and nothing else.\n")
        own = f"{'https' if self._secure else 'http'}://{hosts[0]}"
        if [origin.casefold() for origin in origins] != [own.casefold()]:
            return connection.respond(http.HTTPStatus.FORBIDDEN, "Only the page of this server may connect.\n")
        return None

    def _is_own(self, host: str) -> bool:
        """Return whether a Host header names this machine: by an address, which no other page can hide behind."""
        if not re.fullmatch(r"[\w.:\[\]-]+", host):
            return False
        try:
            name = urlsplit(f"//{host}").hostname or ""
            ipaddress.ip_address(name)
        except ValueError:
            return re.sub(r":\d+$", "", host).casefold() in self._names
        return True

    def _page_at(self, host: str) -> Response:
        """Return the page; it may connect to this server, and ask for nothing else."""
        body, policy = self._page
        scheme = "wss" if self._secure else "ws"
        headers = Headers(
            {
                "Content-Type": "text/html; charset=utf-8",
                "Content-Length": str(len(body)),
                "Content-Security-Policy": f"{policy}; connect-src 'self' {scheme}://{host}",
                "Permissions-Policy": "accelerometer=(self), gyroscope=(self)",
                "X-Content-Type-Options": "nosniff",
                "Referrer-Policy": "no-referrer",
                "Cache-Control": "no-store",
                "Connection": "close",
            }
        )
        return Response(200, "OK", headers, body)

    async def _converse(self, connection: ServerConnection) -> None:
        """Serve one phone until it goes, or goes too far."""
        if self._open >= MOST_CONNECTIONS:
            await _close(connection, "full", f"{MOST_CONNECTIONS} pages are connected already. Close one of them.")
            return
        self._open += 1
        self.counts["connections"] += 1
        session = Session(self._model, self._wish)
        try:
            await _exchange(connection, session)
        except DataError as error:
            await _close(connection, "unreadable", error.what)
        except HarError as error:
            await _close(connection, "limit", error.what)
        except TimeoutError:
            await _close(connection, "slow", "")
        except ConnectionClosed:
            pass
        finally:
            self._open -= 1
            self.counts.update(samples=session.samples, decisions=session.decisions)


async def _exchange(connection: ServerConnection, session: Session) -> None:
    """Answer messages as they come.

    Raises:
        HarError: A message is beyond the limits, or cannot be read.
        TimeoutError: The client does not take its answers.
        ConnectionClosed: It broke off.
    """
    pace = Pace()
    async for message in connection:
        arrived = time.perf_counter()
        pace.take(arrived)
        answer = session.receive(message, arrived)
        async with asyncio.timeout(_ANSWER_S):
            await connection.send(json.dumps(answer, ensure_ascii=False))


async def _close(connection: ServerConnection, reason: str, sentence: str) -> None:
    """Say why, and close."""
    with contextlib.suppress(ConnectionClosed, TimeoutError):
        if sentence:
            async with asyncio.timeout(_ANSWER_S):
                await connection.send(json.dumps({"error": sentence[0].upper() + sentence[1:]}, ensure_ascii=False))
    await connection.close(_CLOSE[reason], reason)


def page(model: Model) -> tuple[bytes, str]:
    """Return the page for a model, and the policy under which its own script and style run and no others.

    Args:
        model: What it is about; names of activities are text there, whatever stands in them.
    """
    text = resources.files("har.deploy").joinpath("serve.html").read_text(encoding="utf-8")
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    facts = json.dumps(_shown(model), ensure_ascii=False)
    body = text.replace("FACTS", html.escape(facts), 1).encode()
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return body, policy


def _shown(model: Model) -> dict[str, Any]:
    """Return what the page tells about a model."""
    facts = model.facts
    return {
        "activities": facts.activities,
        "data_set": facts.data_set,
        "site": facts.inputs[0].site,
        "window_s": facts.window_s,
        "rate_hz": facts.rate_hz,
        "gyroscope": any(channel.sensor == "gyroscope" for channel in facts.inputs),
        "accelerometer": any(channel.sensor == "accelerometer" for channel in facts.inputs),
    }


def _hash(text: str) -> str:
    """Return the hash by which a policy names a script or a style."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
