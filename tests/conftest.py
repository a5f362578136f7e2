"""Fixtures for the whole test suite."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


if "PYTEST_XDIST_WORKER" in os.environ:  # a process per core: two threads each would wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("ci", derandomize=True)  # a rare example is to be found here, not to stop a landing
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Of several processes each takes whole files, which have their own fixtures; whole runs, which share one, go
    together."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.partition("::")[0]
            return "runs" if path.startswith(("tests/integration/", "tests/golden/")) else path

    return ByFile(config, log)


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """One Spark session in this process, with two worker threads, for all tests that need one."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .appName("chaffinch-tests")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.memory", "1g")
        .config("spark.sql.shuffle.partitions", "4")
        .config("spark.sql.execution.arrow.pyspark.enabled", "true")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.driver.host", "127.0.0.1")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


class WebServer:
    """A web server in a thread, with faults on request.

    Attributes:
        url: its address.
        has_ranges: whether it answers ``Range``.
        headers: sent with every file.
        failures: status, ``"cut"`` (the body breaks off) or ``"drop"`` (no answer) by number of the request.
        requests: path and ``Range`` of each request so far.
    """

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self.has_ranges = True
        self.headers: dict[str, str] = {}
        self.failures: dict[int, int | str] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""

    def put(self, path: str, content: bytes) -> None:
        self._files[f"/{path}"] = content

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path = unquote(urlsplit(handler.path).path)
        wanted = handler.headers.get("Range") if self.has_ranges else None
        failure = self.failures.pop(len(self.requests), None)
        self.requests.append((path, handler.headers.get("Range")))
        content = self._files.get(path)
        if failure == "drop":
            handler.close_connection = True
            return
        if isinstance(failure, int) or content is None:
            handler.send_response(failure if isinstance(failure, int) else 404)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        fields = {"ETag": f'"{hashlib.md5(content).hexdigest()}"', "Last-Modified": "Tue, 20 Feb 2024 21:10:55 GMT"}
        fields |= self.headers
        status, body = 200, content
        if wanted is not None:
            first, last = map(int, re.fullmatch(r"bytes=(\d+)-(\d+)", wanted).groups())
            status, body = (206, content[first : last + 1]) if first < len(content) else (416, b"")
            reach = f"{first}-{first + len(body) - 1}" if body else "*"
            fields["Content-Range"] = f"bytes {reach}/{len(content)}"
        handler.send_response(status)
        for name, value in {**fields, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command != "HEAD":
            handler.wfile.write(body[: len(body) // 2] if failure == "cut" else body)
        handler.close_connection = failure == "cut"


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    """A web server without files."""
    server = WebServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            try:
                server.answer(self)
            except (BrokenPipeError, ConnectionResetError):  # the client has read enough
                self.close_connection = True

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{listener.server_address[1]}"
    yield server
    listener.shutdown()
    listener.server_close()
    thread.join()
