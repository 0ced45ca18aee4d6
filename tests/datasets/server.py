"""A web server of one file that can break off, ignore ranges, refuse, or exchange its file."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server:
    """What the server does, and what it was asked: set the attributes, read `asked`."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.version = '"1"'  # ETag; None for a server that states none
        self.cut_after: list[int] = []  # bytes of the body after which the next answers break off
        self.statuses: list[int] = []  # of the next answers, instead of the file
        self.takes_ranges = True
        self.asked: list[str | None] = []  # the Range of every request
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        wanted, condition = handler.headers.get("Range"), handler.headers.get("If-Range")
        self.asked.append(wanted)
        if self.statuses:
            handler.send_error(self.statuses.pop(0))
            return
        start = 0
        if wanted and self.takes_ranges and condition in (None, self.version):
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(self.content):
                handler.send_error(416)
                return
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Length", str(len(body)))
        if self.version:
            handler.send_header("ETag", self.version)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(self.content) - 1}/{len(self.content)}")
        handler.end_headers()
        handler.wfile.write(body[: self.cut_after.pop(0)] if self.cut_after else body)


@contextmanager
def serving(content: bytes):
    """Run a server of this content on this machine; gives a `Server`."""
    behaviour = Server(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    behaviour.url = f"http://127.0.0.1:{server.server_port}/data.zip"
    try:
        yield behaviour
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
