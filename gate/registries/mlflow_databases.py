"""Explanations of an embedded store's database errors, and the checks before MLflow opens it."""

import re
from pathlib import Path

from gate.records.errors import GateError, RegistryError
from gate.registries.mlflow_failure import Failure

_SIGNS: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("database is locked",),
        "is locked by another process",
        "Wait for it, or use an MLflow server in place of SQLite, which takes one writer at a time.",
    ),
    (
        ("unable to open", "readonly", "read-only"),
        "cannot be opened or written",
        "Check the path in the tracking URI (sqlite:////ABSOLUTE/PATH has four slashes) and its permissions.",
    ),
    (
        ("file is not a database", "malformed"),
        "is no SQLite database, or a damaged one",
        "Name the file that MLflow made, such as mlflow.db.",
    ),
    (
        ("password authentication failed", "access denied"),
        "does not accept the user name and password of the tracking URI",
        "Correct them.",
    ),
    (
        ("could not translate host name", "name or service not known", "failed to resolve host"),
        "is on a host that this machine's name service does not know (DNS)",
        "Correct the host in the tracking URI.",
    ),
    (
        ("connection refused", "could not connect", "can't connect", "connection failed", "timed out", "timeout"),
        "does not answer",
        "Start it, or correct host and port in the tracking URI.",
    ),
    (
        ("does not exist", "unknown database"),
        "does not exist on its server, or has no such user",
        "Correct the name in the tracking URI, or create it.",
    ),
)
"""By the drivers' texts: the meaning, and what to do."""


def of_database(failure: Failure) -> GateError | None:
    """Explain what an embedded store's database says."""
    shown = failure.server.shown
    if failure.says("out-of-date database schema"):
        return RegistryError(
            f"the database {shown} was made by another release of MLflow{failure.brackets}",
            what_to_do="Back it up and run `mlflow db upgrade` on it, or use an MLflow server of that release.",
        )
    if not failure.any("OperationalError", "DatabaseError", "ProgrammingError", "InterfaceError", "ArgumentError"):
        return None
    why, mend = next(
        ((why, mend) for signs, why, mend in _SIGNS if failure.says(*signs)),
        (f"failed on {failure.what}{failure.brackets}", "Look at the database and its log."),
    )
    return RegistryError(f"the database {shown} {why}", what_to_do=mend)


def require_database(uri: str, retries: int) -> None:
    """Refuse a missing SQLite file, which MLflow would make, and bound MLflow's attempts to reach a database."""
    if uri.startswith(("http://", "https://", "file:")) or "://" not in uri:
        return
    path = re.split(r"[?#]", uri.partition("sqlite:///")[2])[0]
    if path and path != ":memory:" and not Path(path).exists():
        raise RegistryError(
            f"there is no database at {path!r}, and MLflow would make an empty one",
            what_to_do="Correct the tracking URI: sqlite:////ABSOLUTE/PATH has four slashes, a relative path three.",
        )
    from mlflow.store.db import utils  # noqa: PLC0415  # slow to import, and seldom needed

    # MLflow's constant of ten attempts, a minute and a half, has no setting.
    utils.MAX_RETRY_COUNT = retries + 1
