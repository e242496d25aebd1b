"""Human review on a real server: who may decide about what, and what is left behind."""

import pytest

from gate.attestations.auditing import audit
from gate.attestations.log import ReviewLog
from gate.check.signing import Signing
from gate.promotion.promote import promote
from gate.promotion.review import NotReviewableError, Review, review
from gate.promotion.verification import Trust, now
from gate.promotion.waiting import look, waiting
from gate.records.errors import UsageError
from gate.records.finding import Decision
from gate.records.policy import DownloadBounds, Policy
from gate.registries.contract import Credentials
from tests.promotion.accounts import PASSWORD
from tests.promotion.deciding import decide, promotion


def rules(**changes):
    """Return a policy with reviewers."""
    return Policy(version=1, detectors={"unsafe-pickle": {}}, reviewers={"names": ["ann", "bob", "trainer"]} | changes)


class Case:
    """A flagged version and what a review of it needs."""

    def __init__(self, server, key, folder, policy=None, **changes):
        self.server, self.key, self.policy = server, key, policy or rules()
        self.log = ReviewLog(folder / "reviews.jsonl")
        self.name = server.candidate("weights")
        settings = {"decision": Decision.FLAGGED, "policy_digest": self.policy.digest} | changes
        decide(server, self.name, 1, key, log=self.log, **settings)

    def review(self, who, outcome="approved", **changes):
        """Let an account decide."""
        request = Review(
            **{
                "uri": f"models:/{self.name}/1",
                "outcome": outcome,
                "reason": "looked at the trigger",
                "days": 30,
                "policy": self.policy,
                "keys": (self.key.public,),
                "credentials": Credentials(who, PASSWORD),
            }
            | changes
        )
        with self.server.registry() as registry:
            return review(registry, request, Signing(self.key, self.log), now()).statement.predicate

    def tags(self):
        """Return the version's tags."""
        with self.server.account("gate") as client:
            return client.get_model_version(self.name, "1").tags


def test_an_approval_is_signed_dated_and_can_be_promoted(server, key, tmp_path):
    """The version waits in the list, a reviewer approves it, and promotion takes it until the approval expires."""
    case = Case(server, key, tmp_path)
    with server.registry() as registry:
        assert [w.state for w in waiting(registry, case.name, (key.public,))] == ["waiting"]
    said = case.review("ann")
    assert (said.decision, said.review.voices[0].reviewer) == (Decision.APPROVED, "ann")
    assert case.tags()["gate.decision"] == "approved"
    assert case.tags()["gate.review"].startswith("approved; ann: looked at the trigger; until ")
    request = promotion(case.name, 1, f"prod-{case.name}", key, case.log)
    request = type(request)(
        request.uri,
        request.to,
        request.alias,
        Trust((key.public,), case.policy.digest, case.name, case.log, download=DownloadBounds()),
    )
    with server.registry() as registry:
        assert promote(registry, request, now(), lambda _message: None).before is None
    assert audit(case.log, (key.public,)).faults == ()
    assert [entry.event for entry in case.log.read().entries] == ["scan", "review", "promotion"]


def test_four_eyes_are_two_people(server, key, tmp_path):
    """The first of two approvals leaves it flagged, the same person again too, and the second person approves."""
    case = Case(server, key, tmp_path, rules(approvals=2))
    assert case.review("ann").decision is Decision.FLAGGED
    assert case.review("ann").decision is Decision.FLAGGED
    assert case.tags()["gate.decision"] == "flagged"
    assert case.review("bob").decision is Decision.APPROVED


def test_a_rejection_stays_flagged(server, key, tmp_path):
    """The decision stays flagged, gate.review says rejected, and an approval by another does not undo it."""
    case = Case(server, key, tmp_path)
    case.review("bob", "rejected")
    assert case.tags()["gate.decision"] == "flagged"
    assert case.tags()["gate.review"].startswith("rejected; bob: ")
    assert case.review("ann").decision is Decision.FLAGGED
    with server.registry() as registry:
        assert look(registry, f"models:/{case.name}/1", (key.public,)).state == "rejected"


REFUSED = {
    "edits the candidate": ({"who": "trainer"}, "may not review its versions"),
    "is not on the list": ({"who": "gate"}, "none of the policy's reviewers"),
    "has another's password": ({"who": "ann", "credentials": Credentials("ann", "guess-of-a-word")}, "does not accept"),
    "only says a name": ({"who": "ann", "stated": "ann"}, "--reviewer is refused"),
    "gives no reason": ({"who": "ann", "reason": "  "}, "needs a reason"),
    "asks for ever": ({"who": "ann", "days": 999}, "the policy allows 1 to 90"),
}


def test_who_may_not_review_is_refused(server, key, tmp_path):
    """Whoever edits the candidate, is not on the list or is not who they say; nothing is signed or logged."""
    case = Case(server, key, tmp_path)
    before = case.tags()
    for changes, said in REFUSED.values():
        with pytest.raises(UsageError, match=said):
            case.review(**changes)
    assert case.tags() == before
    assert len(case.log.read().entries) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"assurance": "C"}, "level is C"),
        ({"assurance": None}, "level is none"),
        ({"covers": "bundle", "bundle_digest": None}, "none was written of it"),
        ({"policy_digest": "sha256:" + 64 * "9"}, "It was checked under"),
    ],
    ids=["level C", "not loaded", "no bundle", "another policy"],
)
def test_what_may_not_be_approved_is_refused(server, key, tmp_path, changes, said):
    """No reviewer approves what was not loaded or measured alive only, or was judged by another policy."""
    case = Case(server, key, tmp_path, **changes)
    with pytest.raises(NotReviewableError, match=said):
        case.review("ann")


def test_a_stated_reviewer_counts_where_the_policy_says_so(server, key, tmp_path):
    """With `identity: stated` the name comes from the command, and has to be on the list all the same."""
    case = Case(server, key, tmp_path, rules(identity="stated"))
    with pytest.raises(UsageError, match="none of the policy's reviewers"):
        case.review("ann", stated="mallory")
    assert case.review("gate", stated="ann").review.voices[0].reviewer == "ann"
