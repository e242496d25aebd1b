"""Reading a policy: YAML in, `Policy` out, or an error that names the file, the line and the likely intention."""

import datetime as dt
from pathlib import Path

from pydantic import ValidationError

from gate.policies.checks import check_policy
from gate.policies.packaged import NAMED, NAMES, successor
from gate.policies.source import PolicyText, got
from gate.policies.suggestions import did_you_mean, instead, keys_at
from gate.records.errors import PolicyError
from gate.records.policy import Policy

MAX_POLICY_BYTES = 1 << 20


def read_policy(path: Path, *, on: dt.date | None) -> Policy:
    """Read, validate and check a policy file; a waiver that is expired on the day `on` is an error, on none without."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise PolicyError(f"the policy {path} cannot be read: {error.strerror}", what_to_do=_instead_of(path)) from None
    if len(raw) > MAX_POLICY_BYTES:
        raise PolicyError(f"the policy {path} is larger than {MAX_POLICY_BYTES} bytes; expected a few kilobytes")
    return parse_policy(raw.decode("utf-8", errors="replace"), name=str(path), on=on)


def _instead_of(path: Path) -> str:
    if path.parent == Path() and not path.suffix and (meant := did_you_mean(path.name, NAMES)):
        return f"{meant[:1].upper()}{meant[1:]} The policies that come with the gate are {NAMED}."
    return successor(path) or "Name a policy file with --policy; without it the gate's own is used (--policy default)."


def parse_policy(text: str, *, name: str, on: dt.date | None) -> Policy:
    """Turn a policy's YAML text into a checked `Policy`; every error names its line."""
    source = PolicyText(text, name)
    if not isinstance(source.value, dict):
        raise source.error((), "a policy is a mapping of keys such as 'version' and 'detectors'")
    try:
        policy = Policy.model_validate(source.value)
    except ValidationError as error:
        raise _from_validation(source, error) from None
    check_policy(source, policy, on)
    return policy


def _from_validation(source: PolicyText, error: ValidationError) -> PolicyError:
    """Turn pydantic's first error into a sentence; an unknown key gets the nearest known one."""
    faults = error.errors(include_url=False)
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    where = fault.get("ctx", {}).get("where", fault["loc"])
    path = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        known = keys_at(Policy, where[:-1])
        return source.error(where, f"unknown key '{where[-1]}'{instead(str(where[-1]), known)}")
    if fault["type"] == "missing":
        return source.error(where[:-1], f"the key '{path}' is missing")
    message = fault["msg"].removeprefix("Value error, ")
    return source.error(where, f"{path}: {message}{got(fault['input'])}" if path else message)
