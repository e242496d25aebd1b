"""Evidence of a scan by a small policy, with outcomes of every kind."""

from gate.judging.judge import judge
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.bank_evidence import BankEvidence
from gate.records.comparison import Comparison, PlaceScore, Surprise
from gate.records.evidence import Evidence, Failed, Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule, Stage, SuspectRule
from gate.records.samples_evidence import SamplesEvidence
from tests.attestations.signed import MODEL, NOW, digest

DAY = NOW.date()
SUSPECT = Location.of_class(7)
RULES = Policy(
    version=1,
    name="small",
    stages=(
        Stage(
            detectors=("unsafe-pickle", "neural-cleanse", "head-indicators", "version-change"),
            suspects=(SuspectRule(detector="neural-cleanse", metric="anomaly-index", max=2.0),),
        ),
        Stage(detectors=("activation-clustering", "model-inversion"), over="suspects"),
    ),
    detectors={
        "unsafe-pickle": Rule(limits={"unsafe-globals": Limit(max=0)}),
        "neural-cleanse": Rule(limits={"anomaly-index": Limit(max={8: 4.2, 20: 3.6}), "size-ratio": Limit(min=0.3)}),
        "head-indicators": Rule(required=False),
        "version-change": Rule(required=False),
        "activation-clustering": Rule(limits={"silhouette": Limit(max=0.6)}),
        "model-inversion": Rule(),
    },
    valid_days=30,
)


def sizes(index=7.0, ratio=0.4):
    """Return sizes of ten classes, of which the seventh stands out."""
    rows = [Measurement(metric="anomaly-index", value=0.5, location=Location.of_class(k)) for k in range(10) if k != 7]
    rows += [Measurement(metric="anomaly-index", value=index, location=SUSPECT)]
    rows += [Measurement(metric="size-ratio", value=1.0, location=Location.of_class(k)) for k in range(10) if k != 7]
    rows += [Measurement(metric="size-ratio", value=ratio, location=SUSPECT)]
    rows += [Measurement(metric="searched-share", value=0.4)]
    return Measured(measurements=tuple(rows), seconds=9.0, sample_passes=12_000)


def outcomes(**changes):
    """Return an outcome of every kind, by detector, with changes by name with underscores."""
    found = {
        "unsafe-pickle": Measured(measurements=(Measurement(metric="unsafe-globals", value=0.0),), seconds=0.1),
        "neural-cleanse": sizes(),
        "head-indicators": Skipped(reason="the last layer is not linear"),
        "activation-clustering": Measured(
            measurements=(Measurement(metric="silhouette", value=0.2, location=SUSPECT),), seconds=1.0
        ),
        "model-inversion": Failed(error="the worker was ended", seconds=3.0),
    }
    named = {name.replace("_", "-"): outcome for name, outcome in changes.items()}
    return {name: outcome for name, outcome in (found | named).items() if outcome is not None}


def evidence(**changes):
    """Return evidence about `MODEL` of ten classes, with changes."""
    values = {
        "gate_version": "0",
        "model": MODEL,
        "manifest_digest": digest("a"),
        "policy_digest": RULES.digest,
        "assurance": "A",
        "isolation": "full",
        "device": "cpu",
        "seed": 0,
        "facts": ModelFacts(flavour="pytorch", classes=10, input_shape=(1, 28, 28)),
        "samples": SamplesEvidence(source="clean.npz", sha256=64 * "d", count=90, classes_present=10, accuracy=0.9),
        "outcomes": outcomes(),
        "begun_at": NOW,
    }
    return Evidence.model_validate({**values, **changes})


def beside_bank(score=0.1, bank_scores=range(24, 0, -1), **changes):
    """Return a bank of 24 models in whose comparison the size of class 7 is the first place."""
    place = Surprise(detector="neural-cleanse", metric="size", kind="class", name="7", surprise=score)
    seen = Comparison(
        kind="per-class",
        score=score,
        bank_scores=tuple(map(float, bank_scores)),
        places=(PlaceScore(kind="class", name="7", score=score, because=(place,)),),
        detectors=("neural-cleanse",),
        **changes,
    )
    return BankEvidence(digest=digest("d"), count=24, same_task=True, comparison=seen)


def default_policy():
    """Return the packaged default policy."""
    return read_policy(DEFAULT, on=DAY)


def verdict(found, policy=RULES):
    """Judge evidence on the day of these tests."""
    return judge(found, policy, on=DAY)
