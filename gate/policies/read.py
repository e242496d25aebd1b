"""Reading a policy: YAML in, `Policy` out, or an error that names the file, the line and the likely intention.

Detector ids, metrics and options are checked against the detectors' own specs, which import no torch, so that a
misspelt policy fails before anything is pulled (exit 2).
"""

import datetime as dt
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from gate import detectors
from gate.detectors.contract import Detector, Need
from gate.formats.mlflow_folder import is_inert
from gate.formats.packages import PACKAGES
from gate.policies.declared import before_loading
from gate.policies.gone import gone
from gate.policies.packaged import NAMES, successor
from gate.policies.source import BOOLEAN_WORDS, Source
from gate.policies.suggestions import did_you_mean
from gate.records.errors import PolicyError
from gate.records.policy import CALIBRATED_METRIC, CALIBRATED_RULE, Policy

MAX_POLICY_BYTES = 1 << 20


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
    return successor(path) or "Name a policy file with --policy; without it the gate's own is used (--policy default)."


def parse_policy(text: str, *, name: str, on: dt.date) -> Policy:
    """Turn a policy's YAML text into a checked `Policy`; every error names its line."""
    source = Source(text, name)
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


def _from_validation(source: Source, error: ValidationError, model: type[BaseModel]) -> PolicyError:
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
    return f"; got {value!r:.80}" + (f" (YAML, {BOOLEAN_WORDS})" if isinstance(value, bool) else "")


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


def _check_detectors(source: Source, policy: Policy) -> None:
    known = detectors.names()
    for name, rule in policy.detectors.items():
        where = ("detectors", name)
        if said := gone("detector", name):
            raise source.error(where, said)
        if name not in known:
            raise source.error(where, f"policy names detector '{name}'{_did_you_mean(name, known)}")
        detector = detectors.load(name)
        metrics = [metric.id for metric in detector.metrics]
        for metric, limit in rule.limits.items():
            place: tuple[str | int, ...] = (*where, "limits", metric)
            for named in (metric, *limit.together_with):
                if named not in metrics:
                    raise source.error(place, f"{name} measures no '{named}'{_did_you_mean(named, metrics)}")
        _check_options(source, detector, rule.options)
    _check_suspect_rules(source, policy)


def _check_options(source: Source, detector: Detector[Any], stated: Mapping[str, Any]) -> None:
    where = ("detectors", detector.id, "options")
    for option in stated:
        if said := gone("option", f"{detector.id}/{option}"):
            raise source.error((*where, option), said)
    try:
        detector.options.model_validate(stated)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False)[0]
        spot = (*where, *fault["loc"])
        option = ".".join(str(part) for part in fault["loc"])
        options = sorted(detector.options.model_json_schema(by_alias=True).get("properties", {}))
        if fault["type"] == "extra_forbidden":
            message = f"{detector.id} has no option '{option}'{_did_you_mean(option, options)}"
        else:
            message = f"{detector.id}, option '{option}': {fault['msg']}{_got(fault['input'])}"
        raise source.error(spot, message) from None


def _check_files_only(source: Source, policy: Policy) -> None:
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


def _check_suspect_rules(source: Source, policy: Policy) -> None:
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


def _check_bundles(source: Source, policy: Policy) -> None:
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


def _check_waivers(source: Source, policy: Policy, on: dt.date) -> None:
    for index, waiver in enumerate(policy.waivers):
        where = ("waivers", index)
        if waiver.detector in before_loading():
            message = f"no waiver covers hostile files or code execution; got '{waiver.detector}'"
            raise source.error((*where, "detector"), f"waivers.{index}.detector: {message}")
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
