"""`gate doctor`: the preconditions of a check, a review and a promotion, each with its remedy.

Nothing is changed, no secret is shown, and each condition is examined by itself, so one error hides no other.
"""

import datetime as dt
import json
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gate.attestations.keys import PublicKey, read_public_keys, read_signing_key
from gate.attestations.log import ReviewLog
from gate.check.rules import named_bank
from gate.policies.read import read_policy
from gate.promotion.machine import MOST_SKEW, Condition, State, clocks, disk, engine, jail, platform_of_gate, wrong
from gate.promotion.verification import now
from gate.records.artifact import file_sha256
from gate.records.clock import today
from gate.records.errors import GateError
from gate.records.policy import Policy, Reviewers
from gate.records.sample_settings import SampleSettings
from gate.registries.contract import ProductionRegistry, User

_AS_ADMIN = "An administrator of the registry grants it, signed in by MLFLOW_TRACKING_USERNAME and _PASSWORD:"


@dataclass(frozen=True)
class Setup:
    """The gate's configuration; None or empty where nothing is configured."""

    policy: Path
    signing_key: str | None
    passphrase: str | None
    public_keys: tuple[str, ...]
    audit_log: Path | None
    report_dir: Path
    samples: str | None
    candidate: str | None
    production: str | None
    open: Callable[[], ProductionRegistry]
    """Connects to the registry."""


def examine(setup: Setup) -> Iterator[Condition]:
    """Yield every precondition in the order in which a check meets them."""
    yield from platform_of_gate()
    policy = None
    try:
        policy = read_policy(setup.policy, on=today())
        yield Condition("policy", "ok", f"{policy.name}@{policy.digest}")
    except GateError as error:
        yield wrong("policy", error)
    yield from _keys(setup)
    if policy is not None:
        yield _samples(setup, policy.samples.of(setup.candidate or ""))
        yield _bank(setup, policy)
        yield _reviewers(policy.reviewers)
    yield from jail(policy.isolation if policy else "full")
    yield from engine()
    yield from disk(setup.report_dir)
    yield _log(setup.audit_log)
    yield from _registry(setup, policy)


def _keys(setup: Setup) -> Iterator[Condition]:
    own: PublicKey | None = None
    if not setup.signing_key:
        text = "none: verdicts are unsigned, and nothing can be promoted"
        command = "gate keys generate --to gate-signing.pem && export GATE_SIGNING_KEY=gate-signing.pem"
        yield Condition("signing key", "unused", text, "Make a pair once, and name it:", command)
    else:
        try:
            own = read_signing_key(setup.signing_key, setup.passphrase).public
            yield _private(setup.signing_key, own)
        except GateError as error:
            yield wrong("signing key", error)
    if not setup.public_keys:
        mend = "Name the public key's file where decisions are verified or reviewed:"
        command = f"export GATE_PUBLIC_KEY={shlex.quote(str(_public_half(setup.signing_key)))}"
        yield Condition("public keys", "unused", "none: decisions cannot be verified here", mend, command)
        return
    try:
        trusted = {key.key_id for key in read_public_keys(setup.public_keys)}
    except GateError as error:
        yield wrong("public keys", error)
        return
    if own is not None and own.key_id not in trusted:
        text = f"{len(trusted)} trusted, and the signing key's own {own.key_id[:16]} is not among them"
        trusts = ":".join((*setup.public_keys, str(_public_half(setup.signing_key))))
        command = f"export GATE_PUBLIC_KEY={shlex.quote(trusts)}"
        yield Condition("public keys", "wrong", text, "Trust the signing key's public half too:", command)
    else:
        yield Condition("public keys", "ok", f"{len(trusted)} trusted: {', '.join(sorted(i[:16] for i in trusted))}")


def _private(where: str, key: PublicKey) -> Condition:
    path = Path(where)
    if not where.lstrip().startswith("-----BEGIN") and path.stat().st_mode & 0o077:
        text = f"{path} can be read by others than its owner"
        return Condition("signing key", "wrong", text, "Keep it to its owner:", f"chmod 600 {shlex.quote(str(path))}")
    return Condition("signing key", "ok", f"key {key.key_id[:16]}")


