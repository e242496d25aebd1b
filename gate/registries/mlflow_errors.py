"""A registry's errors in the gate's own sentences, with the original text in brackets where it adds something."""

from collections.abc import Callable

from gate.records.errors import CannotFinishError, GateError, RegistryError, UnknownVersionError
from gate.registries.mlflow_answers import of_status
from gate.registries.mlflow_databases import of_database
from gate.registries.mlflow_failure import UNKNOWN, Failure, Server
from gate.registries.mlflow_reach import of_address, of_network


def explained(error: Exception, what: str, server: Server) -> GateError:
    """Return the gate's own error for an exception of a request for `what`."""
    failure = Failure(error, what, server)
    return next((found for kind in _KINDS if (found := kind(failure)) is not None), None) or _other(failure)


def _of_package(failure: Failure) -> GateError | None:
    if not isinstance(failure.error, ModuleNotFoundError):
        return None
    return RegistryError(
        f"the store of {failure.what} needs the package {failure.error.name!r}",
        what_to_do="Install it beside the gate; the extra `s3` brings what s3:// needs.",
    )


def _of_disk(failure: Failure) -> GateError | None:
    """Explain an error of this machine's own disk; an HTTP client's errors are `OSError`s too.

    It is no `RegistryError`, which leaves a version unmarked: a candidate may have logged names that no disk takes.
    """
    kinds = {kind.__name__ for kind in type(failure.error).__mro__}
    if "OSError" not in kinds or "RequestException" in kinds:
        return None
    network = not kinds.isdisjoint({"ConnectionError", "TimeoutError"})
    return (RegistryError if network else CannotFinishError)(
        f"{failure.what} could not be transferred{failure.brackets}",
        what_to_do="Look at the disk: whether there is room, and who may write.",
    )


_KINDS: tuple[Callable[[Failure], GateError | None], ...] = (
    *(_of_package, of_address, of_network, of_status, of_database, _of_disk),
)


def _other(failure: Failure) -> GateError:
    if failure.code in UNKNOWN or "not found" in str(failure.error).lower():
        return UnknownVersionError(
            f"the registry does not know {failure.what}{failure.brackets}",
            what_to_do="Check the name, and that the account may read it.",
        )
    did = "refused" if failure.code else "failed on"
    return RegistryError(
        f"the registry {did} {failure.what}{failure.brackets}",
        what_to_do=f"Check that {failure.server.shown} is a supported MLflow server or store, and look at its log.",
    )
