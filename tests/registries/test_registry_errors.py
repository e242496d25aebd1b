"""What a registry's failure reads like: the gate's own sentence, the likely cause and the mend; each kind apart."""

import datetime as dt
import errno
import os
import socket
import sqlite3
import ssl
import threading
import warnings
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gate.records.errors import CannotFinishError, GateError, RegistryError, UsageError
from gate.registries import RegistrySettings, open_registry
from gate.registries.mlflow_errors import explained
from gate.registries.mlflow_failure import Failure, Server

PAGE = b"<!doctype html><html><body>Sign in to \x1b[31mContinue</body></html>"
FOREIGN = ("HTTPConnectionPool", "Max retries", "urllib3", "sqlalche.me", "mlflow.org", "\x1b", "\n", "://user:")


@pytest.fixture(autouse=True)
def _own_process(monkeypatch):
    """Wait a second at most, once; what MLflow keeps of the process is put back."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    for name in (
        "MLFLOW_TRACKING_USERNAME",
        "MLFLOW_TRACKING_PASSWORD",
        "MLFLOW_TRACKING_TOKEN",
        "MLFLOW_TRACKING_SERVER_CERT_PATH",
    ):
        monkeypatch.delenv(name, raising=False)
    before = {name: os.environ.get(name) for name in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SQLAlchemy's about MLflow
        yield
    import mlflow

    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)
    for name, value in before.items():
        os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def failure_at(uri, model="models:/credit/7"):
    """Return what the gate says when it looks a version up at an address."""
    with pytest.raises(GateError) as caught:
        open_registry(model, RegistrySettings(uri, uri, timeout_seconds=1, retries=0)).resolve(model)
    said = f"{caught.value} {caught.value.what_to_do}"
    assert caught.value.what_to_do, "there is no word of what to do"
    for foreign in FOREIGN:
        assert foreign not in str(caught.value).partition(" [")[0]
        assert foreign != "\n" or foreign not in said
    assert "\x1b" not in said
    return caught.value


class Answering(BaseHTTPRequestHandler):
    """Answers everything by one status and a web page."""

    status = 200

    def do_GET(self):
        """Answer."""
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "http://127.0.0.1:9/login")
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_):
        """Say nothing."""


@contextmanager
def answering(status=200, context=None):
    """Yield the port of a server that answers every request by a web page and a status."""
    handler = type("Handler", (Answering,), {"status": status})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


ANSWERS = {
    200: "is no MLflow server but sends a web page .* login stands before it",
    302: r"sends the gate to another address \(302\), .* such as with https://",
    401: r"wants to know who asks \(401\), and no credentials are set Set MLFLOW_TRACKING_USERNAME and MLFLOW_",
    403: r"the gate's account may not read it, or there is none \(403, models:/credit/7\) Grant it READ on the",
    404: r"has no MLflow interface there \(404\)",
    429: r"asked too often and refuses models:/credit/7 for now \(429\)",
    500: r"the MLflow server at http://127.0.0.1:\d+ failed on models:/credit/7 \(500\) .* server's log",
    502: "the proxy before 127.0.0.1 answers 502: the MLflow server behind it does not run",
    503: "the proxy before 127.0.0.1 answers 503",
    504: "the proxy before 127.0.0.1 answers 504",
}


@pytest.mark.parametrize("status", ANSWERS)
def test_an_answer_that_is_none_of_mlflows_is_told_by_its_meaning(status):
    """Exit 3, by what the status means, and never by the page."""
    with answering(status) as port:
        error = failure_at(f"http://127.0.0.1:{port}")
    assert isinstance(error, RegistryError)
    import re

    assert re.search(ANSWERS[status], f"{error} {error.what_to_do}")


@pytest.mark.parametrize(
    ("variables", "stated"),
    [
        ({"MLFLOW_TRACKING_TOKEN": "secret"}, "the token in MLFLOW_TRACKING_TOKEN"),
        (
            {"MLFLOW_TRACKING_USERNAME": "gate", "MLFLOW_TRACKING_PASSWORD": "secret"},
            "the user name and password in MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD",
        ),
    ],
)
def test_credentials_that_are_refused_are_named_by_their_variables(monkeypatch, variables, stated):
    """What to correct is where it was set; a secret is not shown."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with answering(401) as port:
        error = failure_at(f"http://127.0.0.1:{port}")
    assert str(error) == f"http://127.0.0.1:{port} does not accept {stated} (401)"
    assert "secret" not in error.what_to_do


