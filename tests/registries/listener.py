"""A listener on loopback that stands for somebody else's host: it answers like an artifact server and remembers all."""

import json
import threading
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CREDENTIALS = ("authorization", "cookie", "x-mlflow-authorization", "proxy-authorization")


@dataclass
class Heard:
    """What arrived at a listener."""

    uri: str = ""
    answer: object = None
    """Returns status, headers and body of the answer to a path."""
    requests: list = field(default_factory=list)

    @property
    def with_credentials(self):
        """The requests that carried one."""
        return [one for one in self.requests if any(name in one[2] for name in CREDENTIALS)]


class _Server(ThreadingHTTPServer):
    """Ends without waiting for connections that clients keep."""

    daemon_threads = True


@contextmanager
def listening(answer=None):
    """Yield what a listener hears; `answer(path)` may return status, headers and body."""

    def usual(path):
        if path.endswith("/mlflow-artifacts/artifacts") or "path=" in path:
            return 200, {"Content-Type": "application/json"}, json.dumps({"files": []}).encode()
        return 200, {}, b"bytes of somebody else"

    heard = Heard(answer=answer or usual)

    class Handler(BaseHTTPRequestHandler):
        """Answers everything."""

        def _any(self):
            heard.requests.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
            self.rfile.read(int(self.headers.get("content-length") or 0))
            status, headers, body = heard.answer(self.path)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_HEAD = do_PATCH = do_DELETE = _any  # noqa: N815  # the library's names

        def log_message(self, *_arguments):
            """Say nothing."""

    with _Server(("127.0.0.1", 0), Handler) as server:
        heard.uri = f"http://127.0.0.1:{server.server_address[1]}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield heard
        finally:
            server.shutdown()


@contextmanager
def in_front_of(server, answer):
    """Yield the address of a proxy before a real server, which answers a path by itself where `answer(path)` does."""
    with listening() as heard:
        own = heard.requests

        def passed_on(path):
            said = answer(path)
            if said is not None:
                return said
            method, _, headers = own[-1]
            request = urllib.request.Request(f"{server}{path}", method=method, headers={**headers, "host": "127.0.0.1"})
            with urllib.request.urlopen(request, timeout=60) as found:
                kind = found.headers.get("Content-Type", "application/octet-stream")
                return found.status, {"Content-Type": kind}, found.read()

        heard.answer = passed_on
        yield heard.uri
