"""`gate doctor`: is everything there that a check, a review and a promotion need, and how is it mended where not?

Looks and changes nothing; each condition is looked at by itself, so that one fault hides no other. No secret is shown.
"""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gate.bank import open_bank
from gate.clock import today
from gate.decisions.keys import PublicKey, read_public_keys, read_signing_key
from gate.decisions.log import ReviewLog
from gate.errors import GateError
from gate.jail.entry import probe
from gate.policy import Policy
from gate.policy_file import read_policy
from gate.registry import ProductionRegistry, User

State = Literal["ok", "unused", "wrong"]
_ROOM = 5 << 30


@dataclass(frozen=True)
class Condition:
    """One precondition and what was found."""

    name: str
    state: State
    said: str
    mend: str = ""


@dataclass(frozen=True)
class Setup:
    """What the gate is set up with; None and empty where nothing is configured."""

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
    policy = None
    try:
        policy = read_policy(setup.policy, on=today())
        yield Condition("policy", "ok", f"{policy.name}@{policy.digest}")
    except GateError as error:
        yield _wrong("policy", error)
    yield from _keys(setup)
    if policy is not None:
        yield from _of_policy(setup, policy)
    yield from _jail(policy)
    yield from _disk(setup)
    yield from _log(setup)
    yield from _registry(setup, policy)


def _wrong(name: str, error: GateError, mend: str = "") -> Condition:
    return Condition(name, "wrong", str(error), error.what_to_do or mend)


def _keys(setup: Setup) -> Iterator[Condition]:
    own: PublicKey | None = None
    if not setup.signing_key:
        mend = "`gate keys generate`, then GATE_SIGNING_KEY; without it nothing can be promoted."
        yield Condition("signing key", "unused", "none: verdicts are unsigned", mend)
    else:
        try:
            own = read_signing_key(setup.signing_key, setup.passphrase).public
            yield _private(setup.signing_key, own)
        except GateError as error:
            yield _wrong("signing key", error)
    if not setup.public_keys:
        mend = "Set GATE_PUBLIC_KEY to the public key's file where decisions are verified."
        yield Condition("public keys", "unused", "none: decisions cannot be verified here", mend)
        return
    try:
        trusted = {key.key_id for key in read_public_keys(setup.public_keys)}
    except GateError as error:
        yield _wrong("public keys", error)
        return
    if own is not None and own.key_id not in trusted:
        said = f"{len(trusted)} trusted, and the signing key's own {own.key_id[:16]} is not among them"
        yield Condition("public keys", "wrong", said, "Add the signing key's public half to the trusted keys.")
    else:
        yield Condition("public keys", "ok", f"{len(trusted)} trusted: {', '.join(sorted(i[:16] for i in trusted))}")


def _private(where: str, key: PublicKey) -> Condition:
    path = Path(where)
    if not where.lstrip().startswith("-----BEGIN") and path.stat().st_mode & 0o077:
        said = f"{path} can be read by others than its owner"
        return Condition("signing key", "wrong", said, f"chmod 600 {path}")
    return Condition("signing key", "ok", f"key {key.key_id[:16]}")


def _of_policy(setup: Setup, policy: Policy) -> Iterator[Condition]:
    """Look at what the policy pins: samples, bank, reviewers."""
    settings = policy.samples.of(setup.candidate or "")
    uri = setup.samples or settings.uri
    path = Path((uri or "").removeprefix("file://"))
    if uri is None:
        mend = "Pin `samples: {uri: …, sha256: …}` in the policy, or give --samples."
        yield Condition("samples", "unused", "none: what needs samples is skipped, and flagged", mend)
    elif ":/" in uri and not uri.startswith("file://"):
        yield Condition("samples", "unused", f"{uri}: looked at when they are pulled")
    elif not path.exists():
        yield Condition("samples", "wrong", f"there are no samples at {uri}", "Correct the policy or --samples.")
    elif settings.sha256 and setup.samples is None and path.is_file() and _sha256(path) != settings.sha256:
        said = f"{uri} has the sha256 {_sha256(path)}; the policy pins {settings.sha256}"
        yield Condition("samples", "wrong", said, "Put the pinned file back, or pin the new one after looking at it.")
    else:
        yield Condition("samples", "ok", uri + ("" if settings.sha256 else ", not pinned by digest"))
    if policy.bank is None:
        yield Condition("bank", "unused", "the policy names none")
    else:
        try:
            opened = open_bank(setup.policy.parent / policy.bank.path, sha256=policy.bank.sha256)
            yield Condition("bank", "ok", f"{opened.bank.name}: {len(opened.bank.references)} models")
        except GateError as error:
            yield _wrong("bank", error)
    rules = policy.reviewers
    if rules is None:
        mend = "Add `reviewers: {names: […], approvals: 1}` to the policy."
        yield Condition("reviewers", "unused", "none: flagged stays flagged", mend)
    elif len(set(rules.names)) < rules.approvals:
        said = f"{rules.approvals} approvals are asked for, and {len(set(rules.names))} reviewers are named"
        yield Condition("reviewers", "wrong", said, "Name more reviewers, or ask for fewer approvals.")
    else:
        yield Condition("reviewers", "ok", f"{rules.approvals} of {', '.join(rules.names)}")


