"""A zoo of made-up models and a scan that takes no time, so that the harness is tested without either."""

from dataclasses import dataclass, field

from benchmarks.zoo.recipe import draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.store import Entry, Files
from gate.judging.stages import suspects_after
from gate.policies.packaged import DEFAULT
from gate.records.artifact import ModelRef
from gate.records.evidence import Evidence, Location, Measured, Measurement, Picture, Skipped
from gate.records.facts import ModelFacts
from gate.records.samples_evidence import SamplesEvidence

HEX = "0" * 64
POLICY = DEFAULT
BEHAVIOUR = frozenset({"neural-cleanse", "activation-clustering"})


def put_model(store, number, facts=None):
    """Record a model for a row of the splits, as if it had been made."""
    recipe = draw(rows()[number])
    attacked = recipe.row.attack != "clean"
    entry = Entry(
        name=recipe.row.name,
        key=recipe.key,
        recipe=recipe,
        facts=facts if facts is not None else {"targets": [3]} if attacked else {},
        parameters=10,
        clean_accuracy=0.95,
        attack_success=0.99 if attacked else None,
        counts=True,
        weights_digest=HEX,
        files=Files(exported=store.put(f"program {number}".encode(), ".pt2"), weights=HEX),
        seconds=1.0,
        versions={"torch": "2"},
    )
    store.add(entry)
    samples = store.samples_path(recipe.row.task)
    samples.parent.mkdir(parents=True, exist_ok=True)
    samples.write_bytes(recipe.row.task.encode())
    return entry


@dataclass
class QuickScan:
    """A scan by formula: a small trigger where the recipe planted one, and a picture."""

    calls: list = field(default_factory=list)
    dies_at: int | None = None

    def __call__(self, entry, policy, conditions):
        """Return evidence for exactly the detectors of the policy."""
        if len(self.calls) == self.dies_at:
            raise KeyboardInterrupt
        self.calls.append((entry.name, frozenset(policy.detectors)))
        outcomes = {}
        for name in policy.detectors:
            found = suspects_after(policy, len(policy.plan()) - 1, outcomes, conditions.classes)
            options = dict(policy.options_of(name))
            outcomes[name] = self._outcome(name, entry, conditions.classes, found, options)
        return Evidence(
            gate_version="0",
            model=ModelRef(registry="directory", name=f"zoo/{entry.name}"),
            manifest_digest=conditions.manifest_digest,
            assurance="A",
            isolation="full (made up)",
            device="cpu",
            seed=conditions.seed,
            facts=ModelFacts(classes=conditions.classes),
            samples=SamplesEvidence(
                source="zoo", sha256=conditions.samples_sha256, count=100, classes_present=10, accuracy=1 / 1.1
            ),
            outcomes=outcomes,
            pictures=(Picture(role="mask", height=1, width=1, channels=1, pixels="AA=="),),
            seconds={"scan": 0.125},
        )

    def _outcome(self, name, entry, classes, suspects, options):
        if name == "activation-clustering":
            if not suspects:
                return Skipped(reason="no suspects: no class or pair was named by an earlier stage", options=options)
            measured = [
                Measurement(metric="silhouette", value=1 / 7, location=suspect.location, note="made up")
                for suspect in suspects
            ]
            return Measured(measurements=tuple(measured), seconds=0.5, sample_passes=50, options=options)
        small = set(entry.facts.get("targets", ()))
        measured = []
        for target in range(classes):
            ratio = 0.1 if target in small else 1 + target / 70
            values = {"size": 30 * ratio, "size-ratio": ratio, "anomaly-index": 9.0 if target in small else 1 / 3}
            location = Location.of_class(target)
            measured += [Measurement(metric=metric, value=value, location=location) for metric, value in values.items()]
        measured.append(Measurement(metric="searched-share", value=1.0))
        if name == "neural-cleanse":
            measured.append(Measurement(metric="untargeted-ratio", value=2.0))
            measured.append(Measurement(metric="exit-ratio", value=0.5, location=Location.of_pair(0, 1)))
        return Measured(measurements=tuple(measured), seconds=1.25, sample_passes=6400, options=options)
