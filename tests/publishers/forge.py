"""A forge on loopback: as much of GitHub's and GitLab's API as comments need, with faults on demand."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ME = {"id": 7, "login": "github-actions[bot]"}
STRANGER = {"id": 8, "login": "mallory"}
PAGE = 2


class Forge:
    """The comments of one request, what was asked, and which answers come instead of the right ones."""

    def __init__(self, kind):
        self.kind, self.comments, self.requests, self.faults = kind, [], [], []
        self.me = ME if kind == "gitlab" else None
        self.lock = threading.Lock()

    def add(self, body, author=None):
        """Keep a comment as if somebody had written it."""
        comment = {"id": 100 + len(self.comments), "body": body, "system": False}
        comment["author" if self.kind == "gitlab" else "user"] = author or ME
        comment["html_url"] = f"https://forge.example/c/{comment['id']}"
        self.comments.append(comment)
        return comment

    def asked(self, method):
        """Return the paths that were asked for by a method."""
        return [path for verb, path, _ in self.requests if verb == method]

    def answer(self, method, path, query, body, headers):
        """Return status, JSON value and headers."""
        token = headers.get("PRIVATE-TOKEN") or headers.get("Authorization")
        if token not in ("secret", "Bearer secret"):
            return 401, {"message": "Bad credentials"}, {}
        for fault in list(self.faults):
            if fault[0] in (method, "*"):
                self.faults.remove(fault)
                return fault[1], {"message": "fault"}, fault[2] if len(fault) > 2 else {}
        if path == "/user":
            return (200, self.me, {}) if self.me else (403, {"message": "Resource not accessible by integration"}, {})
        if method == "GET":
            page = int(query.get("page", ["1"])[0])
            more = {"Link": f'<{self.address}{path}?page={page + 1}>; rel="next"'}
            return 200, self.comments[(page - 1) * PAGE : page * PAGE], more if page * PAGE < len(self.comments) else {}
        if method == "POST":
            return 201, self.add(body["body"]), {}
        (comment,) = (c for c in self.comments if str(c["id"]) == path.rsplit("/", maxsplit=1)[-1])
        comment["body"] = body["body"]
        return 200, comment, {}


@contextmanager
def serving(kind):
    """Yield a forge that listens; `address` is the base of its API."""
    forge = Forge(kind)

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self):
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            parts = urlsplit(self.path)
            with forge.lock:
                forge.requests.append((self.command, parts.path, body))
                status, value, headers = forge.answer(
                    self.command, parts.path, parse_qs(parts.query), body, self.headers
                )
            raw = json.dumps(value).encode()
            self.send_response(status)
            for name, text in {"Content-Length": str(len(raw)), **headers}.items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(raw)

        do_GET = do_POST = do_PATCH = do_PUT = handle_any  # noqa: N815

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    forge.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()
