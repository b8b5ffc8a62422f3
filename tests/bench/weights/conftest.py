"""A machine of its own for every test: no cache, no weights, no network but a server on this one."""

import functools
import hashlib
import http.server
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

VARIABLES = ("WEIGHTS", "BASE", "TRAINSET", "METRICS", "PRECISION")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home; torch's folder and the ledger lie below it."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for name in VARIABLES:
        monkeypatch.setenv(f"SPF_BENCH_{name}", "")  # and what a command sets is undone afterwards
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@dataclass
class Server:
    """Serves bytes by path; knows ranges unless told not to, names states if told to, and can break off."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    tags: bool = False
    breaks_after: int | None = None
    asked: list[str | None] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, server: Server, *args: object) -> None:
        self.content = server
        super().__init__(*args)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        self.content.asked.append(wanted)
        body = self.content.files.get(self.path.strip("/"))
        if body is None:
            self.send_error(404)
            return
        tag = f'"{hashlib.sha256(body).hexdigest()}"'
        current = self.headers.get("If-Range") in (None, tag)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and self.content.ranges and current else 0
        if start >= len(body):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        if self.content.tags:
            self.send_header("ETag", tag)
        self.end_headers()
        self.wfile.write(body[start : self.content.breaks_after])

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    """A web server on this machine."""
    content = Server()
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Handler, content))
    content.url = f"http://127.0.0.1:{running.server_address[1]}"
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield content
    running.shutdown()
    thread.join()
    running.server_close()
