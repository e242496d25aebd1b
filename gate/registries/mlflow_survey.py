"""The questions of `gate doctor` to an MLflow server: the stores in use, and the features that it lacks."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gate.records.addresses import AddressError, parse_address, suggested_store
from gate.records.errors import CannotFinishError, GateError, RefusedAddressError, UnknownVersionError
from gate.registries.allowed import Allowed
from gate.registries.contract import StoreUse
from gate.registries.mlflow_places import experiment_locations, locate
from gate.registries.mlflow_versions import MADE_LAST, search

_MOST_VERSIONS = 500
"""Versions whose address is asked, the newest first."""
_NAMED = 3
_FEATURES: tuple[tuple[tuple[int, int], str], ...] = (
    ((2, 3), "aliases, by which production is moved (MLflow 2.3)"),
    ((3, 0), "logged models, which promotion makes (MLflow 3.0)"),
    (
        (3, 3),
        "webhooks for new versions and aliases, without which `gate serve` finds them by its poll alone (MLflow 3.3)",
    ),
)
"""The first MLflow version with each feature that the gate uses."""


def stores_in_use(registry: Any, client: Any, model: str | None) -> list[StoreUse]:
    """Return every store that experiments and versions use, those that are not allowed first."""
    allowed: Allowed = registry.allowed
    found: dict[str, tuple[StoreUse, list[str]]] = {}
    for who, raw in _locations(registry, client, model):
        use = _judged(allowed, who, raw)
        found.setdefault(use.store, (use, []))[1].append(who)
    named = []
    for use, users in found.values():
        more = (f"{len(users) - _NAMED} more",) if len(users) > _NAMED else ()
        named.append(replace(use, used_by=(*users[:_NAMED], *more), default="experiment Default" in users))
    return sorted(named, key=lambda use: (use.allowed, use.store))


def _locations(registry: Any, client: Any, model: str | None) -> Iterator[tuple[str, str]]:
    for name, location in experiment_locations(client):
        yield f"experiment {name}", _of_a_run(location)
    for one in search(client, model or None, MADE_LAST, _MOST_VERSIONS):
        try:
            raw = locate(client, client.get_model_version_download_uri(one.name, one.version), registry.resolve)
        except CannotFinishError:
            raw = str(one.source)
        except Exception as error:  # one version that cannot be looked up must not hide the others
            if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                raise
            continue
        yield f"models:/{one.name}/{one.version}", raw


def _of_a_run(location: str) -> str:
    """Return the address of a run in an experiment's own folder, from which the store is recognised."""
    return f"{location}/{32 * '0'}/artifacts" if re.search(r"/[0-9]+$", location) else location


def _judged(allowed: Allowed, who: str, raw: str) -> StoreUse:
    try:
        place = allowed.place(raw, who)
    except RefusedAddressError:
        try:
            address = parse_address(raw)
        except AddressError as error:
            return StoreUse(f"{raw[:200]!r}, which {error}", (), allowed=False)
        return StoreUse(str(suggested_store(address)), (), allowed=False, line=allowed.line(address))
    if place.kind == "server":
        return StoreUse("the tracking server", (), allowed=True)
    if place.kind == "local":
        return StoreUse("folders on this machine", (), allowed=True)
    inside = (store for store in allowed.stores if place.address.within(store))
    return StoreUse(str(next(inside)), (), allowed=True)


def missing_features(version: str) -> tuple[str, ...]:
    """Return the features that a server of this version lacks."""
    matched = re.match(r"(\d+)\.(\d+)", version)
    if matched is None:
        return ()
    has = (int(matched[1]), int(matched[2]))
    return tuple(feature for since, feature in _FEATURES if has < since)


def missing_accounts(registry: Any) -> tuple[str, ...]:
    """Return the questions about accounts that the server does not answer."""
    try:
        user = registry.user()
    except GateError:
        return ()
    if user is None:
        return ("accounts (basic-auth, /api/2.0/mlflow/users/current), without which reviewers cannot be told apart",)
    if user.admin:
        return ()
    try:
        registry.may_edit(user, "gate-doctor")
    except UnknownVersionError:
        return ()
    except CannotFinishError:
        return (
            "the permissions of an account (/api/3.0/mlflow/users/permissions/get), without which nobody may review",
        )
    return ()
