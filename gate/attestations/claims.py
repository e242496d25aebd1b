"""The decision in words of other tools, each an in-toto statement of its own that the same key signs.

Evaluation results: one claim a limit, and one of the p-value, in the shape of in-toto's proposal `eval-result`
(metric, comparator, threshold, passed, sample size, harness); absence of a field means that nothing is claimed. A SLSA
Verification Summary v1. And the CycloneDX bill of materials. All name the same bytes as the decision, and the summary
the decision's digest; none is read by any command of the gate.
"""

import datetime as dt
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gate import VERSION, detectors
from gate.attestations.coverage import Coverage, JudgedBy, SignedLimit
from gate.attestations.envelope import envelope_digest
from gate.attestations.statement import Predicate, Statement
from gate.detectors.contract import Need
from gate.records.evidence import Evidence
from gate.records.finding import Decision
from gate.records.record import canonical_json

EVAL_RESULT: Final = "urn:model-promotion-gate:eval-result:v1"
"""The gate's own name, until the proposal is adopted and its address is known."""
BILL: Final = "https://cyclonedx.org/bom"
"""in-toto's predicate type of a CycloneDX bill, whose predicate is the bill itself."""
SUMMARY: Final = "https://slsa.dev/verification_summary/v1"
VERIFIER: Final = "urn:model-promotion-gate"
SCREENED: Final = "GATE_BACKDOOR_SCREENED"
"""Level of bytes that an approval of a scan covers: screened, and nothing found that the policy flags."""
FILES_SCREENED: Final = "GATE_FILES_SCREENED"
"""Level of bytes of which the files alone were judged, and a reviewer approved them."""
_ON_SAMPLES: Final = Need.SAMPLES | Need.BESIDE
"""Needs of the detectors that measure on clean samples; others run a model on inputs that they make, or on none."""


def eval_results(statement: Statement, evidence: Evidence, harness: str) -> dict[str, Any] | None:
    """Return the claims of a decision's limits and p-value; None for a statement that tells none.

    `harness` is the digest of the gate's own distribution, as `sha256:` and hex.
    """
    coverage = statement.predicate.coverage
    if coverage is None:
        return None
    return _statement(statement, EVAL_RESULT, _claimed(coverage, statement.predicate, evidence, harness))


def _claimed(coverage: Coverage, predicate: Predicate, evidence: Evidence, harness: str) -> dict[str, Any]:
    sizes = _sample_sizes(coverage, evidence)
    claims = [
        *_of_p_value(coverage.judged, _size_behind_p_value(coverage.judged, evidence, sizes)),
        *(claim for limit in coverage.limits if (claim := _of_limit(limit, sizes.get(limit.detector)))),
    ]
    claimed: dict[str, Any] = {
        "harness": {"name": f"model-promotion-gate {VERSION}", "digest": _digest_set(harness)},
        "assuranceLevel": "self_attested",
        "evaluatedAt": _time(predicate.decided_at),
        "claims": claims,
    }
    if predicate.samples_digest and sizes:
        claimed["dataset"] = {"name": "clean samples", "digest": _digest_set(predicate.samples_digest)}
    if coverage.commitment is not None and coverage.commitment.before_the_scan:
        claimed["preRegistration"] = {
            "policy": _digest_set(coverage.commitment.policy_digest),
            "committedAt": _time(coverage.commitment.at),
            "digest": _digest_set(coverage.commitment.signed),
        }
    return claimed


def _sample_sizes(coverage: Coverage, evidence: Evidence) -> Mapping[str, int]:
    """Return the number of samples by each detector that ran the model on them; nothing else has a sample size."""
    if evidence.samples is None:
        return {}
    ran = (one.id for one in coverage.detectors if one.sample_passes)
    return {name: evidence.samples.count for name in ran if detectors.load(name).needs & _ON_SAMPLES}


def _size_behind_p_value(judged: JudgedBy, evidence: Evidence, sizes: Mapping[str, int]) -> int | None:
    """Return the number of samples behind the p-value: beside a bank, by the detectors that were compared."""
    seen = evidence.bank.comparison if evidence.bank and judged.by == "p-value-bank" else None
    behind = {*seen.detectors, *seen.predicting} if seen is not None else set(sizes)
    return next((size for name, size in sizes.items() if name in behind), None)


def _of_limit(limit: SignedLimit, samples: int | None) -> dict[str, Any] | None:
    """Return a limit as a claim; None for one without a bound or a value, of which nothing can be claimed."""
    if limit.threshold is None or limit.worst is None or limit.outcome == "not-judged":
        return None
    claim: dict[str, Any] = {
        "metric": f"{limit.detector}/{limit.metric}",
        "comparator": limit.comparator,
        "threshold": limit.threshold,
        "value": limit.worst,
        # A companion metric may excuse a value beyond the bound, and a waiver accepts one: neither is a pass of this.
        "passed": limit.outcome == "held" and _keeps(limit.comparator, limit.worst, limit.threshold),
    }
    return claim | ({"sampleSize": samples} if samples else {})


def _keeps(comparator: str, value: float, threshold: float) -> bool:
    return value <= threshold if comparator == "<=" else value >= threshold


def _of_p_value(judged: JudgedBy, samples: int | None) -> Iterator[dict[str, Any]]:
    if judged.p_value is None or judged.level is None:
        return
    claim: dict[str, Any] = {
        "metric": f"calibration/{judged.by}",
        "comparator": ">",
        "threshold": judged.level,
        "value": judged.p_value,
        "passed": judged.p_value > judged.level,
        "references": judged.models,
    }
    yield claim | ({"sampleSize": samples} if samples else {})


def verification_summary(statement: Statement, envelope: str, policy_uri: str) -> dict[str, Any]:
    """Return the SLSA summary of a decision, about the bytes that an approval of it covers."""
    predicate = statement.predicate
    passed = predicate.decision is Decision.APPROVED
    level = FILES_SCREENED if predicate.examined == "files" else SCREENED
    summary = {
        "verifier": {"id": VERIFIER, "version": {"model-promotion-gate": VERSION}},
        "timeVerified": _time(predicate.decided_at),
        "resourceUri": str(predicate.model),
        "policy": {"uri": policy_uri, "digest": _digest_set(predicate.policy_digest)},
        "inputAttestations": [{"uri": "attestation.json", "digest": _digest_set(envelope_digest(envelope))}],
        "verificationResult": "PASSED" if passed else "FAILED",
        "verifiedLevels": [level if passed else "FAILED"],
        "slsaVersion": "1.0",
    }
    made = _statement(statement, SUMMARY, summary)
    covered = {digest.removeprefix("sha256:") for digest in statement.covered_digests}
    subjects = [one for one in made["subject"] if one["digest"]["sha256"] in covered]
    # A failed one is about everything that was looked at.
    return made | {"subject": subjects if passed else made["subject"]}


def bill_of_materials(statement: Statement, bill: str) -> dict[str, Any]:
    """Return the statement of a CycloneDX bill, which is its predicate, about the bytes that the decision names."""
    return _statement(statement, BILL, json.loads(bill))


def _statement(about: Statement, kind: str, predicate: dict[str, Any]) -> dict[str, Any]:
    subjects = [one.model_dump(mode="json") for one in about.subject]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": kind,
        "predicate": predicate,
    }


def _digest_set(digest: str) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _time(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def payload_of(statement: dict[str, Any]) -> bytes:
    """Return the bytes of a statement that are signed."""
    return canonical_json(statement)
