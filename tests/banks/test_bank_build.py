"""A bank is built from models that were measured alike, once each, and goes on where it was ended."""

import datetime as dt
import random
from types import SimpleNamespace

import numpy as np
import pytest
from click.testing import CliRunner

from gate.banks import build as bank_build
from gate.banks.assemble import measuring_policy
from gate.banks.build import BuildRequest, build, versions_of
from gate.banks.vetting import against_measured
from gate.check.evidence import ScanSettings, _accepted
from gate.check.scan import Scanned
from gate.cli.main import main
from gate.judging.judge import judge
from gate.policies.read import parse_policy
from gate.records.artifact import ModelRef
from gate.records.bank import ModelStatistics, open_bank
from gate.records.errors import UnexaminableError, UsageError
from gate.records.evidence import Evidence, Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.finding import Decision
from gate.records.policy import Rule
from gate.records.samples_evidence import SamplesEvidence
from gate.registries.directory import DirectoryRegistry

POLICY = parse_policy(
    """
version: 1
stages:
  - detectors: [unsafe-pickle]
  - detectors: [spectral-signature]
  - detectors: [neural-cleanse]
    suspects: [{detector: neural-cleanse, metric: size-ratio, min: 0.5}]
  - {detectors: [activation-clustering], over: suspects}
detectors:
  unsafe-pickle: {limits: {unsafe-globals: {max: 0}}}
  spectral-signature: {required: false}
  neural-cleanse: {options: {steps: 20}, limits: {size-ratio: {min: 0.3}}}
  activation-clustering: {}
""",
    name="policy.yml",
    on=dt.date(2026, 12, 1),
)

DAY = dt.date(2026, 12, 1)
MEASURING = measuring_policy(POLICY)
OTHER = Rule(options={"steps": 30})


def evidence(pulled, seed):
    """Return what a scan of a pulled model would have seen; of a backdoored one class 3 has a tenth of its size."""
    draw = random.Random(seed)
    sizes = []
    for k in range(10):
        ratio = 0.1 if "backdoored" in seed and k == 3 else 1.0
        values = {"size": ratio * draw.uniform(5, 9), "size-ratio": ratio}
        sizes += [Measurement(metric=m, value=v, location=Location.of_class(k)) for m, v in values.items()]
    return Evidence(
        gate_version="0",
        model=pulled.model,
        manifest_digest=pulled.digest,
        assurance="A",
        isolation="full",
        device="cpu",
        seed=0,
        facts=ModelFacts(classes=10, input_shape=(1, 8, 8)),
        samples=SamplesEvidence(source="s", sha256="c" * 64, count=10, classes_present=10, accuracy=0.9),
        outcomes={
            "neural-cleanse": Measured(measurements=tuple(sizes), seconds=1, options={"steps": 20}),
            "unsafe-pickle": Measured(measurements=(Measurement(metric="unsafe-globals", value=0),), seconds=1),
        },
    )


@pytest.fixture
def scans(monkeypatch):
    """Put a scan in the place of the workers, and return the models that it was asked for."""
    asked = []

    def scan(request, progress):
        name = request.pulled.model.name
        asked.append(name.rsplit("/", maxsplit=1)[-1])
        seen = evidence(request.pulled, name)
        bad = "broken" in name
        return Scanned(seen.model_copy(update={"problems": ("The worker was killed.",)}) if bad else seen)

    monkeypatch.setattr(bank_build, "scan", scan)
    return asked


@pytest.fixture
def models(tmp_path):
    """Return a function that writes model folders by name and returns them with their registry."""

    def write(*names):
        registry = DirectoryRegistry()
        for name in names:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / "model.pt2").write_bytes(name.removesuffix("-again").encode())
        return [(str(tmp_path / name), registry) for name in names]

    return write


def judged(folder, policy=None):
    """Write the verdict of a finished check beside its evidence, and return it."""
    verdict = judge(Evidence.from_file(folder / "evidence.json"), policy or MEASURING, on=DAY)
    (folder / "verdict.json").write_text(verdict.pretty_json())
    return verdict


def request(tmp_path, **changes):
    """Return what a build is asked for."""
    samples = tmp_path / "clean.npz"
    np.savez(samples, inputs=np.random.default_rng(0).random((4, 1, 8, 8), np.float32), labels=np.array([0, 0, 1, 1]))
    values = {"policy": POLICY, "samples": str(samples), "settings": ScanSettings(), "name": "digits"}
    return BuildRequest(**{**values, "to": tmp_path / "bank.json", "work": tmp_path / "work", **changes})


def run(models, tmp_path, *, folders=(), **changes):
    """Build, and return the bank and what was told."""
    told = []
    made = build(models, folders, request(tmp_path, **changes), lambda *_: None, told.append)
    return made, told