def _public_half(signing_key: str | None) -> Path:
    """Return the file of the public half that `gate keys generate` makes."""
    path = Path("gate-signing.pem" if not signing_key or "-----BEGIN" in signing_key else signing_key)
    return path.with_name(f"{path.name.removesuffix('.pem')}.pub.pem")


def _samples(setup: Setup, settings: SampleSettings) -> Condition:
    uri = setup.samples or settings.uri
    path = Path((uri or "").removeprefix("file://"))
    if uri is None:
        text = "none: a policy whose required detectors need some refuses a check without them"
        mend = "Give --samples to each check, or pin them in the policy; `sha256sum clean.npz` says the digest:"
        return Condition("samples", "unused", text, mend, "samples: {uri: clean.npz, sha256: DIGEST}")
    if ":/" in uri and not uri.startswith("file://"):
        return Condition("samples", "unused", f"{uri}: looked at when they are pulled")
    if not path.exists():
        text = f"there are no samples at {uri}; expected an .npz file or a folder of images by class"
        return Condition("samples", "wrong", text, "Correct `samples` in the policy, or --samples.")
    if settings.sha256 and setup.samples is None and path.is_file() and file_sha256(path) != settings.sha256:
        text = f"{uri} has the sha256 {file_sha256(path)}; the policy pins {settings.sha256}"
        mend = "Put the pinned file back, or pin this one after a look at it:"
        return Condition("samples", "wrong", text, mend, f"sha256: {file_sha256(path)}")
    if not settings.sha256 and path.is_file():
        line = f"samples: {{uri: {uri}, sha256: {file_sha256(path)}}}"
        mend = "In the policy this line makes sure that they stay what they are:"
        return Condition("samples", "ok", f"{uri}, not pinned by digest", mend, line)
    return Condition("samples", "ok", uri)


def _bank(setup: Setup, policy: Policy) -> Condition:
    try:
        opened = named_bank(policy, setup.policy)
    except GateError as error:
        return wrong("bank", error)
    if opened is None:
        return Condition("bank", "unused", "the policy names none")
    return Condition("bank", "ok", f"{opened.bank.name}: {len(opened.bank.references)} models")


def _reviewers(rules: Reviewers | None) -> Condition:
    if rules is None:
        line = "reviewers: {names: [ann], approvals: 1}"
        return Condition("reviewers", "unused", "none: flagged stays flagged", "Name them in the policy:", line)
    if len(set(rules.names)) < rules.approvals:
        text = f"{rules.approvals} approvals are asked for, and {len(set(rules.names))} reviewers are named"
        mend = "Name more under `reviewers` in the policy, or ask for fewer."
        return Condition("reviewers", "wrong", text, mend)
    return Condition("reviewers", "ok", f"{rules.approvals} of {', '.join(rules.names)}")


def _log(path: Path | None) -> Condition:
    if path is None:
        mend = "Reviews need one; name a file that only the gate writes:"
        return Condition("review log", "unused", "none", mend, "export GATE_AUDIT_LOG=reviews.jsonl")
    if path.exists():
        return review_log(path, now() + MOST_SKEW)
    parent = path.absolute().parent
    if parent.is_dir():
        return Condition("review log", "ok", f"{path} does not exist yet; the first decision makes it")
    text = f"{path} cannot be made: there is no folder {parent}"
    return Condition("review log", "wrong", text, "Make the folder:", f"mkdir -p {shlex.quote(str(parent))}")


def review_log(path: Path, latest: dt.datetime | None = None) -> Condition:
    """Return whether a review log is whole, with no entry later than `latest`."""
    try:
        found = ReviewLog(path).read()
    except GateError as error:
        return wrong("review log", error)
    if found.faults:
        return Condition("review log", "wrong", found.faults[0], "Restore a copy whose newest hash is known.")
    if latest is not None and found.entries and found.entries[-1].at > latest:
        text = f"its newest entry is dated {found.entries[-1].at:%Y-%m-%d %H:%M} UTC, in the future"
        return Condition("review log", "wrong", text, "Set the clocks of all who write it right.")
    return Condition("review log", "ok", f"{len(found.entries)} entries, chained")