def _jail(policy: Policy | None) -> Iterator[Condition]:
    found = probe()
    least = policy.isolation if policy else "full"
    if found.at_least(least):
        yield Condition("jail", "ok", f"isolation {found}")
    else:
        mend = "Linux 5.13 or newer with Landlock and seccomp is needed (docs/jail.md)."
        yield Condition("jail", "wrong", f"isolation {found}; the policy asks for {least}", mend)


def _disk(setup: Setup) -> Iterator[Condition]:
    for name, path in (("disk, temporary", Path(tempfile.gettempdir())), ("disk, reports", setup.report_dir)):
        here = next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())
        free = shutil.disk_usage(here).free
        if free < _ROOM:
            mend = "Free some, or set TMPDIR or --report-dir to a larger disk."
            yield Condition(name, "wrong", f"{free / 2**30:.1f} GiB free at {here}; expected {_ROOM >> 30}", mend)
        else:
            yield Condition(name, "ok", f"{free / 2**30:.0f} GiB free at {here}")


def _log(setup: Setup) -> Iterator[Condition]:
    if setup.audit_log is None:
        mend = "Set GATE_AUDIT_LOG to a file that only the gate writes; reviews need it."
        yield Condition("review log", "unused", "none", mend)
    elif not setup.audit_log.exists():
        parent = setup.audit_log.absolute().parent
        state: State = "ok" if parent.is_dir() else "wrong"
        yield Condition("review log", state, f"{setup.audit_log} does not exist yet", f"mkdir -p {parent}")
    else:
        try:
            found = ReviewLog(setup.audit_log).read()
        except GateError as error:
            yield _wrong("review log", error)
            return
        if found.faults:
            yield Condition("review log", "wrong", found.faults[0], "Restore a copy whose newest hash is known.")
        else:
            yield Condition("review log", "ok", f"{len(found.entries)} entries, chained")


def _registry(setup: Setup, policy: Policy | None) -> Iterator[Condition]:
    try:
        registry = setup.open().allowing(policy.artifact_stores if policy else ())
        versions = registry.find_versions(setup.candidate, {"gate.decision": "flagged"})
        yield Condition("registry", "ok", f"answers; {len(versions)} flagged versions")
        user = registry.user()
    except GateError as error:
        yield _wrong("registry", error)
        return
    yield from _server(registry, setup)
    if user is None:
        mend = "Run MLflow with `--app-name basic-auth`; without it anybody may set any alias."
        yield Condition("credentials", "wrong", "the registry has no authentication", mend)
        return
    yield Condition("credentials", "ok", f"{user.name}{', an administrator' if user.admin else ''}")
    yield from _rights(registry, user, setup)


def _server(registry: ProductionRegistry, setup: Setup) -> Iterator[Condition]:
    """Look at the server's version, and at where experiments and versions keep their files."""
    try:
        version, lacks = registry.server_version(), registry.lacks()
        said = f"MLflow {version}" if version else "an embedded store, no server"
        yield Condition("server", "ok" if version else "unused", said)
        for one in lacks:
            yield Condition("server lacks", "unused", one)
        for use in registry.stores(setup.candidate):
            said = f"{use.store}: {', '.join(use.used_by)}"
            mend = (
                f"If that store is your own, add to the policy: {use.line}"
                if use.line
                else "Nothing is taken from there."
            )
            # Anybody who may register a version may name a store; the server's own is its operator's.
            lacking: State = "wrong" if use.default else "unused"
            yield Condition("artifact store", "ok" if use.allowed else lacking, said, mend)
    except GateError as error:
        yield _wrong("artifact store", error)


def _rights(registry: ProductionRegistry, user: User, setup: Setup) -> Iterator[Condition]:
    for role, name in (("candidate", setup.candidate), ("production", setup.production)):
        if name is None:
            yield Condition(f"rights, {role}", "unused", f"not looked at: name the model with --{role}")
            continue
        try:
            edits = registry.may_edit(user, name)
        except GateError as error:
            yield _wrong(f"rights, {role}", error)
            continue
        wanted = "EDIT" if role == "candidate" else "MANAGE"
        mend = "" if edits else f"Let an administrator grant {user.name!r} {wanted} on {name!r}."
        said = f"{user.name} may{'' if edits else ' not'} write to {name}"
        yield Condition(f"rights, {role}", "ok" if edits else "wrong", said, mend)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
