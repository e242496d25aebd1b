"""Model URIs: a version in a registry, or a folder on disk; for any other text the error names what was likely meant.

A wrong URI is the operator's mistake (exit 2), reported before any registry is asked.
"""

import re
from pathlib import Path

from gate.records.errors import UsageError
from gate.records.logins import without_login
from gate.registries.managed import require_no_managed

EXPECTED = "expected models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/latest or a model folder on disk"
_PREFIX = "models:/"
_DIRECTORY = "directory:"
_NAME = r"[^/@:]+"
_VERSION = re.compile(rf"({_NAME})/(\d+|latest)")
_ALIAS = re.compile(rf"({_NAME})@([\w-]+)")
_SHOWN = 300


def is_registry_uri(uri: str) -> bool:
    """Tell whether a URI names a registered model rather than a folder on disk."""
    return uri.startswith(_PREFIX)


def folder_of(uri: str) -> str:
    """Return the path of a model folder on disk."""
    return uri.removeprefix(_DIRECTORY)


def parse_model_uri(uri: str) -> tuple[str, str | None, str | None]:
    """Return name, version (a number or `latest`) and alias of a models URI; other forms are a `UsageError`."""
    body = uri.removeprefix(_PREFIX).rstrip("/")
    if match := _ALIAS.fullmatch(body):
        return match[1], None, match[2]
    if match := _VERSION.fullmatch(body):
        return match[1], match[2], None
    raise UsageError(f"{shown(uri)} names no model version; {EXPECTED}", what_to_do=_of_a_model(body))


def require_model(uri: str) -> None:
    """Raise a `UsageError` with what was likely meant, unless this is a version's URI or an existing folder."""
    if not uri.strip():
        raise UsageError(f"the model's URI is empty; {EXPECTED}", what_to_do="Is a variable of the pipeline not set?")
    if is_registry_uri(uri):
        parse_model_uri(uri)
        return
    require_no_managed(uri)
    path = Path(folder_of(uri))
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", uri) and not uri.startswith(_DIRECTORY):
        raise UsageError(f"{shown(uri)} is no model that the gate can pull; {EXPECTED}", what_to_do=_of_a_scheme(uri))
    if not path.is_dir():
        found = "a file" if path.exists() else "nothing"
        raise UsageError(
            f"there is no model folder at {shown(str(path))}; found {found}", what_to_do=_of_a_path(uri, path)
        )


def require_registered(uri: str) -> None:
    """Raise a `UsageError` for a model folder, which has no tags."""
    if not is_registry_uri(uri):
        raise unmarkable(uri)


def unmarkable(model: object, what_to_do: str = "Use --no-mark.") -> UsageError:
    """Return the error of a mark that a folder on disk cannot bear."""
    return UsageError(f"{model} is a folder on disk, where nothing can be marked", what_to_do=what_to_do)


def meant(text: str) -> str | None:
    """Return the version's URI that a text without the right scheme likely means; None where there is none."""
    body = re.sub(r"^(?:models?[:/]+|(?:.*#)?/models/)", "", text, flags=re.IGNORECASE).strip("/")
    body = re.sub(rf"^({_NAME})/(?:versions/|v)?(\d+|latest)(?:[?#].*)?$", r"\1/\2", body, flags=re.IGNORECASE)
    body = re.sub(rf"^({_NAME}):(\d+|latest)$", r"\1/\2", body)
    return f"{_PREFIX}{body}" if _VERSION.fullmatch(body) or _ALIAS.fullmatch(body) else None


def _of_a_model(body: str) -> str:
    if re.fullmatch(r"m-[0-9a-f]{32}", body):
        return (
            "This is a logged model, which is no version yet: register it, "
            f"mlflow.register_model('{_PREFIX}{body}', NAME), and check the version."
        )
    if (likely := meant(body)) is not None:
        return f"Did you mean {likely}?"
    if re.fullmatch(_NAME, body):
        return f"Which version? For the newest: {_PREFIX}{body}/latest"
    return "Stages are deprecated in MLflow; use a version number or an alias."


def _of_a_scheme(uri: str) -> str:
    if uri.startswith("file:"):
        return f"Did you mean {re.sub(r'^file:/*', '/', uri)}?"
    if (likely := meant(uri)) is not None:
        return f"Did you mean {likely}?"
    if uri.startswith("runs:/"):
        return f"Register it first, mlflow.register_model({uri[:_SHOWN]!r}, NAME), and check the version."
    if uri.startswith(("http://", "https://")):
        return "That is a server's address: it goes into MLFLOW_TRACKING_URI, and the model is models:/NAME/VERSION."
    return "Register the model first, or download its folder and check that with --no-mark."


def _of_a_path(uri: str, path: Path) -> str:
    if path.exists():
        return f"Name the folder with the MLmodel file in it; this file lies in {path.absolute().parent}."
    if not uri.startswith(("/", "./", "../", "~", _DIRECTORY)) and (likely := meant(uri)) is not None:
        return f"Did you mean {likely}?"
    return "Name a folder with an MLmodel file in it, or a registered model as models:/NAME/VERSION."


def shown(uri: str) -> str:
    """Return a text to show, without the user name and password of an address."""
    return repr(without_login(uri)[:_SHOWN])
