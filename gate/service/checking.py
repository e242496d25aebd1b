"""`gate serve --check`: every precondition of the service. Changes nothing and shows no secret."""

import errno
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gate.attestations.keys import PublicKey, read_public_keys
from gate.check.rules import Rules
from gate.check.scan_beside_base import DIFFERENCE, SPECTRUM
from gate.promotion.machine import Condition, clocks, disk, jail, platform_of_gate, wrong
from gate.promotion.preconditions import granting, review_log
from gate.promotion.verification import now
from gate.records.errors import GateError
from gate.registries.contract import ProductionRegistry, User
from gate.registries.uris import is_registry_uri
from gate.service.database import database
from gate.service.jobs import read_rules
from gate.service.settings import ModelSection, Settings


def examine(settings: Settings, key: PublicKey, open_registry: Callable[[], ProductionRegistry]) -> Iterator[Condition]:
    """Yield every condition in the order of a start; configuration, secrets and signing key have been read."""
    file = settings.file
    named = ", ".join(model.name for model in file.models)
    yield Condition("configuration", "ok", f"versions of {named} are checked")
    yield Condition("webhook secret", "ok", f"{len(settings.secrets)} set")
    yield from platform_of_gate()
    yield from _keys(settings, key)
    read: dict[str, Rules] = {}
    for model in file.models:
        yield from _rules(model, read)
    for rules in read.values():
        yield from (found for found in jail(rules.policy.isolation) if found.state == "wrong")
    yield from (found for found in disk(file.data) if found.name == "disk, reports")
    if settings.audit_log.exists():
        yield review_log(settings.audit_log)
    else:
        yield Condition("review log", "ok", f"{settings.audit_log}; the first decision makes it")
    yield from database(settings)
    yield from _port(file.listen)
    yield from _reviewers(settings, read)
    yield from _registry(settings, open_registry)


def _keys(settings: Settings, key: PublicKey) -> Iterator[Condition]:
    yield Condition("signing key", "ok", f"key {key.key_id[:16]}")
    if settings.file.public_keys:
        try:
            others = read_public_keys(settings.file.public_keys)
            yield Condition("public keys", "ok", f"{len(others)} trusted beside the signing key's own")
        except GateError as error:
            yield wrong("public keys", error)


def _rules(model: ModelSection, read: dict[str, Rules]) -> Iterator[Condition]:
    try:
        rules = read_rules(model)
    except GateError as error:
        yield wrong(f"policy, {model.name}", error)
        return
    read[model.name] = rules
    text = f"{rules.policy.name}@{rules.policy.digest}{', and its bank' if rules.bank else ''}"
    yield Condition(f"policy, {model.name}", "ok", text)
    yield from _base(model, rules)
    samples = model.samples or rules.policy.samples.of(model.name).uri
    if samples is None:
        line = 'samples = "/srv/samples/clean.npz"'
        text = "none: what needs samples is skipped, and flags every version"
        yield Condition(f"samples, {model.name}", "unused", text, "Name them under [[models]]:", line)
    elif ":/" not in samples and not Path(samples).exists():
        text = f"there are no samples at {samples}; expected an .npz file or a folder of images by class"
        yield Condition(f"samples, {model.name}", "wrong", text, "Correct `samples` in the configuration or policy.")
    else:
        yield Condition(f"samples, {model.name}", "ok", samples)


_BESIDE_BASE: Final = {SPECTRUM: "adapters", DIFFERENCE: "language models"}
"""Models that are compared with a base, by the detector of a policy that is for them."""


def _base(model: ModelSection, rules: Rules) -> Iterator[Condition]:
    """Yield whether a base is named, where the policy is for models that have one, and whether a folder is there."""
    name = f"base, {model.name}"
    if model.base is None:
        if what := " and ".join(kind for detector, kind in _BESIDE_BASE.items() if detector in rules.policy.detectors):
            text = f"none: {what} are not examined, which flags every version"
            yield Condition(name, "unused", text, "Name it under [[models]]:", 'base = "models:/smollm/1"')
    elif not is_registry_uri(model.base) and not Path(model.base).is_dir():
        text = f"there is no folder {model.base}; expected a language model, or models:/NAME/VERSION"
        yield Condition(name, "wrong", text, "Correct `base` in the configuration.")
    else:
        yield Condition(name, "ok", model.base)


