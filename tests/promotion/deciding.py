"""Decides about candidates as the gate's publish step does, without a scan: signed tags on real versions."""

import datetime as dt

from gate.artifact import ModelRef
from gate.decisions import sign
from gate.decisions.log import Said
from gate.promotion.promote import Promotion
from gate.promotion.verification import Trust, now
from gate.pulling import digest_now
from gate.verdict import Decision
from tests.decisions.signed import digest, statement

POLICY = digest("b")


def decide(server, name, version, key, *, log=None, decision=Decision.APPROVED, **changes):
    """Sign a decision about a version's bytes and mark the version with it; return the envelope."""
    ref = ModelRef(registry="mlflow", name=name, version=str(version))
    with server.registry() as registry:
        envelope = sign(
            statement(
                model=ref,
                model_digest=digest_now(registry, ref),
                decision=decision,
                decided_at=now(),
                expires_at=now() + dt.timedelta(days=30),
                **changes,
            ),
            key,
        )
        if log is not None:
            log.append(Said("scan", ref, digest_now(registry, ref), decision.value, envelope), now())
        registry.mark(ref, {"gate.attestation": envelope, "gate.decision": decision.value})
    return envelope


def promotion(name, version, to, key, log=None, **changes):
    """Return a request to promote a version under the tests' policy."""
    trust = Trust((key.public,), POLICY, candidate=name, log=log)
    return Promotion(f"models:/{name}/{version}", to, "champion", trust, **changes)
