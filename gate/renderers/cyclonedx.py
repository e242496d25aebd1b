"""`report.cdx.json`: a CycloneDX 1.6 bill of materials of the model, with what the check claims about it.

The model is a component of the kind machine-learning-model, with its pedigree: what it was repaired from, and the
version that serves now. Threats and limits are claims with evidence and conformance in `declarations`. A claim that a
limit was kept says that, and no claim says that there is no backdoor. Texts are bounded, and JSON escapes them.
"""

import json
import uuid
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gate.judging.applied import applied_limits
from gate.records.report import Report
from gate.records.threat import Threat
from gate.renderers.text import plain
from gate.renderers.threats import WORDS, says
from gate.renderers.view import unexamined

_NAMESPACE: Final = uuid.UUID("6b1c1a7e-6a53-5f0a-9d5b-1f5c0f0e4a11")
"""Namespace of serial numbers, so that the same verdict has the same one."""
_CONFORMS: Final = {"not-detected": 1.0, "detected": 0.0, "waived": 0.0, "not-examined": 0.0}
_MAX: Final = 300


def render(report: Report) -> str:
    """Return the bill of materials as JSON; of a check without a verdict, the component alone."""
    bom: dict[str, Any] = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, _identity(report))}",
        "version": 1,
        "metadata": {
            "timestamp": report.checked_at,
            "tools": {"components": [_gate(report)]},
            "component": _model(report),
        },
    }
    if report.verdict is not None and report.evidence is not None and not report.error:
        rows = [*_of_threats(report), *_of_limits(report)]
        bom["declarations"] = _declarations(report, rows)
        bom["definitions"] = {"standards": [_policy(report, rows)]}
    return json.dumps(bom, indent=2, sort_keys=True, ensure_ascii=True) + "\n"


def _identity(report: Report) -> str:
    verdict = report.verdict
    parts = [verdict.evidence_digest, verdict.policy_digest] if verdict else [report.uri, report.policy.digest]
    return " ".join([*parts, report.checked_at])


def _gate(report: Report) -> dict[str, Any]:
    return {"type": "application", "bom-ref": "gate", "name": "model-promotion-gate", "version": report.gate_version}


def _model(report: Report) -> dict[str, Any]:
    verdict, evidence, ref = report.verdict, report.evidence, report.model
    component: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": "model",
        "name": plain(ref.name if ref else report.uri, _MAX),
        "properties": _properties(report),
    }
    if ref is not None and ref.version is not None:
        component["version"] = ref.version
    if report.manifest is not None:
        component["components"] = [
            {
                "type": "file",
                "bom-ref": f"file-{number}",
                "name": plain(file.path, _MAX),
                "hashes": [_hash(file.sha256)],
            }
            for number, file in enumerate(report.manifest.files[:1000])
        ]
    digest = verdict.model_digest if verdict else ""
    if digest:
        component["properties"] += [_property("model-digest", digest)]
    if verdict and verdict.bundle_digest:
        component["properties"] += [_property("bundle-digest", verdict.bundle_digest)]
    if evidence is not None and (ancestors := list(_ancestors(report))):
        component["pedigree"] = {"ancestors": ancestors}
    return component


def _properties(report: Report) -> list[dict[str, str]]:
    found = [_property("decision", _decision(report)), _property("policy", report.policy.name)]
    found += [_property("rejection", one.finding.message) for one in report.rejections]
    verdict, evidence = report.verdict, report.evidence
    if verdict is not None:
        found += [_property("policy-digest", verdict.policy_digest), _property("covers", verdict.covers or "candidate")]
        found.append(_property("evidence-digest", verdict.evidence_digest))
    if evidence is not None:
        found += [_property("assurance", evidence.assurance or "none"), _property("flavour", evidence.facts.flavour)]
    return found


