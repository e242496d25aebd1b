"""The bytes that an approval covers, and which oddities of files that are not served do not flag.

Under `serve: bundle` production gets the gate's own bundle alone: a file, key or requirement that no loader of the
bundle sees is listed and does not flag. Code, hostile archives and deceptive names flag under either value of `serve`.
"""

from typing import Final

from gate.records.bundle import Covers
from gate.records.evidence import Evidence
from gate.records.finding import Finding
from gate.records.policy import Policy

ODDITIES: Final = frozenset(
    {
        ("artifact-integrity", "missing-files"),
        ("artifact-integrity", "unexpected-files"),
        ("consumer-hazards", "foreign-loaders"),
        ("consumer-hazards", "foreign-requirements"),
    }
)
"""(detector, metric) of harmless things beside a model, which a bundle does not take over."""


def covers(evidence: Evidence, policy: Policy) -> Covers:
    """Return which bytes a verdict is about; of converted candidates and `_run_by_others` the bundle alone."""
    alone = evidence.assurance == "B" or bool(_run_by_others(evidence))
    return "bundle" if alone and not policy.files_only else policy.serve


def _run_by_others(evidence: Evidence) -> str:
    """Name a candidate whose consumer computes by other means than the gate has examined; empty of any other.

    A consumer's own transformers composes a pipeline's network, and resizes images before it. A consumer of an adapter
    loads the base that its files name. onnxruntime's kernels may differ from torch's where no sample and no noise lies.
    A classifier of texts is judged by the tokenizer that the gate wrote, which cuts and pads in the gate's own way.
    """
    origin, facts = evidence.bundle.origin if evidence.bundle else "", evidence.facts
    if facts.adapter is not None:
        return "an adapter"
    if origin == "composed" or facts.is_pipeline:
        return "a pipeline"
    if origin == "onnx" or facts.flavour == "onnx":
        return "an ONNX model"
    return "a classifier of texts" if facts.space == "tokens" else ""


def is_oddity(finding: Finding, evidence: Evidence, policy: Policy) -> bool:
    """Tell whether a finding is harmless, on bytes of the candidate that the policy does not serve.

    Evidence of a converted candidate is about the bundle's bytes, where nothing counts as an oddity.
    """
    candidates = policy.serve == "bundle" and evidence.assurance != "B"
    return candidates and finding.kind == "limit" and (finding.rule, finding.metric) in ODDITIES


def of_bundle(evidence: Evidence, policy: Policy) -> list[Finding]:
    """Return a finding where the policy serves the bundle alone and none was written, or an earlier gate wrote it."""
    if evidence.bundle_digest is not None and evidence.bundle is None:
        message = "The bundle is an earlier gate's, which did not write its program anew; scan again."
        return [Finding(rule="bundle", kind="silence", message=message)]
    kind = "" if policy.files_only else _run_by_others(evidence)
    if evidence.bundle_digest is not None or evidence.assurance is None or not (policy.serve == "bundle" or kind):
        return []
    why = f": {evidence.unbundled}" if evidence.unbundled else "."
    who = "The policy serves" if policy.serve == "bundle" else f"Of {kind} an approval covers"
    message = f"{who} the gate's bundle alone, and there is none{why}"
    return [Finding(rule="bundle", kind="condition", message=message)]
