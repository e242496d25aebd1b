"""Findings on the check as a whole: problems, assurance, isolation, outputs, the pinned bank, the samples."""

from collections.abc import Iterator, Mapping

from gate.judging.accuracy import least_accuracy, likely_cause
from gate.records.declarations import Space
from gate.records.evidence import Evidence, Measured
from gate.records.finding import Finding
from gate.records.isolation import isolation_rank
from gate.records.policy import Policy

_USUAL_CAUSE: Mapping[Space, str] = {
    "images": " The classic cause is a preprocessing mismatch: check bounds, layout, mean and std in the policy, and "
    "that labels and model number the classes alike.",
    "tokens": " The classic cause is that labels and model number the classes differently, or that the texts are of "
    "another task or language.",
}


def of_problems(evidence: Evidence) -> Iterator[Finding]:
    """Yield a finding for each problem that kept something from being examined."""
    for problem in evidence.problems:
        yield Finding(rule="scan", kind="silence", message=problem)


def of_conditions(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield the findings on the check as a whole, which no measurement outweighs."""
    if evidence.assurance is None:
        yield _condition(rule="assurance", message="The model was not loaded: nothing was assured.")
    elif evidence.assurance == "C":
        yield _condition(
            rule="assurance",
            message="Assurance level C, behaviour only: the candidate's own code was allowed to run, and could behave "
            "while watched.",
        )
    elif evidence.assurance > policy.assurance:
        yield _condition(
            rule="assurance",
            message=f"The candidate carries code. Only the code-free bundle of it (level {evidence.assurance}) was "
            f"examined and could be approved; the policy asks for level {policy.assurance}.",
        )
    yield from of_isolation(evidence, policy)
    if evidence.facts.samples_alone:
        yield _condition(
            rule="batch",
            message="Each sample was examined by itself: the model takes several at once, and nothing shows that those "
            "beside a sample leave its answer alone. Log it with an input example of one sample, or without operators "
            "that mix the samples of a batch.",
        )
    if evidence.facts.padding_counts:
        yield _condition(
            rule="padding",
            message="Texts were examined without padding, and where a text is filled up in a batch the model answers "
            "otherwise. Log it with an attention mask by which padding counts for nothing.",
        )
    yield from _of_outputs(evidence, policy)
    yield from _of_bank(evidence, policy)
    yield from _of_probe_seed(evidence, policy)


def of_isolation(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding where the workers were less isolated than the policy asks."""
    if isolation_rank(evidence.isolation) < isolation_rank(policy.isolation):
        yield _condition(
            rule="isolation",
            message=f"The worker's isolation was '{evidence.isolation}'; the policy asks for '{policy.isolation}'.",
        )


def _of_outputs(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding for each unexamined output that the policy does not accept by name."""
    outputs, judged = evidence.facts.outputs, evidence.facts.judged
    if outputs and judged is None:
        message = "The evidence names the model's outputs, and none of them as judged; scan again."
        yield Finding(rule="outputs", kind="silence", message=message)
        return
    accepted = policy.samples.of(evidence.model.name).unexamined_outputs or ()
    for output in outputs:
        if judged is not None and output.role == "not-examined" and output.name not in accepted:
            yield _condition(
                rule="outputs",
                message=f"The output '{output.name}' ({output}) was not examined: '{judged.name}' was judged, and "
                "nothing shows that both give the same decision. Export the model with one output, or accept this one "
                "under 'samples: {unexamined-outputs: [NAME]}' in the policy if production takes no decision from it.",
            )


def _of_bank(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding where the scan did not use the bank that the policy pins."""
    if policy.bank is None:
        return
    if evidence.bank is None:
        message = "The policy names a reference bank, and none stood beside the scan; scan again."
        yield Finding(rule="calibration", kind="silence", message=message)
    elif evidence.bank.digest != f"sha256:{policy.bank.sha256}" and not evidence.bank.by_option:
        message = f"The bank beside the scan was {evidence.bank.digest}; the policy pins sha256:{policy.bank.sha256}."
        yield Finding(rule="calibration", kind="condition", message=message)


def _of_probe_seed(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield a finding where the policy asks for secret probes, and no detector applied any."""
    outcomes = evidence.outcomes.values()
    applied = any(isinstance(one, Measured) and one.secret_counts is not None for one in outcomes)
    if policy.probe_seed == "required" and evidence.assurance is not None and not applied:
        message = (
            "The policy asks for secret probes, and none were applied: scan with `--probe-seed`. A worker that may run "
            "the candidate's own code gets no seed."
        )
        yield Finding(rule="probe-seed", kind="silence", message=message)


def of_samples(evidence: Evidence, policy: Policy) -> Iterator[Finding]:
    """Yield findings where the clean samples are not what the policy pins, or the model does poorly on them."""
    samples, settings = evidence.samples, policy.samples.of(evidence.model.name)
    if samples is None and evidence.facts.beside_base and evidence.assurance is not None:
        return  # an adapter, or a language model, is given neutral prompts where there are none
    if samples is None:
        if not evidence.problems:  # otherwise a problem says why, or the detectors that need samples were skipped
            message = "There is no record of clean samples in the evidence, and so no behaviour is believed."
            yield Finding(rule="samples", kind="silence", message=message)
        return
    if settings.sha256 is not None and samples.sha256 != settings.sha256 and not samples.overridden:
        yield _condition(
            rule="samples", message=f"The samples' sha256 is {samples.sha256}; the policy pins {settings.sha256}."
        )
    if samples.accuracy is None and (settings.min_accuracy is not None or settings.labels != "waived"):
        asks = "asks for a least accuracy on them" if settings.min_accuracy is not None else "does not waive them"
        message = (
            f"The clean samples have no labels, and the policy {asks}: without them nothing shows that the model is "
            "given what it expects. Add labels, or state 'samples: {labels: waived}' in the policy."
        )
        yield Finding(rule="samples", kind="condition", metric="accuracy", message=message)
    if samples.accuracy is None or evidence.facts.classes is None:
        return
    least, why = least_accuracy(settings, evidence.facts.classes)
    if samples.accuracy < least:
        cause = likely_cause(samples, evidence.facts.classes)
        usual = "" if cause else _USUAL_CAUSE[evidence.facts.space]
        yield Finding(
            rule="samples",
            kind="condition",
            metric="accuracy",
            value=samples.accuracy,
            message=f"{cause}{cause and ' '}The model gets {samples.accuracy:.1%} of the clean samples right, below "
            f"{why} ({least:.1%}).{usual} Nothing measured on these samples is believed.",
        )


def _condition(*, rule: str, message: str) -> Finding:
    return Finding(rule=rule, kind="condition", message=message)
