"""Reading a policy: YAML in, `Policy` out, or an error that names the file, the line and the likely intention.

Only `yaml.safe_load`'s constructor is used. Detector ids, metrics and options are checked against the detectors' own
specs, which import no torch, so that a misspelt policy fails before anything is pulled (exit 2).
"""

import datetime as dt
import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from gate import detectors
from gate.errors import PolicyError
from gate.policy import Policy

MAX_POLICY_BYTES = 1 << 20


def read_policy(path: Path, *, on: dt.date) -> Policy:
    """Read, validate and check a policy file; a waiver that is expired on the day `on` is an error."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise PolicyError(
            f"the policy {path} cannot be read: {error.strerror}",
            what_to_do="Name a policy file with --policy; policies/default.yml is the recommended one.",
        ) from None
    if len(raw) > MAX_POLICY_BYTES:
        raise PolicyError(f"the policy {path} is larger than {MAX_POLICY_BYTES} bytes")
    return parse_policy(raw.decode("utf-8", errors="replace"), name=str(path), on=on)


def parse_policy(text: str, *, name: str, on: dt.date) -> Policy:
    """Turn a policy's YAML text into a checked `Policy`; every error names its line."""
    source = _Source(text, name)
    value = source.value()
    if not isinstance(value, dict):
        raise source.error((), "a policy is a mapping of keys such as 'version' and 'detectors'")
    try:
        policy = Policy.model_validate(value)
    except ValidationError as error:
        raise _from_validation(source, error, Policy) from None
    _check_detectors(source, policy)
    _check_waivers(source, policy, on)
    return policy


class _Source:
    """A YAML text that remembers on which line each key stands."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        try:
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
            for duplicate in _duplicates(self.root):
                raise PolicyError(f"{name}:{duplicate[1]}: the key '{duplicate[0]}' stands twice")
            self._value = yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f":{mark.line + 1}" if mark else ""
            problem = getattr(error, "problem", None) or "not YAML"
            raise PolicyError(f"{name}{line}: {problem}") from None
        except (RecursionError, ValueError) as error:
            raise PolicyError(f"{name}: {error}") from None

    def value(self) -> Any:
        return self._value

    def line(self, where: Sequence[str | int]) -> int:
        """Return the line of the deepest node on the way that exists, from 1."""
        node, line = self.root, 1
        for part in where:
            if isinstance(node, yaml.MappingNode):
                hit = next(((k, v) for k, v in node.value if k.value == str(part)), None)
                if hit is None:
                    continue
                line, node = hit[0].start_mark.line + 1, hit[1]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
                node = node.value[part]
                line = node.start_mark.line + 1
        return line

    def error(self, where: Sequence[str | int], message: str, *, what_to_do: str = "") -> PolicyError:
        return PolicyError(
            f"{self.name}:{self.line(where)}: {message}",
            what_to_do=what_to_do or "`gate schema policy` prints every key that a policy may have.",
        )


def _duplicates(node: yaml.Node | None) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if key.value in seen:
                yield str(key.value), key.start_mark.line + 1
            seen.add(key.value)
            yield from _duplicates(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from _duplicates(value)


def _from_validation(source: _Source, error: ValidationError, model: type[BaseModel]) -> PolicyError:
    """Turn pydantic's first complaint into one sentence; an unknown key gets the nearest known one."""
    faults = error.errors(include_url=False, include_context=False)
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    where = fault["loc"]
    path = ".".join(str(part) for part in where)
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, where[:-1])
        return source.error(where, f"unknown key '{where[-1]}'{_did_you_mean(str(where[-1]), known)}")
    if fault["type"] == "missing":
        return source.error(where[:-1], f"the key '{path}' is missing")
    got = f"; got {fault['input']!r:.80}" if not isinstance(fault.get("input"), dict | list) else ""
    return source.error(where, f"{path or 'policy'}: {fault['msg'].removeprefix('Value error, ')}{got}")


def _keys_at(model: type[BaseModel], where: Sequence[str | int]) -> list[str]:
    """Return the keys that the schema allows at a place, found in the model's JSON schema."""
    schema = model.model_json_schema(by_alias=True)
    here: dict[str, Any] = schema
    for part in where:
        here = _step(schema, here, part)
    return sorted(_resolve(schema, here).get("properties", {}))


def _step(schema: dict[str, Any], here: dict[str, Any], part: str | int) -> dict[str, Any]:
    here = _resolve(schema, here)
    if isinstance(part, int):
        found = here.get("items", {})
    else:
        found = here.get("properties", {}).get(part, here.get("additionalProperties", {}))
    return found if isinstance(found, dict) else {}


def _resolve(schema: dict[str, Any], here: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in here:
        target = schema["$defs"][here["$ref"].rsplit("/", maxsplit=1)[-1]]
        assert isinstance(target, dict)
        return target
    return here


def _did_you_mean(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; expected one of {', '.join(known)}" if known else ""


def _check_detectors(source: _Source, policy: Policy) -> None:
    known = detectors.names()
    for name, rule in policy.detectors.items():
        where = ("detectors", name)
        if name not in known:
            raise source.error(where, f"policy names detector '{name}'{_did_you_mean(name, known)}")
        detector = detectors.load(name)
        metrics = [metric.id for metric in detector.metrics]
        for metric, limit in rule.limits.items():
            place: tuple[str | int, ...] = (*where, "limits", metric)
            for named in (metric, *limit.together_with):
                if named not in metrics:
                    raise source.error(place, f"{name} measures no '{named}'{_did_you_mean(named, metrics)}")
        try:
            detector.options.model_validate(rule.options)
        except ValidationError as error:
            fault = error.errors(include_url=False, include_context=False)[0]
            spot = (*where, "options", *fault["loc"])
            option = ".".join(str(part) for part in fault["loc"])
            options = sorted(detector.options.model_json_schema(by_alias=True).get("properties", {}))
            if fault["type"] == "extra_forbidden":
                message = f"{name} has no option '{option}'{_did_you_mean(option, options)}"
            else:
                message = f"{name}, option '{option}': {fault['msg']}; got {fault['input']!r:.80}"
            raise source.error(spot, message) from None
    _check_suspect_rules(source, policy)


def _check_suspect_rules(source: _Source, policy: Policy) -> None:
    for number, stage in enumerate(policy.stages):
        for index, rule in enumerate(stage.suspects):
            where = ("stages", number, "suspects", index)
            if rule.detector not in policy.detectors:
                raise source.error(where, f"a suspect rule names '{rule.detector}', which the policy does not run")
            metrics = [metric.id for metric in detectors.load(rule.detector).metrics]
            if rule.metric not in metrics:
                raise source.error(
                    where, f"{rule.detector} measures no '{rule.metric}'{_did_you_mean(rule.metric, metrics)}"
                )


def _check_waivers(source: _Source, policy: Policy, on: dt.date) -> None:
    for index, waiver in enumerate(policy.waivers):
        where = ("waivers", index)
        if waiver.expires < on:
            raise source.error(
                (*where, "expires"),
                f"the waiver of {waiver.detector} {waiver.metric} (approved by {waiver.approved_by}) "
                f"expired on {waiver.expires}",
                what_to_do="Remove the waiver, or have the finding reviewed and accepted again with a new date.",
            )
        rule = policy.detectors.get(waiver.detector)
        if rule is None or waiver.metric not in rule.limits:
            raise source.error(
                where, f"the waiver names {waiver.detector} {waiver.metric}, on which the policy sets no limit"
            )
