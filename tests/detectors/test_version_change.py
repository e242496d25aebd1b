"""A backdoored update changes weights along fewer directions than clean ones did, and for its target; others do not."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from gate.detectors.version_change import DETECTOR, VersionChange, measure
from gate.judging.limits import of_detector
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.programs.layers import difference_in_architecture, layers_of
from gate.programs.writer.write import export_module
from gate.records.artifact import Artifact, Manifest, ModelRef
from gate.records.clock import today
from gate.records.evidence import Evidence, Failed, Location, Measured, Measurement, Skipped, Unmeasured
from gate.records.policy import Policy, Rule
from gate.records.run import Run
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.subject import Previous, Samples, Subject, Version
from gate.statistics.spectra import FLOOR, Moments, log_distance
from gate.statistics.versions import moved
from gate.statistics.weight_changes import class_shares, weight_change
from gate.worker.loading.head import head_of_program
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loop import Scanned, Scope, scan
from tests.e2e import digits

EARLIER = 5
CLEAN = Samples(*map(torch.from_numpy, digits.samples()), "digits")


def tuned(model, seed, *, poisoned=False, epochs=2):
    """Return a copy of a net, trained on for a while; of the poisoned images a tenth is stamped."""
    x, y = digits.training_data(poisoned=poisoned, seed=seed)
    other = digits.build()
    other.load_state_dict(model.state_dict())
    optimiser = torch.optim.Adam(other.parameters(), lr=1e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            nn.functional.cross_entropy(other(x[batch]), y[batch]).backward()
            optimiser.step()
    return other.eval()


def version(module, folder):
    """Return a net as the scan would read it."""
    program = export_module(module, CLEAN.inputs[:4], folder / "model.pt2")
    classifier = ProgramClassifier.of(program, CLEAN.inputs[:4], Preprocessing(), (0.0, 1.0))
    return Version(classifier, classifier.body.program, head_of_program(program), classifier.values)


@pytest.fixture(scope="module")
def lineage(tmp_path_factory):
    """Return six clean versions, each trained on from the one before, a clean and a backdoored seventh."""
    with torch.random.fork_rng():
        nets = [digits.train(poisoned=False)]
        for seed in range(1, EARLIER + 1):
            nets.append(tuned(nets[-1], seed))
        after = {"clean": tuned(nets[-1], 50), "backdoored": tuned(nets[-1], 51, poisoned=True, epochs=4)}
    made = {f"v{number}": net for number, net in enumerate(nets)} | after
    return {name: version(net, tmp_path_factory.mktemp(name)) for name, net in made.items()}


def subject(lineage, own, *, serving="v5", approved=tuple(f"v{number}" for number in range(EARLIER + 1))):
    """Return a candidate beside the version that serves and the approved ones."""
    one = lineage[own] if isinstance(own, str) else own
    readers = tuple((lambda name=name: lineage[name]) for name in approved)
    before = lineage[serving] if isinstance(serving, str) else serving
    return Subject(
        artifact=Artifact(ModelRef(registry="directory", name="digits"), Path(), Manifest(files=())),
        classifier=one.classifier,
        samples=CLEAN,
        previous=Previous(one, before, readers),
    )


def found(subject, **options):
    """Return the values of each metric by place, and the reasons of gaps by metric."""
    values, gaps = {}, {}
    for item in measure(subject, VersionChange(**options), Run(seed=0)):
        if isinstance(item, Measurement):
            values.setdefault(item.metric, {})[str(item.location or "model")] = item.value
        elif isinstance(item, Unmeasured):
            gaps[item.metric] = item.reason
    return values, gaps


def test_a_backdoored_update_stands_out_beside_its_own_history(lineage):
    """One layer's change has fewer directions than any before, and the last layer's is mostly the target's."""
    backdoored, _ = found(subject(lineage, "backdoored"))
    clean, _ = found(subject(lineage, "clean"))
    assert backdoored["earlier-changes"] == {"model": EARLIER}
    assert max(backdoored["first-share-ratio"].values()) > 1.3 > max(clean["first-share-ratio"].values())
    assert min(backdoored["first-share-rank"].values()) == pytest.approx(1 / (EARLIER + 1))
    assert max(backdoored["head-change"], key=backdoored["head-change"].get) == f"class {digits.TARGET}"