def _ancestors(report: Report) -> Iterator[dict[str, Any]]:
    """Yield what the model was repaired from, as its provenance claims, and the versions that it was compared with."""
    evidence = report.evidence
    if evidence is None:
        return
    if evidence.repair is not None:
        yield {
            "type": "machine-learning-model",
            "name": plain(evidence.repair.parent, _MAX),
            "properties": [_property("relation", "repaired-from"), _property("digest", evidence.repair.parent_digest)],
        }
    for version in evidence.previous.versions if evidence.previous else ():
        relation = "serves-now" if version.serves else "earlier-version"
        yield {
            "type": "machine-learning-model",
            "name": plain(version.uri, _MAX),
            "properties": [_property("relation", relation), _property("digest", version.digest)],
        }


_Row = tuple[dict[str, Any], dict[str, Any], float, str]
"""A claim, its evidence, how far it conforms, and why."""


def _policy(report: Report, rows: Sequence[_Row]) -> dict[str, Any]:
    """Return the policy as the standard whose requirements are claimed to be met or not."""
    requirements = [
        {
            "bom-ref": f"requirement-{claim['bom-ref']}",
            "identifier": claim["bom-ref"],
            "title": _title(claim["bom-ref"]),
        }
        for claim, _, _, _ in rows
    ]
    name, digest = plain(report.policy.name, _MAX), report.verdict.policy_digest if report.verdict else ""
    return {"bom-ref": "policy", "name": name, "version": digest, "requirements": requirements}


def _title(name: str) -> str:
    kept = name.startswith("limit-")
    return "The limit is kept." if kept else "The threat was looked for, and not found; which is not that it is absent."


def _declarations(report: Report, rows: Sequence[_Row]) -> dict[str, Any]:
    return {
        "assessors": [{"bom-ref": "assessor", "thirdParty": False}],
        "attestations": [
            {
                "summary": f"The decision of model-promotion-gate: {_decision(report)}.",
                "assessor": "assessor",
                "map": [
                    {
                        "requirement": f"requirement-{claim['bom-ref']}",
                        "claims": [claim["bom-ref"]],
                        "conformance": {"score": score, "rationale": rationale},
                    }
                    for claim, _, score, rationale in rows
                ],
            }
        ],
        "claims": [claim for claim, _, _, _ in rows],
        "evidence": [evidence for _, evidence, _, _ in rows],
        "targets": {"components": [{"type": "machine-learning-model", "bom-ref": "target", "name": "the model"}]},
    }


def _of_threats(report: Report) -> Iterator[_Row]:
    for threat in report.verdict.threats if report.verdict else ():
        predicate = f"{threat.title}: {WORDS[threat.status]}"
        yield _row(f"threat-{threat.id}", predicate, _what(threat), _CONFORMS[threat.status])


def _what(threat: Threat) -> str:
    return plain(says(threat), 2 * _MAX) or WORDS[threat.status]


def _of_limits(report: Report) -> Iterator[_Row]:
    if report.evidence is None or report.verdict is None:
        return
    for one in applied_limits(report.evidence, report.verdict, report.policy):
        bound = "no bound" if one.threshold is None else f"{one.comparator} {one.threshold:g}"
        worst = "nothing measured" if one.worst is None else f"worst value {one.worst:.6g} of {one.values}"
        name = f"limit-{one.detector}-{one.metric}-{'max' if one.comparator == '<=' else 'min'}"
        predicate = f"{one.detector} {one.metric} {bound}"
        yield _row(name, predicate, f"{worst}; {one.outcome}", 1.0 if one.outcome == "held" else 0.0)


def _row(name: str, predicate: str, says_of_it: str, score: float) -> _Row:
    claim = {"bom-ref": name, "target": "target", "predicate": predicate, "evidence": [f"evidence-{name}"]}
    evidence = {"bom-ref": f"evidence-{name}", "propertyName": f"gate:{name}", "description": says_of_it}
    return claim, evidence, score, says_of_it


def _decision(report: Report) -> str:
    """Return the decision, and that behaviour was not examined where it was not."""
    return f"{report.decision.value}{unexamined(report)}"


def _property(name: str, value: str) -> dict[str, str]:
    return {"name": f"gate:{name}", "value": plain(value, _MAX)}


def _hash(sha256: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": sha256}
