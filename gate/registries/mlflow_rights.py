"""An account's rights, asked of the server where it says, and tried where it does not.

The right to mark is tried before a scan of half an hour, whose verdict would be lost without it. A server that says
that the account may edit is believed: the worst case is a verdict that is published later. Other servers get a tag that
is set and deleted again.
"""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, UsageError
from gate.registries.contract import Credentials, User

TRIAL_TAG = "gate.trial"
_TRIAL = "whether this account may mark the version; no decision"
_OR_LOOK = ", or only look: --no-mark, and of a remediation --no-register."
ResultT = TypeVar("ResultT")
Ask = Callable[[str, Mapping[str, str]], "dict[str, Any] | None"]


def require_marking(client: Any, uri: str, ref: ModelRef, experiment: Callable[[], str]) -> None:
    """Raise `RegistryError` unless the account at hand may mark the version and keep reports in the experiment."""
    if not _said_to_edit(uri, ref.name):
        _allowed(
            lambda: client.set_model_version_tag(ref.name, ref.version, TRIAL_TAG, _TRIAL),
            f"this account may not mark {ref}",
            f"Grant it EDIT on the registered model {ref.name!r}{_OR_LOOK}",
        )
        # Some servers let an account set a tag and not delete it; its text then says that it is no decision.
        with suppress(Exception):
            client.delete_model_version_tag(ref.name, ref.version, TRIAL_TAG)
    _allowed(
        lambda: client.set_experiment_tag(experiment(), "gate.purpose", "reports and bundles of the promotion gate"),
        "this account may not keep reports in the gate's experiment",
        f"Grant it EDIT on that experiment, name another with --experiment{_OR_LOOK}",
    )


def may_edit(ask: Ask, user: User, model: str) -> bool:
    """Tell whether a user holds EDIT or MANAGE on a registered model or its versions, or is an administrator."""
    if user.admin:
        return True
    # A grant on versions suffices to set a version's tags, without EDIT on the model.
    for kind, resource in (("registered_model", model), ("registered_model_version", "*")):
        asked = {"username": user.name, "resource_type": kind, "resource_id": resource}
        answer = ask("/api/3.0/mlflow/users/permissions/get", asked)
        if answer is None:
            raise RegistryError(f"the registry does not say what {user.name!r} may do with {model!r}")
        if answer.get("permission") in {"EDIT", "MANAGE"}:
            return True
    return False


def current_user(ask: Ask) -> User | None:
    """Return the user of the credentials behind `ask`; None without authentication."""
    answer = ask("/api/2.0/mlflow/users/current", {})
    if answer is None:
        return None
    found = answer.get("user", {})
    return User(str(found["username"]), bool(found["is_admin"]))


def get(uri: str, credentials: Credentials | None, path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
    """Ask the server's authentication; None where there is no such server or no such path."""
    if not uri.startswith("http"):
        return None
    from mlflow.utils.credentials import get_default_host_creds  # noqa: PLC0415
    from mlflow.utils.rest_utils import MlflowHostCreds, http_request  # noqa: PLC0415

    host = (
        MlflowHostCreds(uri, username=credentials.username, password=credentials.password)
        if credentials
        else get_default_host_creds(uri)
    )
    answer = http_request(host, path, "GET", params=dict(query), raise_on_status=False)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    if answer.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        who = credentials.username if credentials else "the gate's own account"
        raise UsageError(
            f"the registry does not accept the credentials of {who!r} for {path} ({answer.status_code})",
            what_to_do="Check user name and password; identities come from the registry's own authentication.",
        )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def within(seconds: float, what: str, call: Callable[[], ResultT]) -> ResultT:
    """Return a call's result within so many seconds; a longer call is abandoned, and a `RegistryError`.

    A request's own timeout is between two bytes: a server that sends one now and then holds its client for ever.
    """
    answer: Future[ResultT] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except BaseException as error:  # noqa: BLE001  # raised again in the caller's thread
            answer.set_exception(error)

    threading.Thread(target=run, name="gate-registry", daemon=True).start()
    wait([answer], timeout=seconds)
    if not answer.done():
        raise RegistryError(
            f"{what} was not answered whole within {seconds:g} seconds",
            what_to_do="--registry-timeout and --registry-retries say how long the gate waits.",
        )
    return answer.result()


def patience(timeout_seconds: int, retries: int) -> float:
    """Return the seconds after which a try is abandoned: the sum of all its requests' timeouts and retries."""
    return float(8 * timeout_seconds * (retries + 1))  # a try makes at most eight requests


def _said_to_edit(uri: str, model: str) -> bool:
    """Tell whether the server says that the account may edit; False without accounts or an answer."""
    ask = partial(get, uri, None)
    try:
        user = current_user(ask)
        return user is not None and may_edit(ask, user, model)
    except Exception:  # noqa: BLE001  # the try that follows says more
        return False


def _allowed(call: Callable[[], Any], otherwise: str, what_to_do: str) -> None:
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        call()
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        raise RegistryError(f"{otherwise}: the registry answers 403", what_to_do=what_to_do) from None
