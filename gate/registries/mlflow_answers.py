"""Explanations of a server's unusual answers: a login, a missing right, a proxy, a web page."""

import os
import re
from http import HTTPStatus
from urllib.parse import urlsplit

from gate.jail.inert import inert_line
from gate.records.errors import GateError, RegistryError, UnknownVersionError
from gate.registries.mlflow_failure import Failure, Server

USERNAME, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
"""The variables with the credentials of MLflow's client, and so of the gate."""
_STATUS = re.compile(
    r"failed with error code (\d{3}) != \d{3}|too many (\d{3}) error responses|artifact server answers (\d{3})"
)
_ENDPOINT = re.compile(r"API request to endpoint (\S+) failed")
_PROXY = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_EDIT, _EXPERIMENT = "EDIT on the registered model", "EDIT on the gate's experiment"
_RIGHTS: tuple[tuple[str, str, str], ...] = (
    ("model-versions/set-tag", "mark it", _EDIT),
    ("model-versions/delete-tag", "take marks from it", _EDIT),
    ("registered-models/alias", "move its aliases", _EDIT),
    ("registered-models/create", "create a registered model", "the right to create registered models"),
    ("model-versions/create", "add a version", _EDIT),
    ("experiments/create", "create the gate's experiment", "the right to create experiments"),
    ("runs/create", "write its reports", _EXPERIMENT),
    ("runs/update", "write its reports", _EXPERIMENT),
    ("runs/set-tag", "write its reports", _EXPERIMENT),
    ("logged-models", "write to it", _EXPERIMENT),
    ("mlflow-artifacts", "read or write its files", "READ or EDIT on its experiment"),
    ("runs/", "read its run, or there is none", "READ on its experiment"),
    ("experiments/", "read its experiment, or there is none", "READ on its experiment"),
)
"""By a part of the endpoint: what was refused, and the permission that it takes."""


class RefusedRightError(RegistryError):
    """A missing right, or a missing object: MLflow answers 403 to both, unless the account is an administrator's."""


def of_status(failure: Failure) -> GateError | None:
    """Explain an answer by its HTTP status, or by what MLflow makes of one."""
    server, status = failure.server, _status(failure)
    if failure.says("not in a valid JSON format"):
        page = " but sends a web page" if failure.says("<!doctype", "<html") else ""
        return RegistryError(
            f"what answers at {server.shown} is no MLflow server{page}",
            what_to_do="Correct the tracking URI: a path such as /mlflow may be missing, or a login stands before it.",
        )
    if status == HTTPStatus.UNAUTHORIZED or failure.code in {"UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"}:
        return _of_login(server)
    if status == HTTPStatus.FORBIDDEN or failure.code == "PERMISSION_DENIED":
        return _of_rights(failure)
    if status in {301, 302, 303, 307, 308} and not failure.says("artifact server answers"):
        return RegistryError(
            f"{server.shown} sends the gate to another address ({status}), where it does not follow with credentials",
            what_to_do="Name the final address as the tracking URI, such as with https:// in place of http://.",
        )
    return None if status is None else _of_other(failure, status)


def _of_other(failure: Failure, status: int) -> GateError | None:
    server, what = failure.server, failure.what
    if status == HTTPStatus.NOT_FOUND and failure.says("artifact server answers"):
        return UnknownVersionError(
            f"the registry does not know {what}: there is no such file", what_to_do="Check the run and the path in it."
        )
    if failure.code == "ENDPOINT_NOT_FOUND":
        return RegistryError(
            f"what answers at {server.shown} has no MLflow interface there (404)",
            what_to_do="Correct the path of the tracking URI, or update the server: `gate doctor` says what it lacks.",
        )
    if status in _PROXY:
        return RegistryError(
            f"the proxy before {server.host} answers {status}: the MLflow server behind it does not run, or not yet",
            what_to_do="Look at the server behind the proxy, then run the same command again.",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return RegistryError(
            f"{server.host} is asked too often and refuses {what} for now (429)",
            what_to_do="Run the same command later, or allow the gate's account more.",
        )
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return RegistryError(
            f"the MLflow server at {server.shown} failed on {what} ({status})",
            what_to_do="The reason stands in the server's log; its database or store may be away or full.",
        )
    return None


def _status(failure: Failure) -> int | None:
    for one in failure.chain:
        found = getattr(getattr(one, "response", None), "status_code", None)
        if isinstance(found, int):
            return found
    matched = _STATUS.search(failure.text)
    return int(matched[1] or matched[2] or matched[3]) if matched else None


def _of_login(server: Server) -> GateError:
    if os.environ.get(TOKEN):
        stated = f"the token in {TOKEN}"
    elif os.environ.get(USERNAME) or os.environ.get(PASSWORD):
        stated = f"the user name and password in {USERNAME} and {PASSWORD}"
    elif "@" in urlsplit(server.uri).netloc:
        stated = "the user name and password in the tracking URI"
    else:
        return RegistryError(
            f"{server.shown} wants to know who asks (401), and no credentials are set",
            what_to_do=f"Set {USERNAME} and {PASSWORD}, or {TOKEN}.",
        )
    return RegistryError(
        f"{server.shown} does not accept {stated} (401)",
        what_to_do="Correct them; the password of another server, or a line's end in it, is the usual cause.",
    )


def _of_rights(failure: Failure) -> GateError:
    name = os.environ.get(USERNAME)
    who = f"the account {inert_line(name, limit=60)!r}" if name else "the gate's account"
    endpoint = matched[1] if (matched := _ENDPOINT.search(failure.text)) else ""
    read = ("read it, or there is none", "READ on the registered model")
    deed, right = next(((deed, right) for part, deed, right in _RIGHTS if part in endpoint), read)
    return RefusedRightError(
        f"{who} may not {deed} (403, {failure.what})",
        what_to_do=f"Grant it {right}; `gate doctor` lists the rights that the gate needs.",
    )
