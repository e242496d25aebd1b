"""The part of a models URI that a registry does not know, and the nearest known name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gate.jail.inert import inert_line
from gate.policies.suggestions import did_you_mean
from gate.records.errors import UnknownVersionError
from gate.registries.mlflow_failure import UNKNOWN
from gate.registries.mlflow_versions import NEWEST, search

_ASKED, _SHOWN = 100, 5
"""Registered models, or versions of one, in a request, and those in a message."""


@dataclass(frozen=True)
class Named:
    """The parts of a models URI: a version, or an alias, of a registered model."""

    name: str
    version: str | None = None
    alias: str | None = None


def unlisted(client: Any, uri: str, named: Named) -> UnknownVersionError | None:
    """Return the error of a refused model that the account does not see; None where it sees it."""
    names = _registered(client)
    if names is None or named.name in names:
        return None
    return UnknownVersionError(
        f"the registry does not know {uri}: the account sees no registered model {named.name!r} (403)"
        f"{_nearest(named.name, names)}",
        what_to_do="Check the name and the tracking URI, or grant the account READ on the registered model.",
    )


def unknown(client: Any, uri: str, named: Named) -> UnknownVersionError:
    """Return the error that names the unknown part of a models URI, with known names where there are any."""
    unknown_uri = f"the registry does not know {uri}"
    known = _versions(client, named.name)
    if known is None:
        names = _registered(client)
        near = "; it has no registered model at all" if names == [] else _nearest(named.name, names or [])
        return UnknownVersionError(
            f"{unknown_uri}: there is no registered model {named.name!r}{near}",
            what_to_do="Check the name and the tracking URI, and that the account may read the model.",
        )
    numbers, aliases = known
    if named.alias is not None:
        near = _nearest(named.alias, aliases) or _there_are("its aliases are", aliases)
        return UnknownVersionError(
            f"{unknown_uri}: the model has no alias {named.alias!r}{near}",
            what_to_do=f"Set the alias, or name a version, such as models:/{named.name}/{next(iter(numbers), '1')}.",
        )
    return UnknownVersionError(
        f"{unknown_uri}: the model has no version {named.version}{_there_are('it has', numbers)}",
        what_to_do="It may have been deleted; name a version that exists, or an alias.",
    )


def _versions(client: Any, name: str) -> tuple[list[str], list[str]] | None:
    """Return the newest versions and the aliases of a registered model; None where there is no such model."""
    try:
        model = client.get_registered_model(name)
        found = search(client, name, NEWEST, _ASKED)
    except Exception as error:  # noqa: BLE001  # a suggestion must not hide the error that it explains
        return None if getattr(error, "error_code", "") in UNKNOWN else ([], [])
    return [str(one.version) for one in found], sorted(map(str, dict(model.aliases)))


def _registered(client: Any) -> list[str] | None:
    try:
        return [str(one.name) for one in client.search_registered_models(max_results=_ASKED)]
    except Exception:  # noqa: BLE001  # a suggestion, as above
        return None


def _nearest(word: str, known: Sequence[str]) -> str:
    meant = did_you_mean(word, known, most=1)
    return f"; {inert_line(meant, limit=100)}" if meant else ""


def _there_are(what: str, known: Sequence[str]) -> str:
    if not known:
        return "; it has none that this account may read"
    more = " and more" if len(known) > _SHOWN else ""
    return f"; {what} {', '.join(inert_line(one, limit=60) for one in known[:_SHOWN])}{more}"
