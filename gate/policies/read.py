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
from gate.detectors.contract import Need
from gate.formats.mlflow_folder import is_inert
from gate.formats.packages import PACKAGES
from gate.policies.packaged import NAMES, successor
from gate.policies.suggestions import did_you_mean
from gate.records.errors import PolicyError
from gate.records.policy import CALIBRATED_METRIC, CALIBRATED_RULE, Policy

MAX_POLICY_BYTES = 1 << 20
_BOOLEAN_WORDS = "which reads the bare words on, off, yes and no as true and false: put it in quotes"


def read_policy(path: Path, *, on: dt.date) -> Policy:
    """Read, validate and check a policy file; a waiver that is expired on the day `on` is an error."""
    try:
        with path.open("rb") as stream:
            raw = stream.read(MAX_POLICY_BYTES + 1)
    except OSError as error:
        raise PolicyError(f"the policy {path} cannot be read: {error.strerror}", what_to_do=_instead_of(path)) from None
    if len(raw) > MAX_POLICY_BYTES:
        raise PolicyError(f"the policy {path} is larger than {MAX_POLICY_BYTES} bytes; expected a few kilobytes")
    return parse_policy(raw.decode("utf-8", errors="replace"), name=str(path), on=on)


def _instead_of(path: Path) -> str:
    """Return what to name in place of a policy that cannot be read."""
    if path.parent == Path() and not path.suffix and (meant := did_you_mean(path.name, NAMES)):
        return f"{meant[:1].upper()}{meant[1:]} The policies that come with the gate are {' and '.join(NAMES)}."
    if (name := successor(path)) is not None:
        return f"The gate's own policies are part of its package now: write --policy {name}."
    return "Name a policy file with --policy; without it the gate's own is used (--policy default)."


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
    _check_files_only(source, policy)
    _check_bundles(source, policy)
    _check_waivers(source, policy, on)
    return policy


class _Source:
    """A YAML text that remembers on which line each key stands."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        try:
            self.root = yaml.compose(text, Loader=yaml.SafeLoader)
            nodes = list(_nodes(self.root))
            for line, fault in (found for node in nodes for found in _faults(node)):
                raise PolicyError(f"{name}:{line}: {fault}")
            self._value = yaml.safe_load(text)
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, int(error.position)) + 1
            raise PolicyError(f"{name}:{line}: not YAML: {error.reason}") from None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = mark.line + 1 if mark else 1
            problem = getattr(error, "problem", None) or "the text cannot be parsed"
            raise PolicyError(f"{name}:{line}: not YAML: {problem}") from None
        except RecursionError:
            raise PolicyError(f"{name}:1: the policy is nested too deeply; expected a few levels") from None

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


def _nodes(root: yaml.Node | None) -> Iterator[yaml.Node]:
    """Yield every node once, whatever aliases point to it."""
    waiting, seen = [root] if root is not None else [], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        children = (part for pair in node.value for part in pair) if isinstance(node, yaml.MappingNode) else node.value
        waiting += [] if isinstance(node, yaml.ScalarNode) else list(children)


def _faults(node: yaml.Node) -> Iterator[tuple[int, str]]:
    """Yield the lines of a node at which the text does not say what its writer means, and why."""
    if isinstance(node, yaml.ScalarNode) and node.tag != "tag:yaml.org,2002:str":
        try:
            yaml.SafeLoader("").construct_object(node)
        except ValueError as error:  # a date such as 2026-13-01
            yield node.start_mark.line + 1, f"'{node.value:.80}' cannot be read: {error}"
    seen: set[str] = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            yield line, "a list or mapping stands where a key is expected"
            continue
        if key.tag == "tag:yaml.org,2002:bool":
            yield line, f"the key '{key.value}' is no word to YAML, {_BOOLEAN_WORDS}; expected a key of the policy"
        if key.value in seen:
            yield line, f"the key '{key.value}' stands twice; expected it once"
        seen.add(key.value)


def _from_validation(source: _Source, error: ValidationError, model: type[BaseModel]) -> PolicyError:
    """Turn pydantic's first complaint into one sentence; an unknown key gets the nearest known one."""
    faults = error.errors(include_url=False)
    fault = next((f for f in faults if f["type"] == "extra_forbidden"), faults[0])
    where = fault.get("ctx", {}).get("where", fault["loc"])
    path = ".".join(str(part) for part in fault["loc"] if part != "[key]")
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, where[:-1])
        return source.error(where, f"unknown key '{where[-1]}'{_did_you_mean(str(where[-1]), known)}")
    if fault["type"] == "missing":
        return source.error(where[:-1], f"the key '{path}' is missing")
    message = fault["msg"].removeprefix("Value error, ")
    return source.error(where, f"{path}: {message}{_got(fault['input'])}" if path else message)


def _got(value: Any) -> str:
    """Return what was found in place of what was expected, unless it is long."""
    if isinstance(value, dict | list):
        return "" if len(repr(value)) > 80 else f"; got {value!r}"
    return f"; got {value!r:.80}" + (f" (YAML, {_BOOLEAN_WORDS})" if isinstance(value, bool) else "")


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
    # What may be absent is an alternative of a record and null.
    here = next((option for option in here.get("anyOf", ()) if "$ref" in option), here)
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
                message = f"{name}, option '{option}': {fault['msg']}{_got(fault['input'])}"
            raise source.error(spot, message) from None
    _check_suspect_rules(source, policy)


def _check_files_only(source: _Source, policy: Policy) -> None:
    """Refuse what a policy for files alone would not do: measure behaviour, compare it with a bank, serve a bundle."""
    if not policy.files_only:
        return
    for name in policy.detectors:
        if detectors.load(name).needs != Need.FILES:
            raise source.error(
                ("detectors", name),
                f"'examines: files' judges bytes alone, and {name} needs more than files",
                what_to_do="Leave the detector out, or leave 'examines' out: behaviour is examined then.",
            )
    for key, stated in (("bank", policy.bank is not None), ("serve", policy.serve != "candidate")):
        if stated:
            message = f"'examines: files' writes no bundle and measures no behaviour: leave '{key}' out"
            raise source.error((key,), message)


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


def _check_bundles(source: _Source, policy: Policy) -> None:
    """Hold what goes into a bundle against the grammar by which the gate itself then reads the bundle."""
    hazards = policy.detectors.get("consumer-hazards")
    added = hazards.options.get("allowed-packages", ()) if hazards else ()
    for name in policy.runtime.packages:
        if name not in PACKAGES and name not in added:
            raise source.error(
                ("runtime", "packages", name),
                f"runtime.packages: {name} is not among the packages that may be installed"
                f"{_did_you_mean_only(name, sorted(PACKAGES))}",
                what_to_do="Once you know it, add it to the policy: "
                f"consumer-hazards: {{options: {{allowed-packages: [{name}]}}}}.",
            )
    for number, path in enumerate(policy.carry):
        if not is_inert(path):
            raise source.error(
                ("carry", number),
                f"carry: '{path[:200]}' is no text that no loader reads; expected LICENSE, NOTICE or README (.txt, "
                ".md), or a text, table or picture in extra_files/",
            )


def _did_you_mean_only(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.8)
    return f"; did you mean '{near[0]}'?" if near else ""


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
        if (waiver.detector, waiver.metric) == (CALIBRATED_RULE, CALIBRATED_METRIC):
            continue
        if rule is None or waiver.metric not in rule.limits:
            raise source.error(
                where, f"the waiver names {waiver.detector} {waiver.metric}, on which the policy sets no limit"
            )