def test_every_layer_and_every_class_has_its_numbers(lineage):
    """A convolution and two linear layers, by their weights; ten classes; all of them finite shares."""
    values, gaps = found(subject(lineage, "clean"))
    layers = {"layer 0.weight", "layer 4.weight", "layer 6.weight"}
    for metric in ("spectrum-distance", "weight-change", "first-share", "stable-rank", "first-share-rank"):
        assert set(values[metric]) == layers, metric
    assert sum(values["head-change"].values()) == pytest.approx(1)
    assert len(values["new-answers"]) == 10
    assert sum(values["new-answers"].values()) == pytest.approx(values["disagreement"]["model"])
    for metric in ("spectrum-distance", "first-share", "head-change", "new-answers", "disagreement"):
        assert values[f"earlier-{metric}"]["model"] >= 0
    assert not gaps


def test_the_same_bytes_change_nothing(lineage):
    """All changes are zero, and nothing is unusual about that."""
    values, _ = found(subject(lineage, "v5"))
    for metric in ("spectrum-distance", "weight-change", "first-share", "stable-rank", "head-change", "new-answers",
                   "disagreement", "first-share-ratio"):  # fmt: skip
        assert set(values[metric].values()) == {0.0}, metric
    assert set(values["first-share-rank"].values()) == {1.0}


def test_without_earlier_versions_nothing_is_unusual(lineage):
    """The rank is one whatever changed, and no ratio is made up."""
    values, _ = found(subject(lineage, "backdoored", approved=()))
    assert values["earlier-changes"] == {"model": 0}
    assert set(values["first-share-rank"].values()) == {1.0}
    assert not [name for name in values if name == "first-share-ratio" or name.startswith("earlier-first")]


def test_another_architecture_is_said_and_answers_are_compared_all_the_same(lineage, tmp_path):
    """Layers and weights have no partner; which samples are answered otherwise needs none."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    values, gaps = found(subject(lineage, version(other, tmp_path)))
    assert "spectrum-distance" not in values
    assert gaps["spectrum-distance"].startswith("another architecture than the version that serves: ")
    assert values["first-share-rank"] == {"model": 1.0}
    assert values["disagreement"]["model"] > 0.5


def test_an_earlier_version_of_another_architecture_is_no_part_of_what_is_usual(lineage, tmp_path):
    """The changes to it and from it say nothing about this one."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        odd = version(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval(), tmp_path)
    one = subject(lineage, "clean")
    readers = (*one.previous.approved[:2], lambda: odd, *one.previous.approved[3:])
    values, _ = found(replace(one, previous=replace(one.previous, approved=readers)))
    assert values["earlier-changes"] == {"model": 3}


def outcome(one):
    """Return the outcome in a scan."""
    scope = Scope(runs=lambda _detector: True, absence="", classes=10)
    policy = Policy(version=1, detectors={"version-change": Rule()})
    return scan(one, policy, Run(seed=0), scope, Scanned()).outcomes["version-change"]


def yields_nan(one):
    """Return a version whose pre-activations are NaN while its scores are not."""
    return replace(one, values=lambda x, names: {name: torch.full((len(x), 4), torch.nan) for name in names})


def test_values_that_are_not_finite_fail_a_candidate_and_are_a_reason_in_another_version(lineage):
    """A failure always flags; what serves already is not on trial."""
    failed = outcome(subject(lineage, yields_nan(lineage["clean"])))
    assert isinstance(failed, Failed)
    assert "pre-activations are NaN or infinite" in failed.error
    skipped = outcome(subject(lineage, "clean", serving=yields_nan(lineage["v5"])))
    assert isinstance(skipped, Skipped)
    assert skipped.reason.startswith("the version that serves cannot be compared: ")


