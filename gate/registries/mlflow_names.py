"""What of a models URI a registry does not know, and the nearest that it does."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gate.jail.inert import inert_line
from gate.policies.suggestions import did_you_mean
from gate.records.errors import UnknownVersionError
from gate.registries.mlflow_failure import UNKNOWN
from gate.registries.mlflow_versions import NEWEST, search

_ASKED = 100
"""So many registered models, and versions of one, are asked for."""
_SHOWN = 5


@dataclass(frozen=True)
class Named:
    """What a models URI names: a version, or an alias, of a registered model."""

    name: str
    version: str | None = None
    alias: str | None = None


def unlisted(client: Any, uri: str, named: Named) -> UnknownVersionError | None:
    """Return that a model which an account was refused is none of those that it is shown; None where it is one."""
    names = _registered(client)
    if names is None or named.name in names:
        return None
    return UnknownVersionError(
        f"the registry does not know {uri}: the account sees no registered model {named.name!r} (403)"
        f"{_nearest(named.name, names)}",
        what_to_do="Check the name and the tracking URI, or grant the account READ on the registered model.",
    )


def unknown(client: Any, uri: str, named: Named) -> UnknownVersionError:
    """Return which part of a models URI the registry does not know, with what there is, if it tells."""
    said = f"the registry does not know {uri}"
    known = _versions(client, named.name)
    if known is None:
        names = _registered(client)
        near = "; it has no registered model at all" if names == [] else _nearest(named.name, names or [])
        return UnknownVersionError(
            f"{said}: there is no registered model {named.name!r}{near}",
            what_to_do="Check the name and the tracking URI, and that the account may read the model.",
        )
    numbers, aliases = known
    if named.alias is not None:
        near = _nearest(named.alias, aliases) or _there_are("its aliases are", aliases)
        return UnknownVersionError(
            f"{said}: the model has no alias {named.alias!r}{near}",
            what_to_do=f"Set the alias, or name a version, such as models:/{named.name}/{next(iter(numbers), '1')}.",
        )
    return UnknownVersionError(
        f"{said}: the model has no version {named.version}{_there_are('it has', numbers)}",
        what_to_do="It may have been deleted; name a version that exists, or an alias.",
    )


def _versions(client: Any, name: str) -> tuple[list[str], list[str]] | None:
    """Return the newest versions and the aliases of a registered model; None where there is no such model."""
    try:
        model = client.get_registered_model(name)
        found = search(client, name, NEWEST, _ASKED)
    except Exception as error:  # noqa: BLE001  # a helping word must not hide the error that it explains
        return None if getattr(error, "error_code", "") in UNKNOWN else ([], [])
    return [str(one.version) for one in found], sorted(map(str, dict(model.aliases)))


def _registered(client: Any) -> list[str] | None:
    try:
        return [str(one.name) for one in client.search_registered_models(max_results=_ASKED)]
    except Exception:  # noqa: BLE001  # likewise
        return None


def _nearest(word: str, known: Sequence[str]) -> str:
    meant = did_you_mean(word, known, most=1)
    return f"; {inert_line(meant, limit=100)}" if meant else ""


def _there_are(said: str, known: Sequence[str]) -> str:
    if not known:
        return "; it has none that this account may read"
    more = " and more" if len(known) > _SHOWN else ""
    return f"; {said} {', '.join(inert_line(one, limit=60) for one in known[:_SHOWN])}{more}"