def _port(listen: str) -> Iterator[Condition]:
    """Try to listen for a moment, as the server will."""
    host, _, port = listen.rpartition(":")
    try:
        with socket.create_server((host, int(port))):
            yield Condition("port", "ok", f"{listen} is free")
    except (OSError, OverflowError) as error:
        taken = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        why = "something listens there already" if taken else str(getattr(error, "strerror", None) or error)
        mend = "Stop what listens there (an earlier `gate serve`?), or choose another address:"
        line = f'listen = "{host}:{8300 if port == "8200" else 8200}"'
        yield Condition("port", "wrong", f"{listen}: {why}", mend, line)


def _reviewers(settings: Settings, read: dict[str, Rules]) -> Iterator[Condition]:
    """Yield whether the review page can take decisions, and from whom."""
    identity = settings.file.review.identity
    unnamed = sorted(name for name, rules in read.items() if rules.policy.reviewers is None)
    refused = [found for name, rules in read.items() for found in _refused(identity, name, rules)]
    if identity == "none":
        text = "nobody can decide on the page: no identity is configured"
        yield Condition("reviews", "unused", text, "Under [review] in the configuration:", 'identity = "registry"')
    elif unnamed:
        text = f"the policy of {', '.join(unnamed)} names no reviewers, so flagged versions stay flagged"
        yield Condition("reviews", "unused", text, "In the policy:", "reviewers: {names: [ann], approvals: 1}")
    elif not refused:
        yield Condition("reviews", "ok", f"identity from the {identity}")
    yield from refused


_SOURCES: Final = {"header": "stated", "registry": "registry"}
"""What a policy calls the page's identity."""


def _refused(identity: str, name: str, rules: Rules) -> Iterator[Condition]:
    """Yield why every form about a model would be refused, although its policy names reviewers."""
    reviewers, expected = rules.policy.reviewers, _SOURCES.get(identity)
    if reviewers is None or expected is None:
        return
    if reviewers.identity != expected:
        text = f"the policy says `identity: {reviewers.identity}`, the page asks the {identity}: every form is refused"
        mend = "In the policy (its digest changes), or else choose another identity under [review]:"
        yield Condition(f"reviews, {name}", "wrong", text, mend, f"reviewers: {{identity: {expected}}}")
    if (names := len(set(reviewers.names))) < reviewers.approvals:
        text = f"the policy asks for {reviewers.approvals} approvals and names {names}"
        yield Condition(f"reviews, {name}", "wrong", text, "Name more reviewers in the policy, or ask for fewer.")


def _registry(settings: Settings, open_registry: Callable[[], ProductionRegistry]) -> Iterator[Condition]:
    try:
        registry = open_registry()
        version = registry.server_version()
        missing = [model.name for model in settings.file.models if not registry.exists(model.name)]
        text = f"answers: {f'MLflow {version}' if version else 'an embedded store, no server'}"
        yield Condition("registry", "ok", text)
        for name in missing:
            text = f"{name!r} has no version yet; its first one is checked when it comes"
            yield Condition(f"model, {name}", "unused", text)
        yield from clocks(registry.clock(), now())
        user = registry.user()
        if user is not None:
            yield from _rights(settings, registry, user, missing)
        elif settings.file.review.identity == "registry":
            text = "the registry has no accounts, so nobody could sign in to review"
            mend = "Run the server with accounts (docs/how-to/promotion.md):"
            yield Condition("accounts", "wrong", text, mend, "mlflow server --app-name basic-auth")
    except GateError as error:
        yield wrong("registry", error)


def _rights(settings: Settings, registry: ProductionRegistry, user: User, missing: list[str]) -> Iterator[Condition]:
    yield Condition("credentials", "ok", f"{user.name}{', an administrator' if user.admin else ''}")
    for model in settings.file.models:
        if model.name in missing or registry.may_edit(user, model.name):
            continue
        text = f"{user.name} may not mark versions of {model.name}; expected EDIT"
        mend = "An administrator of the registry grants it:"
        yield Condition(f"rights, {model.name}", "wrong", text, mend, granting(user.name, model.name, "EDIT"))
