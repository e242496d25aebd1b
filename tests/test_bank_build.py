"""A bank is built from models that were measured alike, once each, and goes on where it was ended."""

import datetime as dt
import random

import pytest
from click.testing import CliRunner

from gate import bank_build
from gate.artifact import ModelRef
from gate.bank import open_bank
from gate.bank_build import BuildRequest, build, measuring_policy, versions_of
from gate.cli.main import main
from gate.errors import UnexaminableError, UsageError
from gate.evidence import Evidence, Location, Measured, Measurement, ModelFacts, SamplesEvidence, Skipped
from gate.pipeline import Scanned
from gate.policy_file import parse_policy
from gate.registries.directory import DirectoryRegistry
from gate.scan_evidence import ScanSettings

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
  unsafe-pickle: {}
  spectral-signature: {required: false}
  neural-cleanse: {options: {steps: 20}}
  activation-clustering: {}
""",
    name="policy.yml",
    on=dt.date(2026, 12, 1),
)


def evidence(pulled, seed):
    """Return what a scan of a pulled model would have seen."""
    draw = random.Random(seed)
    sizes = [Measurement(metric="size", value=draw.uniform(5, 9), location=Location.of_class(k)) for k in range(10)]
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
            "unsafe-pickle": Skipped(reason="x"),
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


def request(tmp_path, **changes):
    """Return what a build is asked for."""
    values = {"policy": POLICY, "samples": None, "settings": ScanSettings(), "name": "digits"}
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
    scans.clear()
    made, _ = run([], tmp_path, folders=folders)
    assert (len(made.statistics), scans) == (3, [])
    path = folders[0] / "evidence.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(UsageError, match=r"has another seed than .*: expected \d, got \d"):
        run([], tmp_path, folders=folders)
    path.write_text(path.read_text().replace('"steps": 20', '"steps": 30'))
    with pytest.raises(UsageError, match="by neural-cleanse with other options than the policy's"):
        run([], tmp_path, folders=folders)
    with pytest.raises(UsageError, match="there is no"):
        run([], tmp_path, folders=[tmp_path])
    with pytest.raises(UsageError, match="no model for the bank"):
        run([], tmp_path)


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
    ],
)
def test_wrong_use_is_said_before_anything_is_pulled(arguments, message, tmp_path, monkeypatch):
    """Each is one usage error."""
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("gate.jail.launch.protect_parent", lambda: None)
    monkeypatch.setattr("gate.cli.bank.stop_on_termination", lambda: None)
    ended = CliRunner().invoke(main, ["bank", "build", "--to", str(tmp_path / "b.json"), *arguments])
    assert isinstance(ended.exception, UsageError)
    assert message in str(ended.exception)
    assert not (tmp_path / "b.json").exists()
