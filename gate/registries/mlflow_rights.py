"""What an account may do, asked of the server where it says so and tried where it does not.

A scan of half an hour whose verdict nobody may write down is lost, so the right to mark is tried before it. A server
that says that the account may edit is believed: the worst is a verdict that is published later. Everything else is
tried by a tag that is set and taken back, and nothing here waits longer than it is told to.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, TypeVar

from gate.records.artifact import ModelRef
from gate.records.errors import RegistryError, UsageError
from gate.registries.contract import Credentials, User

TRIAL_TAG = "gate.trial"
_TRIAL = "whether this account may mark the version; no decision"
PURPOSE_TAG, _PURPOSE = "gate.purpose", "reports and bundles of the promotion gate"
_OR_LOOK = ", or only look: --no-mark, and of a remediation --no-register."
_EDITING = frozenset({"EDIT", "MANAGE"})
_REQUESTS = 8
"""The most requests of one try."""
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
        # Servers exist where who may set a tag may not delete it; it then says of itself that it is no decision.
        with suppress(Exception):
            client.delete_model_version_tag(ref.name, ref.version, TRIAL_TAG)
    _allowed(
        lambda: client.set_experiment_tag(experiment(), PURPOSE_TAG, _PURPOSE),
        "this account may not keep reports in the gate's experiment",
        f"Grant it EDIT on that experiment, name another with --experiment{_OR_LOOK}",
    )


def may_edit(ask: Ask, user: User, model: str) -> bool:
    """Tell whether a user holds EDIT or MANAGE on a registered model or its versions, or is an administrator."""
    if user.admin:
        return True
    # Without EDIT on the model, a grant on the tier of versions suffices to set a version's tags.
    for kind, resource in (("registered_model", model), ("registered_model_version", "*")):
        asked = {"username": user.name, "resource_type": kind, "resource_id": resource}
        answer = ask("/api/3.0/mlflow/users/permissions/get", asked)
        if answer is None:
            raise RegistryError(f"the registry does not say what {user.name!r} may do with {model!r}")
        if answer.get("permission") in _EDITING:
            return True
    return False


def current_user(ask: Ask) -> User | None:
    """Return whom the server takes the bearer for; None where it has no authentication."""
    answer = ask("/api/2.0/mlflow/users/current", {})
    if answer is None:
        return None
    found = answer.get("user", {})
    return User(str(found["username"]), bool(found["is_admin"]))


def get(uri: str, path: str, query: Mapping[str, str], credentials: Credentials | None) -> dict[str, Any] | None:
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
    """Return what a call returns within so many seconds; one that takes longer is left alone and is a `RegistryError`.

    A request's own timeout is between two bytes: a server that sends one now and then holds its client for ever.
    """
    came: list[ResultT] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            came.append(call())
        except BaseException as error:  # noqa: BLE001  # raised again where the caller is
            failed.append(error)

    thread = threading.Thread(target=run, name="gate-registry", daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not came:
        raise RegistryError(
            f"{what} was not answered whole within {seconds:g} seconds",
            what_to_do="--registry-timeout and --registry-retries say how long the gate waits.",
        )
    return came[0]


def patience(timeout_seconds: int, retries: int) -> float:
    """Return the seconds after which a try is given up: as if each of its requests timed out as often as it may."""
    return float(_REQUESTS * timeout_seconds * (retries + 1))


def _said_to_edit(uri: str, model: str) -> bool:
    """Tell whether the server says that the account may edit; one that has no accounts, or says nothing, does not."""
    try:

        def ask(path: str, query: Mapping[str, str]) -> dict[str, Any] | None:
            return get(uri, path, query, None)

        user = current_user(ask)
        return user is not None and may_edit(ask, user, model)
    except Exception:  # noqa: BLE001  # whatever it is, the try itself says more
        return False


def _allowed(call: Callable[[], Any], otherwise: str, what_to_do: str) -> None:
    """Run a call; where the server forbids it, say what is forbidden and whom to ask."""
    from mlflow.exceptions import MlflowException  # noqa: PLC0415

    try:
        call()
    except MlflowException as error:
        if error.error_code != "PERMISSION_DENIED":
            raise
        raise RegistryError(f"{otherwise}: the registry answers 403", what_to_do=what_to_do) from None