def test_a_token_with_a_lines_end_is_the_operators_mistake(monkeypatch):
    """As `cat` leaves it in many a pipeline."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "secret\n")
    with answering(200) as port:
        error = failure_at(f"http://127.0.0.1:{port}")
    assert isinstance(error, UsageError)
    assert "line's end" in str(error)
    assert "secret" not in f"{error}{error.what_to_do}"


def certificate(folder, host, days):
    """Return a server's TLS context with a certificate that it signed itself, for a host, valid for so many days."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "both.pem").write_bytes(pem + private)
    (folder / "authority.pem").write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "both.pem")
    return context


CERTIFICATES = {
    "its own": ("127.0.0.1", 90, False, "is of no authority that this machine trusts, and nothing was sent"),
    "expired": ("127.0.0.1", 5, True, "has expired, and nothing was sent"),
    "another host": ("127.0.0.9", 90, True, "is of another host, and nothing was sent"),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_a_certificate_that_is_refused_is_told_by_its_reason(tmp_path, monkeypatch, case):
    """With the variable that names one's own authority."""
    host, days, trusted, said = CERTIFICATES[case]
    if trusted:
        monkeypatch.setenv("MLFLOW_TRACKING_SERVER_CERT_PATH", str(tmp_path / "authority.pem"))
    with answering(context=certificate(tmp_path, host, days)) as port:
        error = failure_at(f"https://127.0.0.1:{port}")
    assert str(error) == f"the TLS certificate of 127.0.0.1 {said}"
    assert "MLFLOW_TRACKING_SERVER_CERT_PATH" in error.what_to_do


def test_tls_and_none_are_told_apart(tmp_path):
    """https:// to a server without TLS, and http:// to one with it."""
    with answering() as port:
        assert "does not speak TLS" in str(failure_at(f"https://127.0.0.1:{port}"))
    with answering(context=certificate(tmp_path, "127.0.0.1", 90)) as port:
        assert "Write https:// if it speaks TLS" in failure_at(f"http://127.0.0.1:{port}").what_to_do


def test_who_does_not_answer_is_told_by_how():
    """Nobody listens, nobody answers, nobody of that name."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = failure_at(f"http://user:secret@127.0.0.1:{port}")
        assert str(error) == f"http://127.0.0.1:{port} did not answer for models:/credit/7 within 1 s, asked once"
        assert "--registry-timeout" in error.what_to_do
    error = failure_at(f"http://127.0.0.1:{port}")
    assert str(error) == f"nothing listens at http://127.0.0.1:{port} (connection refused)"
    assert "localhost is the container itself" in error.what_to_do
    error = failure_at("http://no-such-host.invalid")
    assert "the host 'no-such-host.invalid' of the tracking URI is unknown" in str(error)


def test_a_proxy_that_is_away_is_named(monkeypatch):
    """The variable to correct, and the one that leaves it out."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("no_proxy", "")
    error = failure_at("http://registry.invalid")
    assert str(error) == "the proxy between the gate and registry.invalid did not pass the request on"
    assert "NO_PROXY" in error.what_to_do


MALFORMED = ("htp://registry", "http://127.0.0.1:99999", "http://exa mple.org", "sqlit:///x.db")


@pytest.mark.parametrize("uri", MALFORMED)
def test_a_tracking_uri_that_is_none_is_the_operators_mistake(uri):
    """Exit 2: nothing was asked."""
    with pytest.raises(UsageError) as caught:
        open_registry("models:/credit/7", RegistrySettings(uri, uri, 1, 0)).resolve("models:/credit/7")
    assert uri.split(":", maxsplit=1)[0] in str(caught.value)


def test_a_database_that_is_not_there_is_not_made(tmp_path):
    """A misspelt path is an error, and leaves no file."""
    path = tmp_path / "folder" / "mlflow.db"
    error = failure_at(f"sqlite:///{path}")
    assert str(error) == f"there is no database at {str(path)!r}, and MLflow would make an empty one"
    assert list(tmp_path.iterdir()) == []


def locked(path):
    """Hold a lock on a database that MLflow has not made yet."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE t (x)")
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def text(path):
    """Write what is no database."""
    path.write_text("this is no database, and long enough for a header " * 100)


DATABASES = {
    "is locked by another process": locked,
    "is no SQLite database, or a damaged one": text,
    "cannot be opened or written": lambda path: path.mkdir(),
}


@pytest.mark.parametrize("said", DATABASES)
def test_what_an_embedded_database_says_is_told_in_words(tmp_path, said):
    """Locked, something else, not to be opened."""
    held = DATABASES[said](tmp_path / "mlflow.db")
    error = failure_at(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert str(error) == f"the database sqlite:///{tmp_path / 'mlflow.db'} {said}"
    if held is not None:
        held.close()


@pytest.mark.parametrize("password", ["secret", "Zm9v/YmFyCg", "two%20words", "two words"])
def test_a_database_server_that_is_away_is_not_waited_for_long(password):
    """Asked once, where MLflow would ask ten times; the password is not shown."""
    pytest.importorskip("psycopg")
    error = failure_at(f"postgresql+psycopg://user:{password}@127.0.0.1:9/mlflow")
    assert str(error) == "the database postgresql+psycopg://127.0.0.1:9/mlflow does not answer"


@pytest.mark.parametrize("password", ["Zm9v/YmFyCg2=", "12/YmFyCg2="])
def test_a_servers_password_with_a_slash_is_shown_by_no_client(password):
    """HTTP's grammar ends the host there, and its errors quote the parts."""
    error = failure_at(f"http://gate:{password}@127.0.0.1:9")
    said = str(error) + error.what_to_do
    assert "YmFy" not in said
    assert f"gate:{password.partition('/')[0]}" not in said


def test_a_store_of_files_names_how_to_move_it(tmp_path):
    """MLflow 3 refuses what earlier releases made by default."""
    error = failure_at(f"file://{tmp_path}")
    assert "is a folder of files, which MLflow 3 no longer takes for a registry" in str(error)
    assert "mlflow migrate-filestore" in error.what_to_do


@pytest.mark.parametrize(
    ("raised", "of_the_registry"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (NotADirectoryError(errno.ENOTDIR, "Not a directory"), False),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), True),
        (TimeoutError("timed out"), True),
    ],
    ids=lambda one: type(one).__name__,
)
def test_what_the_own_disk_refuses_is_no_answer_of_the_registry(raised, of_the_registry):
    """After one of the registry's a version stays as it was: whoever names a file so long must not choose that."""
    error = explained(raised, "models:/credit/7", Server("sqlite:///here.db", 1, 0))
    assert isinstance(error, CannotFinishError)
    assert isinstance(error, RegistryError) == of_the_registry


def test_the_words_of_a_hostile_server_are_short_and_inert():
    """They follow the gate's own in brackets, on one line, without a login."""
    failure = Failure(ValueError("a\n::error::b\x1b[31m http://me:secret@host " + "x" * 999), "it", Server("", 1, 0))
    assert len(failure.brackets) < 170
    assert failure.brackets.startswith(" [a ::error::b http://host xxx")