def test_a_bank_holds_what_was_measured_and_whence(scans, models, tmp_path):
    """Values, traits, digests, settings and references can be read again from the file, which `show` prints."""
    made, _ = run(models("a", "b", "c"), tmp_path, provenance="three runs of one recipe")
    opened = open_bank(tmp_path / "bank.json")
    assert opened.bank == made
    assert [statistic.metric for statistic in made.compared] == ["size"]
    assert len(made.statistics) == len(made.references) == 3
    assert set(made.settings) == {"neural-cleanse"}
    assert (made.samples.sha256, made.classes, made.seed) == ("c" * 64, 10, 0)
    assert all(model.traits == {"accuracy": 0.9} and model.manifest_digest for model in made.statistics)
    shown = CliRunner().invoke(main, ["bank", "show", str(tmp_path / "bank.json")])
    assert shown.exit_code == 0
    assert "digits: 3 models, 10 classes" in shown.output
    assert "three runs of one recipe" in shown.output
    assert opened.sha256 in shown.output


def test_a_model_measured_already_is_not_scanned_again(scans, models, tmp_path):
    """A build that was ended goes on where it was; other options are other measurements."""
    run(models("a", "b", "c"), tmp_path)
    made, told = run(models("a", "b", "c", "d"), tmp_path)
    assert scans == ["a", "b", "c", "d"]
    assert sum("was measured already by the same settings" in line for line in told) == 3
    assert len(made.references) == 4
    run(models("a", "b", "c"), tmp_path, settings=ScanSettings(seed=7))
    assert scans[4:] == ["a", "b", "c"]


def test_what_the_deadline_cut_off_is_measured_again(models, tmp_path, monkeypatch):
    """Under a longer deadline, which is no other setting; evidence that an earlier gate kept is not taken either."""
    asked = []

    def scan(request, progress):
        name, short = request.pulled.model.name, request.settings.deadline_seconds < 100
        asked.append((name.rsplit("/", maxsplit=1)[-1], short))
        seen = evidence(request.pulled, name)
        left_out = Skipped(reason="no time left", short_of_time=True, options={})
        return Scanned(
            seen.model_copy(update={"outcomes": {**seen.outcomes, "unsafe-pickle": left_out}}) if short else seen
        )

    monkeypatch.setattr(bank_build, "scan", scan)
    short, long = ScanSettings(deadline_seconds=60.0), ScanSettings(deadline_seconds=36000.0)
    _, told = run(models("a", "b"), tmp_path, settings=short, accept_flagged="for now")
    assert sum("had no time left for unsafe-pickle" in line for line in told) == 2
    assert not list((tmp_path / "work").glob("*/evidence.json"))
    made, told = run(models("a", "b"), tmp_path, settings=long)
    assert len(made.statistics) == 2
    kept = list((tmp_path / "work").glob("*/evidence.json"))
    assert len(kept) == 2
    seen = Evidence.from_file(kept[0])
    outcomes = {**seen.outcomes, "unsafe-pickle": Skipped(reason="no time left", short_of_time=True)}
    kept[0].write_text(seen.model_copy(update={"outcomes": outcomes}).pretty_json())
    run(models("a", "b"), tmp_path, settings=long)
    assert [one for one in asked if not one[1]][:2] == [("a", False), ("b", False)]
    assert len(asked) == 5
    assert "short_of_time" not in kept[0].read_text()


def test_what_the_policy_does_not_measure_everywhere_is_not_compared(scans, models, tmp_path):
    """A finished check of another policy measured more: no candidate of this one has it."""
    run(models("a", "b", "c"), tmp_path)
    folders = [path.parent for path in (tmp_path / "work").glob("*/evidence.json")]
    places = [Location.of_class(k) for k in range(10)]
    indicators = tuple(
        Measurement(metric=metric, value=1.0, location=place)
        for place in places
        for metric in ("indicator", "mean-lead")
    )
    more = {"head-indicators": Measured(measurements=indicators, seconds=1)}
    for folder in folders:
        seen = Evidence.from_file(folder / "evidence.json")
        (folder / "evidence.json").write_text(
            seen.model_copy(update={"outcomes": {**seen.outcomes, **more}}).pretty_json()
        )
        judged(folder)
    made, _ = run([], tmp_path, folders=folders, accept_flagged="of another policy")
    assert set(made.settings) == {one.detector for one in made.compared} == {"neural-cleanse"}
    assert all(set(model.values) == {"neural-cleanse"} for model in made.statistics)
    assert all(set(model.traits) == {"accuracy"} for model in made.statistics)
    suspects = POLICY.stages[3].model_copy(update={"detectors": ("activation-clustering", "head-indicators")})
    rules = {**POLICY.detectors, "head-indicators": Rule()}
    over_suspects = POLICY.model_copy(update={"stages": (*POLICY.stages[:3], suspects), "detectors": rules})
    made, _ = run([], tmp_path, folders=folders, accept_flagged="of another policy", policy=over_suspects)
    assert {one.detector for one in made.compared} == {"neural-cleanse"}


