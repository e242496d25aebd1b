"""A backdoored update changes weights along fewer directions than clean ones did, and for its target; others do not."""

from dataclasses import replace
from math import log
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
from gate.spaces.image.probes import names
from gate.spaces.subject import Previous, Samples, Subject, Version
from gate.statistics.probe_gains import Probes, gains, least_gain
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


def test_probes_newly_go_to_the_target_of_a_backdoored_update(lineage):
    """More than in any change before it, by the class where most is gained; in a clean update no more than before."""
    backdoored, _ = found(subject(lineage, "backdoored"))
    clean, _ = found(subject(lineage, "clean"))
    target = f"class {digits.TARGET}"
    assert max(backdoored["probe-gain"], key=backdoored["probe-gain"].get) == target
    assert backdoored["probe-gain-rank"][target] == pytest.approx(1 / (EARLIER + 1))
    assert backdoored["probe-gain-ratio"][target] > 1.2 > max(clean["probe-gain-ratio"].values())
    assert set(backdoored["probe-gain-rank"]) == set(backdoored["probe-gain"])


def test_a_gain_names_its_probe_and_what_it_does(lineage):
    """With the shares of other classes' samples, now and before."""
    items = measure(subject(lineage, "backdoored"), VersionChange(), Run(seed=0))
    gains = [item for item in items if isinstance(item, Measurement) and item.metric == "probe-gain"]
    note = max(gains, key=lambda item: item.value).note
    name, _, what = note.partition(": sends ")
    assert name in names((1, 8, 8))
    assert "% of other classes' samples there, " in what
    assert what.endswith("% before")


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
                   "disagreement", "first-share-ratio", "probe-gain", "probe-gain-ratio"):  # fmt: skip
        assert set(values[metric].values()) == {0.0}, metric
    assert set(values["first-share-rank"].values()) == set(values["probe-gain-rank"].values()) == {1.0}


@pytest.mark.parametrize("approved", [0, 3, EARLIER + 1])
def test_a_rank_says_how_low_it_could_have_been(lineage, approved):
    """Among so many changes; without any, and for another architecture, nothing but one."""
    names = tuple(f"v{number}" for number in range(EARLIER + 1))[EARLIER + 1 - approved :]
    items = list(measure(subject(lineage, "clean", approved=names), VersionChange(), Run(seed=0)))
    (changes,) = [item.value for item in items if isinstance(item, Measurement) and item.metric == "earlier-changes"]
    kinds = ("first-share-rank", "probe-gain-rank")
    ranks = [item for item in items if isinstance(item, Measurement) and item.metric in kinds]
    assert {item.reach for item in ranks} == {1 / (1 + changes)}
    assert all(item.value >= item.reach for item in ranks)


def test_without_earlier_versions_nothing_is_unusual(lineage):
    """The rank is one whatever changed, and no ratio is made up."""
    values, _ = found(subject(lineage, "backdoored", approved=()))
    assert values["earlier-changes"] == {"model": 0}
    assert set(values["first-share-rank"].values()) == set(values["probe-gain-rank"].values()) == {1.0}
    assert not {"first-share-ratio", "earlier-first-share", "probe-gain-ratio", "earlier-probe-gain"} & set(values)
    assert max(values["probe-gain"].values()) > 0


