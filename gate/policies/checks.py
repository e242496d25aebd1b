"""Checks of a policy against the detectors' own specs: a misspelt policy fails before a pull."""

import datetime as dt

from pydantic import ValidationError

from gate import detectors
from gate.detectors.contract import Need
from gate.formats.mlflow_folder import is_inert
from gate.formats.packages import PACKAGES
from gate.policies.declared import before_loading, can_name_suspects, metrics_by_class
from gate.policies.gone import gone
from gate.policies.source import PolicyText, got
from gate.policies.suggestions import did_you_mean, instead, keys_at
from gate.records.errors import PolicyError
from gate.records.policy import CALIBRATED_METRIC, CALIBRATED_RULE, Policy, SuspectRule


def check_policy(source: PolicyText, policy: Policy, on: dt.date | None) -> None:
    """Refuse unknown detectors, metrics and options, contradictions, and expired waivers."""
    for name in policy.detectors:
        _check_detector(source, policy, name)
    _check_suspect_rules(source, policy)
    _check_files_only(source, policy)
    _check_templates(source, policy)
    _check_bundles(source, policy)
    _check_waivers(source, policy, on)


def _check_detector(source: PolicyText, policy: Policy, name: str) -> None:
    where, rule, known = ("detectors", name), policy.detectors[name], detectors.names()
    if why := gone("detector", name):
        raise source.error(where, why)
    if name not in known:
        raise source.error(where, f"policy names detector '{name}'{instead(name, known)}")
    metrics = [metric.id for metric in detectors.load(name).metrics]
    for metric, limit in rule.limits.items():
        for named in (metric, *limit.together_with):
            if named not in metrics:
                place = (*where, "limits", metric)
                raise source.error(place, f"{name} measures no '{named}'{instead(named, metrics)}")
    for option in rule.options:
        if why := gone("option", f"{name}/{option}"):
            raise source.error((*where, "options", option), why)
    try:
        detectors.load(name).options.model_validate(rule.options)
    except ValidationError as error:
        raise _of_option(source, name, error) from None


def _of_option(source: PolicyText, name: str, error: ValidationError) -> PolicyError:
    fault = error.errors(include_url=False, include_context=False)[0]
    option = ".".join(str(part) for part in fault["loc"])
    if fault["type"] == "extra_forbidden":
        message = f"{name} has no option '{option}'{instead(option, keys_at(detectors.load(name).options, ()))}"
    else:
        message = f"{name}, option '{option}': {fault['msg']}{got(fault['input'])}"
    return source.error(("detectors", name, "options", *fault["loc"]), message)


def _check_files_only(source: PolicyText, policy: Policy) -> None:
    """Refuse, in a policy for files alone, detectors of behaviour, a bank, and a bundle to serve."""
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


def _check_templates(source: PolicyText, policy: Policy) -> None:
    """Refuse to leave chat templates to a detector that the policy does not run."""
    formats = policy.detectors.get("unsafe-format")
    if formats and formats.options.get("chat-templates") and "chat-template" not in policy.detectors:
        raise source.error(
            ("detectors", "unsafe-format", "options", "chat-templates"),
            "unsafe-format leaves chat templates to chat-template, which the policy does not run",
            what_to_do="Add the detector chat-template with its limits, or leave 'chat-templates' out.",
        )


def _check_suspect_rules(source: PolicyText, policy: Policy) -> None:
    """Refuse rules that can name no suspect, and stages over suspects that no stage before them can name."""
    ran: set[str] = set()
    for number, stage in enumerate(policy.stages):
        if stage.over == "suspects" and not can_name_suspects(policy, number + 1):
            raise source.error(
                ("stages", number, "over"),
                f"the stage of {stage.detectors[0]} is over suspects, and no stage before it has a rule that names "
                "any: it would examine nothing of any model",
                what_to_do="Give an earlier stage 'suspects', a rule on a metric that is measured by class; or leave "
                "'over: suspects' out, and the stage examines every class.",
            )
        ran |= {*stage.detectors}
        for index, rule in enumerate(stage.suspects):
            _check_suspect_rule(source, policy, rule, ("stages", number, "suspects", index), ran)


def _check_suspect_rule(
    source: PolicyText, policy: Policy, rule: SuspectRule, where: tuple[str | int, ...], ran: set[str]
) -> None:
    name = rule.detector
    if name not in policy.detectors:
        raise source.error(where, f"a suspect rule names '{name}', which the policy does not run")
    metrics = [metric.id for metric in detectors.load(name).metrics]
    if rule.metric not in metrics:
        raise source.error(where, f"{name} measures no '{rule.metric}'{instead(rule.metric, metrics)}")
    if (name, rule.metric) not in metrics_by_class():
        able = [metric for metric in metrics if (name, metric) in metrics_by_class()]
        raise source.error(
            where,
            f"a suspect rule names {name} '{rule.metric}', which is measured at no class or pair, and so names no "
            f"suspect; expected one of {', '.join(able)}"
            if able
            else f"a suspect rule names {name}, which measures nothing at a class or pair, and so names no suspect",
        )
    if name not in ran:
        raise source.error(
            where, f"a suspect rule names '{name}', which runs in a later stage and has measured nothing"
        )


def _check_bundles(source: PolicyText, policy: Policy) -> None:
    """Check a bundle's packages and carried files by the grammar with which the gate then reads the bundle."""
    hazards = policy.detectors.get("consumer-hazards")
    added = hazards.options.get("allowed-packages", ()) if hazards else ()
    for name in policy.runtime.packages:
        if name not in PACKAGES and name not in added:
            near = did_you_mean(name, PACKAGES, most=1, cutoff=0.8)
            meant = f"; {near}" if near else ""
            raise source.error(
                ("runtime", "packages", name),
                f"runtime.packages: {name} is not among the packages that may be installed{meant}",
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


def _check_waivers(source: PolicyText, policy: Policy, on: dt.date | None) -> None:
    for index, waiver in enumerate(policy.waivers):
        where = ("waivers", index)
        if waiver.detector in before_loading():
            message = f"no waiver covers hostile files or code execution; got '{waiver.detector}'"
            raise source.error((*where, "detector"), f"waivers.{index}.detector: {message}")
        if on is not None and waiver.expires < on:
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