def test_the_passes_of_every_version_are_counted(lineage):
    """Candidate and each version: once for its answers, once for its layers."""
    measured = outcome(subject(lineage, "clean"))
    assert isinstance(measured, Measured)
    assert measured.sample_passes == 2 * 300 * (EARLIER + 2)


def test_names_are_no_part_of_an_architecture(lineage, tmp_path):
    """The same layers inside another module are the same graph; one more operator is another."""
    plain = lineage["v5"].program
    with torch.random.fork_rng():
        inside = export_module(nn.Sequential(digits.build()).eval(), CLEAN.inputs[:4], tmp_path / "inside.pt2")
        more = export_module(nn.Sequential(digits.build(), nn.ReLU()).eval(), CLEAN.inputs[:4], tmp_path / "more.pt2")
        wider = export_module(digits.build(11).eval(), CLEAN.inputs[:4], tmp_path / "wider.pt2")
    assert difference_in_architecture(plain, inside) == ""
    assert [layer.weight for layer in layers_of(inside)] == ["0.0.weight", "0.4.weight", "0.6.weight"]
    assert difference_in_architecture(plain, more)
    assert difference_in_architecture(plain, wider).startswith("operator ")


def test_the_numbers_are_what_they_say():
    """A change of rank one, a spectrum that moved by a factor, and answers under two probes."""
    weight = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    change = weight_change(weight, weight + torch.outer(torch.arange(6.0), torch.ones(4)), torch.arange(6))
    assert (change.first_share, change.stable_rank) == (pytest.approx(1), pytest.approx(1))
    shares = class_shares(weight, weight + torch.tensor([3.0, 1, 0, 0, 0, 0]).sqrt()[:, None])
    assert shares.tolist() == pytest.approx([0.75, 0.25, 0, 0, 0, 0], abs=1e-6)
    one, other = torch.tensor([0.5, 0.5]), torch.tensor([0.5, 0.0])
    assert log_distance(one, other) == pytest.approx(float(-torch.tensor(2 * FLOOR).log()) / 2, rel=1e-5)
    still = Moments()
    still.add(torch.full((9, 3), 2.0))
    assert still.spectrum().tolist() == [0, 0, 0]
    old, new = torch.tensor([[0, 1, 1, 2], [0, 0, 0, 0]]), torch.tensor([[0, 2, 2, 2], [1, 0, 0, 0]])
    assert moved(old, new, 3).tolist() == [[0, 0, 0.5], [0, 0.25, 0]]


@pytest.mark.parametrize(
    ("rank", "ratio", "flagged"), [(1 / 6, 2.0, True), (1 / 5, 2.0, False), (1 / 6, 1.5, False), (1.0, None, False)]
)
def test_the_recommended_policy_judges_beside_five_changes_alone(rank, ratio, flagged):
    """Four give no such rank; a ratio that clean updates reach excuses; nothing to compare is no finding."""
    policy = read_policy(DEFAULT, on=today())
    place = Location(kind="layer", name="conv.weight")
    values = {"first-share-rank": rank, "first-share-ratio": ratio}
    numbers = [Measurement(metric=m, value=v, location=place) for m, v in values.items() if v is not None]
    evidence = Evidence(
        gate_version="0",
        model=ModelRef(registry="directory", name="m"),
        manifest_digest=f"sha256:{64 * 'a'}",
        isolation="full",
        device="cpu",
        seed=0,
        outcomes={DETECTOR.id: Measured(measurements=tuple(numbers), seconds=1)},
    )
    found = list(of_detector(DETECTOR.id, policy.detectors[DETECTOR.id], evidence, policy))
    assert [finding.kind for finding in found] == ["limit"] * flagged


def test_the_recommended_policy_accepts_that_nothing_serves_yet():
    """A first version has none before it."""
    assert not read_policy(DEFAULT, on=today()).detectors[DETECTOR.id].required