def test_a_model_that_cannot_be_measured_leaves_the_bank_unwritten(scans, models, tmp_path):
    """The error names it; the others are kept, and a broken scan is not."""
    with pytest.raises(UnexaminableError, match=r"1 of 3 models .*broken: The worker was killed") as caught:
        run(models("a", "broken", "c"), tmp_path)
    assert "Leave them out" in caught.value.what_to_do
    assert not (tmp_path / "bank.json").exists()
    with pytest.raises(UnexaminableError):
        run(models("a", "broken", "c"), tmp_path)
    assert scans == ["a", "broken", "c", "broken"]


def test_the_same_model_counts_once(scans, models, tmp_path):
    """Two names of the same bytes are one witness, and it is said."""
    made, told = run(models("a", "b", "a-again"), tmp_path)
    assert len(made.statistics) == 2
    assert any("is the same model as" in line for line in told)
    assert made.references == ()


def test_finished_checks_are_read_and_not_scanned(scans, models, tmp_path):
    """Their evidence must be of the same samples, seed and options."""
    run(models("a", "b", "c"), tmp_path)
    folders = [path.parent for path in (tmp_path / "work").glob("*/evidence.json")]
    for folder in folders:
        judged(folder)
    scans.clear()
    made, _ = run([], tmp_path, folders=folders)
    assert (len(made.statistics), scans) == (3, [])
    assert made.accepted == ()
    path = folders[0] / "evidence.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    judged(folders[0])
    with pytest.raises(UsageError, match=r"has another seed than .*: expected \d, got \d"):
        run([], tmp_path, folders=folders)
    path.write_text(path.read_text().replace('"steps": 20', '"steps": 30'))
    judged(folders[0], MEASURING.model_copy(update={"detectors": {**MEASURING.detectors, "neural-cleanse": OTHER}}))
    with pytest.raises(UsageError, match="by neural-cleanse with other options than the policy's"):
        run([], tmp_path, folders=folders)
    with pytest.raises(UsageError, match="there is no"):
        run([], tmp_path, folders=[tmp_path])
    with pytest.raises(UsageError, match="no model for the bank"):
        run([], tmp_path)


@pytest.fixture
def finished(scans, models, tmp_path):
    """Return the directories of finished checks: two clean models, and a backdoored one whose verdict is flagged."""
    run(models("a", "b", "backdoored"), tmp_path, accept_flagged="made for a test")
    found = {}
    for path in (tmp_path / "work").glob("*/evidence.json"):
        verdict = judged(path.parent)
        found["flagged" if verdict.decision is Decision.FLAGGED else str(verdict.model_digest)] = path.parent
    scans.clear()
    return found


def test_a_flagged_check_is_refused_without_a_reason(finished, tmp_path):
    """It names the folder, what the verdict found and what to do; nothing is written."""
    (tmp_path / "bank.json").unlink()
    with pytest.raises(UsageError) as caught:
        run([], tmp_path, folders=finished.values())
    assert str(finished["flagged"]) in str(caught.value)
    assert "it is flagged (neural-cleanse: size-ratio 0.1 at class 3; the limit is at least 0.3.)" in str(caught.value)
    assert '--accept-flagged "REASON"' in caught.value.what_to_do
    assert not (tmp_path / "bank.json").exists()


def test_a_reason_stands_in_the_bank_and_its_digest(finished, tmp_path):
    """With the model and what stood against it; `show` prints it, the report's evidence has it, another has another."""
    made, told = run([], tmp_path, folders=finished.values(), accept_flagged="trained here on data of our own")
    (one,) = made.accepted
    assert one.accepted == "trained here on data of our own"
    assert "size-ratio 0.1 at class 3" in one.against
    assert any("is taken into the bank though it is flagged" in line for line in told)
    assert sum(bool(model.accepted) for model in made.statistics) == 1
    shown = CliRunner().invoke(main, ["bank", "show", str(tmp_path / "bank.json")]).output
    assert f"accepted {one.model}, though it is flagged" in shown
    assert "trained here on data of our own" in shown
    first = open_bank(tmp_path / "bank.json").sha256
    run([], tmp_path, folders=finished.values(), accept_flagged="another reason")
    assert open_bank(tmp_path / "bank.json").sha256 != first
    (said,) = _accepted(made)
    assert said.endswith("trained here on data of our own")


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda folder: (folder / "verdict.json").unlink(), "it has no verdict"),
        (
            lambda folder: (folder / "evidence.json").write_text(
                (folder / "evidence.json").read_text().replace('"gate_version": "0"', '"gate_version": "1"')
            ),
            "its verdict is about other evidence",
        ),
    ],
)
def test_evidence_without_a_verdict_of_its_own_is_refused(finished, tmp_path, spoil, why):
    """An approval of something else is none."""
    folders = [folder for name, folder in finished.items() if name != "flagged"]
    spoil(folders[0])
    with pytest.raises(UsageError, match=why):
        run([], tmp_path, folders=folders)