def test_another_architecture_is_said_and_answers_are_compared_all_the_same(lineage, tmp_path):
    """Layers and weights have no partner; which samples are answered otherwise needs none."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        other = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).eval()
    values, gaps = found(subject(lineage, version(other, tmp_path)))
    assert "spectrum-distance" not in values
    assert gaps["spectrum-distance"].startswith("another architecture than the version that serves: ")
    assert values["first-share-rank"] == values["probe-gain-rank"] == {"model": 1.0}
    assert max(values["probe-gain"].values()) > 0
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


def test_no_probe_is_applied_to_images_that_are_too_small(lineage, monkeypatch):
    """A patch would be the whole image; the reason stands in the evidence, and nothing is unusual."""
    monkeypatch.setattr("gate.detectors.version_change.LEAST_SIDE", 9)
    values, gaps = found(subject(lineage, "backdoored"))
    assert values["probe-gain-rank"] == {"model": 1.0}
    assert gaps == {"probe-gain": "images are smaller than 9 × 9; no probe would be small there"}
    assert "probe-gain" not in values


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
    """Candidate and each version: once for its answers, once for its layers, and each fifth probe on thirty samples."""
    measured = outcome(subject(lineage, "clean"))
    assert isinstance(measured, Measured)
    probes = len(names((1, 8, 8))[::5])
    assert measured.sample_passes == (2 * 300 + 30 * probes) * (EARLIER + 2)


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
    assert moved(torch.tensor([0, 1, 1, 2]), torch.tensor([0, 2, 2, 2]), 3).tolist() == [0, 0, 0.5]


def probes(groups, labels=(0, 0, 1, 1, 2, 2)):
    """Return probes of these groups that are never applied, on six samples."""
    samples = Samples(torch.zeros(6, 1, 8, 8), None if labels is None else torch.tensor(labels), "made up")
    return Probes(samples, tuple((lambda x: x) for _ in groups), groups)


def test_samples_of_a_class_are_no_gain_of_it():
    """Only others' count, in numerator and denominator; without labels all do."""
    answers = torch.tensor([[0, 0, 0, 0, 2, 0]])
    assert probes(("patch",)).counts(answers, 3).tolist() == [[3, 0, 0]]
    assert probes(("patch",)).others(3).tolist() == [4, 4, 4]
    assert probes(("patch",), None).counts(answers, 3).tolist() == [[5, 0, 1]]
    assert probes(("patch",), None).others(3).tolist() == [6, 6, 6]


def test_a_gain_is_the_mean_of_the_greatest_three_of_the_group_where_it_is_most():
    """By Haldane's log-odds; a loss is no gain, and probes that are missing are none."""
    asked = probes(("patch", "patch", "overlay", "overlay", "overlay", "overlay"))
    old = torch.tensor([[0, 4, 0], [0, 0, 0], [0, 0, 0], [1, 0, 0], [0, 0, 0], [0, 0, 0]])
    new = torch.tensor([[4, 0, 0], [0, 0, 0], [2, 0, 0], [4, 0, 0], [4, 0, 0], [1, 0, 0]])
    most, lost, still = gains(old, new, asked)

    def odds(count):
        return log((count + 0.5) / (4 - count + 0.5))

    risen = sorted((odds(2) - odds(0), odds(4) - odds(1), odds(4) - odds(0), odds(1) - odds(0)))
    assert most.value == pytest.approx(sum(risen[1:]) / 3)
    assert (most.probe, most.before, most.after) == (4, 0.0, 1.0)
    assert lost.value == still.value == 0
    assert least_gain(asked) == pytest.approx(log(1.5 / 5.5) - log(0.5 / 6.5))


@pytest.mark.parametrize(
    ("kind", "rank", "ratio", "flagged"),
    [
        ("first-share", 1 / 6, 2.0, True),
        ("first-share", 1 / 5, 2.0, False),
        ("first-share", 1 / 6, 1.5, False),
        ("first-share", 1.0, None, False),
        ("probe-gain", 1 / 6, 2.0, True),
        ("probe-gain", 1 / 5, 2.0, False),
        ("probe-gain", 1 / 6, 1.1, False),
        ("probe-gain", 1.0, None, False),
    ],
)
def test_the_recommended_policy_judges_beside_five_changes_alone(kind, rank, ratio, flagged):
    """Four give no such rank; a ratio that clean updates reach excuses; nothing to compare is no finding."""
    policy = read_policy(DEFAULT, on=today())
    place = Location(kind="layer", name="conv.weight") if kind == "first-share" else Location.of_class(1)
    other = "probe-gain-rank" if kind == "first-share" else "first-share-rank"
    values = {f"{kind}-rank": rank, f"{kind}-ratio": ratio, other: 1.0}
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
