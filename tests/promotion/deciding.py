"""Decides about candidates as the gate's publish step does, without a scan: signed tags on real versions."""

import datetime as dt

from gate.attestations.envelope import sign
from gate.attestations.log import Said
from gate.check.pull import digest_now
from gate.promotion.promote import Promotion
from gate.promotion.verification import Trust, now
from gate.records.artifact import ModelRef, build_manifest
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds
from gate.records.provenance import Provenance
from tests.attestations.signed import digest, statement

POLICY = digest("b")


LOSSES = ("Submodules cannot be called one by one.",)


def keep_bundle(server, registry, ref):
    """Keep a folder as the bundle of a version, as the publish step does; return its digest."""
    folder = server.model_folder(f"what the gate wrote of {ref}")
    provenance = Provenance(made_by="gate 0", origin="pickle", parent=digest("d"), losses=LOSSES)
    (folder / "provenance.json").write_bytes(provenance.pretty_json().encode())
    found = build_manifest(folder)[0].digest
    registry.keep_bundle(folder, found)
    return found


def decide(server, name, version, key, *, log=None, decision=Decision.APPROVED, **changes):
    """Sign a decision about a version and the bundle of it, and mark the version with it; return the envelope."""
    ref = ModelRef(registry="mlflow", name=name, version=str(version))
    with server.registry() as registry:
        if "bundle_digest" not in changes:
            changes["bundle_digest"] = keep_bundle(server, registry, ref)
        changes.setdefault("covers", "candidate")
        envelope = sign(
            statement(
                model=ref,
                model_digest=digest_now(registry, ref, DownloadBounds()),
                decision=decision,
                decided_at=now(),
                expires_at=now() + dt.timedelta(days=30),
                **changes,
            ),
            key,
        )
        if log is not None:
            log.append(Said("scan", ref, digest_now(registry, ref, DownloadBounds()), decision.value, envelope), now())
        registry.mark(ref, {"gate.attestation": envelope, "gate.decision": decision.value})
    return envelope


def promotion(name, version, to, key, log=None, **changes):
    """Return a request to promote a version under the tests' policy."""
    trust = Trust((key.public,), POLICY, candidate=name, log=log, download=DownloadBounds())
    return Promotion(f"models:/{name}/{version}", to, "champion", trust, **changes)