def test_a_measured_model_that_a_limit_flags_is_refused(scans, models, tmp_path):
    """By the build's own judgement, as nobody else has judged it; the others are kept."""
    with pytest.raises(UnexaminableError, match=r"1 of 3 models are flagged.*size-ratio 0.1 at class 3") as caught:
        run(models("a", "backdoored", "c"), tmp_path)
    assert "--accept-flagged" in caught.value.what_to_do
    assert not (tmp_path / "bank.json").exists()
    made, _ = run(models("a", "backdoored", "c"), tmp_path, accept_flagged="a known odd one")
    assert [one.accepted for one in made.accepted] == ["a known odd one"]
    assert scans == ["a", "backdoored", "c"]


@pytest.mark.parametrize(
    ("tags", "policy", "why"),
    [
        ({}, POLICY, ""),
        ({"gate.decision": "approved"}, POLICY, ""),
        ({"gate.decision": "flagged"}, POLICY, "the registry has it flagged"),
        ({"gate.decision": "flagged"}, POLICY.model_copy(update={"uncalibrated": "flag"}), ""),
        ({"gate.review": "rejected; ann: odd; until 2027-01-01"}, POLICY, "a reviewer rejected it"),
        ({"gate.review": "approved; ann: seen; until 2027-01-01", "gate.decision": "approved"}, POLICY, ""),
    ],
)
def test_tags_can_only_speak_against_a_model(tags, policy, why):
    """Flagged for want of a bank is no reason against a model that is to be in the first one."""
    pulled = SimpleNamespace(model=ModelRef(registry="directory", name="a", version=None), digest=f"sha256:{'1' * 64}")
    found = against_measured(evidence(pulled, "a"), measuring_policy(policy), tags, DAY)
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_an_earlier_bank_still_loads_and_a_reason_without_cause_does_not():
    """Two keys more, left out where nothing stood against a model."""
    one = ModelStatistics(model="m")
    assert not {"against", "accepted"} & set(one.model_dump())
    with pytest.raises(ValueError, match="in a bank with a reason, and no other has one"):
        ModelStatistics(model="m", accepted="because")


def test_what_looks_at_suspects_or_training_sets_is_left_out():
    """It sees other things in every model."""
    policy = measuring_policy(POLICY)
    assert [stage.detectors for stage in policy.plan()] == [("unsafe-pickle",), ("neural-cleanse",)]
    assert list(policy.detectors) == ["unsafe-pickle", "neural-cleanse"]


class Versions:
    """A registry of three versions, one of them approved."""

    def versions(self, name):
        """Return them."""
        tags = [{}, {"gate.decision": "approved"}, {"gate.decision": "flagged"}]
        return tuple((ModelRef(registry="mlflow", name=name, version=str(n)), t) for n, t in enumerate(tags, start=1))


def test_versions_are_chosen_by_the_tag_of_approval():
    """All, or those that were approved; none is an error that says how many there are."""
    assert versions_of(Versions(), "m", approved_only=False) == ["models:/m/1", "models:/m/2", "models:/m/3"]
    assert versions_of(Versions(), "m", approved_only=True) == ["models:/m/2"]
    nothing = Versions()
    nothing.versions = lambda name: ()
    with pytest.raises(UsageError, match="has no version that is tagged approved; it has 0 in all"):
        versions_of(nothing, "m", approved_only=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no model was named"),
        (["--approved-only"], "none is named"),
        (["--model", "models:/m/1"], "no registry is known"),
        (["--samples", "nowhere.npz"], "there are no samples at nowhere.npz"),
        (["--accept-flagged", " "], "--accept-flagged needs a reason"),
    ],
)
def test_wrong_use_is_said_before_anything_is_pulled(arguments, message, tmp_path, monkeypatch):
    """Each is one usage error."""
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("gate.jail.launch.protect_parent", lambda: None)
    monkeypatch.setattr("gate.cli.main.stop_on_termination", lambda: None)
    ended = CliRunner().invoke(main, ["bank", "build", "--to", str(tmp_path / "b.json"), *arguments])
    assert isinstance(ended.exception, UsageError)
    assert message in str(ended.exception)
    assert not (tmp_path / "b.json").exists()
