"""A proxy before an S3 server that throttles and breaks connections off, as busy buckets do."""

import contextlib
import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
)


class FaultyBucket(ThreadingHTTPServer):
    """Hands requests on; `throttle` and `break_off` say which number of request each goes wrong."""

    daemon_threads = True

    def __init__(self, upstream: str, throttle: int = 0, break_off: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = urlsplit(upstream).netloc
        self.throttle, self.break_off = throttle, break_off
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self.read: list[str] = []  # paths of objects that were fetched whole or in part
        self.lock = threading.Lock()

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def fault(self) -> str:
        """What is to go wrong with the next request, if anything."""
        with self.lock:
            self.requests += 1
            if self.throttle and self.requests % self.throttle == 0:
                self.faults["throttled"] += 1
                return "throttled"
            if self.break_off and self.requests % self.break_off == 0:
                return "broken"
            return ""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyBucket

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fault = self.server.fault()
        if fault == "throttled":
            self._answer(503, {"Content-Type": "application/xml"}, SLOW_DOWN)
            return
        connection = http.client.HTTPConnection(self.server.upstream, timeout=30)
        # The signature covers the Host header: it goes on as it came.
        connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        whole = {
            name: value for name, value in answer.getheaders() if name.lower() not in ("transfer-encoding", "date")
        }
        path, _, query = self.path.partition("?")
        if self.command == "GET" and path.count("/") > 1 and not query:
            with self.server.lock:
                self.server.read.append(path)
            if fault == "broken" and len(content) > 100:
                self.server.faults["broken"] += 1
                self._answer(answer.status, whole | {"Content-Length": str(len(content))}, content[: len(content) // 2])
                self.close_connection = True
                self.connection.close()
                return
        self._answer(answer.status, whole, content)

    def _answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        self.send_response(status)
        length = headers.pop("Content-Length", None) or str(len(content))
        for name, value in (headers | {"Content-Length": length}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)
            self.wfile.flush()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _hand_on  # noqa: N815 - the names of the standard library

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def faulty_bucket(upstream: str, throttle: int = 0, break_off: int = 0) -> Iterator[FaultyBucket]:
    """The proxy, serving."""
    with FaultyBucket(upstream, throttle, break_off) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
