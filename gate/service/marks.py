"""Signed marks of finished checks that somebody removed, forged or exchanged: the review log's decision is put back.

Whoever may change a candidate may set its tags. What was signed stands in the log, so that a mark that was only taken
off hides nothing from reviewers; who wants to withdraw an approval rejects it.
"""

import datetime as dt
from collections.abc import Mapping, Sequence

from gate.attestations.envelope import open_envelope
from gate.attestations.keys import PublicKey
from gate.attestations.log import ReviewLog
from gate.attestations.statement import Predicate
from gate.check.publish import decision_tags
from gate.promotion.verification import ATTESTATION_TAG
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, GateError
from gate.registries.contract import Registry
from gate.service.alerts import Alerts
from gate.service.settings import Settings

_DECISION_TAG = "gate.decision"


class Marks:
    """Holds versions' tags against what was signed, and puts back what is not there any more."""

    def __init__(self, settings: Settings, registry: Registry, keys: Sequence[PublicKey], alerts: Alerts) -> None:
        self._settings, self._registry, self._keys, self._alerts = settings, registry, keys, alerts

    def standing(self, ref: ModelRef, tags: Mapping[str, str], policy: str) -> Predicate | None:
        """Return the trusted decision under a policy that a version's tag holds; None without one."""
        return self._trusted(ref, tags.get(ATTESTATION_TAG, ""), policy)

    def shown(self, tags: Mapping[str, str], said: Predicate) -> bool:
        """Tell whether the tag by which lists go says what was signed."""
        return tags.get(_DECISION_TAG) == said.decision.value

    def put_back(self, ref: ModelRef, digest: str, policy: str) -> None:
        """Put a finished check's decision back where it does not stand, or is not shown; tell of it, or why not.

        `digest` is that of the bytes that were checked. The newest decision about them is put back, a review's too.
        """
        try:
            # Looked at again: whoever is publishing at this moment writes one tag after the other.
            tags = self._registry.facts(ref).tags
            said = self.standing(ref, tags, policy)
            if said is not None and self.shown(tags, said):
                return
            new = {_DECISION_TAG: said.decision.value} if said else self._logged(ref, digest, policy)
            self._registry.mark(ref, new)
        except GateError as error:
            self._alerts.send("mark-not-put-back", model=str(ref), why=error.sentence[:500])
            return
        found = open_envelope(tags.get(ATTESTATION_TAG, ""), self._keys).reasons
        why = " ".join(found) or ("Its tags showed another decision." if said else "Another decision stood on it.")
        self._alerts.send("mark-put-back", model=str(ref), decision=new[_DECISION_TAG], why=why[:500])

    def _trusted(self, ref: ModelRef, envelope: str, policy: str) -> Predicate | None:
        statement = open_envelope(envelope, self._keys).statement
        said = statement.predicate if statement else None
        return said if said is not None and (said.model, said.policy_digest) == (ref, policy) else None

    def _logged(self, ref: ModelRef, digest: str, policy: str) -> dict[str, str]:
        """Return the tags of the log's newest decision about these bytes, the decision last."""
        entry = ReviewLog(self._settings.audit_log).newest(ref, digest)
        said = self._trusted(ref, entry.envelope, policy) if entry else None
        if entry is None or said is None:
            held = "another policy or key" if entry else "no decision"
            raise CannotFinishError(
                f"{ref} was checked and has no trusted decision under today's policy; the review log holds {held}",
                what_to_do="Decide it anew with `gate check`.",
            )
        return {
            **decision_tags(said),
            "gate.checked_at": f"{said.scan_time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}",
            ATTESTATION_TAG: entry.envelope,
            _DECISION_TAG: said.decision.value,
        }