def _registry(setup: Setup, policy: Policy | None) -> Iterator[Condition]:
    try:
        registry = setup.open().allowing(policy.artifact_stores if policy else ())
        versions = registry.find_versions(setup.candidate, {"gate.decision": "flagged"})
        count = f"{len(versions)} flagged version{'' if len(versions) == 1 else 's'}"
        yield Condition("registry", "ok", f"answers; {count}")
        user = registry.user()
    except GateError as error:
        yield wrong("registry", error)
        return
    yield from _server(registry, setup)
    if user is None:
        if registry.server_version() is None:
            text = "an embedded store has no accounts: whoever can write its files can move any alias"
            yield Condition("credentials", "unused", text)
            return
        text = "the registry has no authentication: anybody may set any tag and move any alias"
        mend = "Run the server with accounts (docs/how-to/promotion.md):"
        yield Condition("credentials", "wrong", text, mend, "mlflow server --app-name basic-auth")
        return
    yield Condition("credentials", "ok", f"{user.name}{', an administrator' if user.admin else ''}")
    yield from _rights(registry, user, setup)


def _server(registry: ProductionRegistry, setup: Setup) -> Iterator[Condition]:
    try:
        version, lacks = registry.server_version(), registry.lacks()
        text = f"MLflow {version}" if version else "an embedded store, no server"
        yield Condition("server", "ok" if version else "unused", text)
        yield from clocks(registry.clock(), now())
        for one in lacks:
            yield Condition("server lacks", "unused", one)
        for use in registry.stores(setup.candidate):
            text = f"{use.store}: {', '.join(use.used_by)}"
            mend = "" if use.allowed else "Nothing is taken from there."
            mend = "If that store is your own, add to the policy:" if use.line else mend
            # Anybody who may register a version may name a store; the default one is the server operator's.
            lacking: State = "wrong" if use.default else "unused"
            yield Condition("artifact store", "ok" if use.allowed else lacking, text, mend, use.line)
    except GateError as error:
        yield wrong("artifact store", error)


def _rights(registry: ProductionRegistry, user: User, setup: Setup) -> Iterator[Condition]:
    for role, name in (("candidate", setup.candidate), ("production", setup.production)):
        if name is None:
            yield Condition(f"rights, {role}", "unused", f"not looked at: name the model with --{role}")
            continue
        try:
            if not registry.exists(name):
                yield _not_there(role, name, setup)
                continue
            edits = registry.may_edit(user, name)
        except GateError as error:
            yield wrong(f"rights, {role}", error)
            continue
        wanted = "EDIT" if role == "candidate" else "MANAGE"
        if edits:
            yield Condition(f"rights, {role}", "ok", f"{user.name} may write to {name}")
        else:
            text = f"{user.name} may not write to {name}; expected {wanted}"
            yield Condition(f"rights, {role}", "wrong", text, _AS_ADMIN, granting(user.name, name, wanted))


def _not_there(role: str, name: str, setup: Setup) -> Condition:
    if role == "candidate":
        text = f"there is no registered model {name!r}; expected the name of one whose versions are checked"
        return Condition("rights, candidate", "wrong", text, "Correct --candidate, or register a first version.")
    text = (
        f"{name} does not exist yet: the first promotion makes it, and its account then owns it. Only an attempt shows "
        "whether that account may make models"
    )
    command = shlex.join(["gate", "promote", f"models:/{setup.candidate or 'NAME'}/VERSION", "--to", name])
    return Condition("rights, production", "unused", text, "It is made by:", command)


def granting(user: str, model: str, permission: str) -> str:
    """Return the command that grants a permission on a registered model, for an administrator of MLflow's accounts."""
    # Double quotes within, so that the shell's single ones stand around the whole.
    asked = ", ".join(json.dumps(one, ensure_ascii=False) for one in (user, "registered_model", model, permission))
    client = (
        'from mlflow.server import get_app_client as c; import os; c("basic-auth", os.environ["MLFLOW_TRACKING_URI"])'
    )
    return f"python -c {shlex.quote(f'{client}.grant_user_permission({asked})')}"
