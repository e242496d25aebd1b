"""Models whose behaviour no detector examines: the gate judges their bytes, and a person decides.

Under a policy for files alone the gate approves nothing: one finding, which no waiver covers, states that behaviour was
not examined, and a named reviewer may approve where it is the only one. Under any other policy such a model is flagged
by one finding, which names the policy for files.
"""

import shlex
from collections.abc import Iterator, Sequence

from gate.records.evidence import Evidence
from gate.records.facts import ADAPTER, BESIDE_BASE, EXAMINED_FLAVOURS, PIPELINES
from gate.records.finding import BEHAVIOUR, Finding
from gate.records.policy import Policy


def of_behaviour(evidence: Evidence, policy: Policy, against: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the one finding of a policy for files alone; `against` are the findings on the bytes."""
    if not policy.files_only:
        return
    if against:
        message = (
            "Behaviour was not examined, since the policy judges the bytes alone, and these are not what it allows: "
            "nobody can approve this version as it is."
        )
    else:
        message = (
            f"Behaviour was not examined; the bytes passed. {_decides(evidence, policy)}. `gate promote` copies "
            "bundles, and none was written: an approved version is used as it lies, and `gate verify` knows its bytes."
        )
    if evidence.facts.flavour in {*EXAMINED_FLAVOURS, PIPELINES}:
        message += " Models of this flavour can be examined: `--policy default`."
    yield Finding(rule=BEHAVIOUR, kind="condition", message=message)


def _decides(evidence: Evidence, policy: Policy) -> str:
    if policy.reviewers is None:
        return (
            "A named reviewer decides, and the policy names none: add `reviewers: {names: [NAME]}` to a copy of it and "
            "check again under that"
        )
    if evidence.model.version is None:
        return "A named reviewer decides, once it is a registered version that was checked"
    return f"A named reviewer decides: `gate review approve {shlex.quote(str(evidence.model))} --reason TEXT`"


def of_flavour(evidence: Evidence) -> Iterator[Finding]:
    """Yield the one finding on a flavour that no detector examines, under a policy that asks for more than bytes."""
    named = evidence.facts.flavour[:100]
    mark = "" if evidence.model.version else " --no-mark"
    uri = shlex.quote(evidence.model.uri)
    if policy := BESIDE_BASE.get(evidence.facts.flavour):
        kind = "an adapter of low rank" if policy == ADAPTER else "a whole language model"
        message = (
            f"It is {kind}, which this policy does not examine; another compares its files and weights with its base "
            f"and a bank: `gate check {uri} --policy {policy} --base models:/BASE/VERSION{mark}`."
        )
        yield Finding(rule=BEHAVIOUR, kind="condition", message=message)
        return
    yield Finding(
        rule=BEHAVIOUR,
        kind="condition",
        message=f"Behaviour was not examined: no detector of this gate examines models of the flavour {named}, only of "
        f"{', '.join(EXAMINED_FLAVOURS)}, and classifiers of images and texts of {PIPELINES}. To have the bytes judged "
        "and a named reviewer decide: "
        f"`gate check {uri} --policy files-only{mark}`.",
    )
