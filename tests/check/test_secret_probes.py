"""The seed of secret probes in a check: who is given it, what is believed, and that no file tells it."""

import json
from contextlib import nullcontext

import pytest

from gate.check.check import CheckRequest, check
from gate.check.evidence import HashedFolder, ScanRequest, ScanSettings
from gate.check.files import Pulled
from gate.check.resume import Unfinished
from gate.check.rules import Rules
from gate.check.worker_results import read_saved
from gate.check.workers import Workers
from gate.policies.packaged import DEFAULT
from gate.records.artifact import Manifest, ModelRef
from gate.records.counts import Counts
from gate.records.evidence import Measured
from gate.records.job import RESULT_FILE, ScanResult
from gate.records.policy import Policy, Rule
from gate.records.probe_seed import key_of
from gate.records.record import MalformedError
from gate.records.secret_counts import SecretCounts
from gate.registries.directory import DirectoryRegistry
from gate.spaces.image.probes import secret_digest
from tests.stand_ins.workers_here import workers_here

SEED, OTHER = "0123456789abcdef" * 4, "cd" * 32
POLICY = Policy(
    version=1,
    detectors={"unsafe-pickle": Rule(), "probe-grid": Rule(options={"clean-samples": 20})},
    probe_seed="required",
)
COUNTS = Counts.of("a" * 64, (2, 2, 3), (11, 11), bytes(range(12)))


def job(role, tmp_path, seed=SEED):
    """Return the job of one worker of a scan."""
    model = ModelRef(registry="directory", name="m")
    pulled = Pulled(gate_version="0", uri="/m", model=model, digest=Manifest(files=()).digest, files=())
    request = ScanRequest(pulled, tmp_path, POLICY, ScanSettings(device="cpu", probe_seed=seed))
    place = HashedFolder(tmp_path, Manifest(files=()))
    return Workers(request, lambda *_: None, 1e9)._job(role, place, {}, None)


@pytest.mark.parametrize("role", ["inspector", "converter", "writer"])
def test_only_the_scan_worker_is_given_the_seed(role, tmp_path):
    """A converter runs the candidate's own code, and may measure it too: neither its job nor what is printed has it."""
    assert SEED.encode() not in job(role, tmp_path).canonical_json()
    scans = job("scan", tmp_path)
    assert scans.probe_seed == SEED
    assert SEED not in f"{scans!r} {ScanSettings(probe_seed=SEED)!r}"


def test_without_a_seed_a_job_is_as_before(tmp_path):
    """It has no such key."""
    assert b'probe_seed":' not in job("scan", tmp_path, None).canonical_json()


def left(tmp_path, **outcome):
    """Write a result of the scan worker whose probe-grid left this."""
    measured = Measured(measurements=(), seconds=1, options={"clean-samples": 20}, **outcome)
    result = ScanResult(isolation="full", outcomes={"probe-grid": measured}, complete=True)
    (tmp_path / RESULT_FILE).write_bytes(result.canonical_json())


def test_answers_to_secret_probes_are_believed_only_as_the_seed_sealed_them(tmp_path):
    """None where some were asked for, some where none were, or sealed by another seed: the result is refused."""
    sealed, others = SecretCounts.of(COUNTS, SEED), SecretCounts.of(COUNTS, OTHER)
    left(tmp_path, counts=COUNTS, secret_counts=sealed)
    assert read_saved(tmp_path, job("scan", tmp_path)).outcomes["probe-grid"].secret_counts == sealed
    with pytest.raises(MalformedError, match="was given none"):
        read_saved(tmp_path, job("scan", tmp_path, None))
    for secret in (None, others, others.model_copy(update={"key": key_of(SEED)})):
        left(tmp_path, counts=COUNTS, secret_counts=secret)
        with pytest.raises(MalformedError, match="lacks the answers to secret probes"):
            read_saved(tmp_path, job("scan", tmp_path))


def test_an_interrupted_scan_goes_on_with_the_same_seed_alone(tmp_path):
    """And its file tells no more than the digest of a digest."""
    measured = Measured(measurements=(), seconds=1, counts=COUNTS, secret_counts=SecretCounts.of(COUNTS, SEED))
    kept = Unfinished(tmp_path)
    kept.keep(job("scan", tmp_path), ScanResult(isolation="full", outcomes={"probe-grid": measured}))
    assert SEED.encode() not in kept.path.read_bytes()
    assert kept.earlier(job("scan", tmp_path)) is not None
    assert kept.earlier(job("scan", tmp_path, OTHER)) is None
    assert kept.earlier(job("scan", tmp_path, None)) is None


@pytest.mark.parametrize("jailed", [False, pytest.param(True, marks=pytest.mark.story)])
def test_no_file_of_a_check_tells_the_seed_or_the_answers(jailed, tmp_path, zoo_model, zoo_samples):
    """Evidence and reports say that secret probes were used, and hold neither the seed nor anything drawn by it."""
    zoo_model("clean").write_folder(tmp_path / "candidate")
    request = CheckRequest(
        uri=str(tmp_path / "candidate"),
        rules=Rules(POLICY, DEFAULT, samples=str(zoo_samples)),
        settings=ScanSettings(device="cpu", threads=1, deadline_seconds=240, probe_seed=SEED),
        report_dir=tmp_path / "report",
        mark=False,
    )
    with nullcontext() if jailed else workers_here():
        report = check(DirectoryRegistry(), request, lambda *_: None, lambda _: None).report
    outcome = report.evidence.outcomes["probe-grid"]
    assert isinstance(outcome, Measured), outcome
    assert outcome.secret_counts.key == key_of(SEED)
    assert "probe-seed" not in {finding.rule for finding in report.verdict.findings}
    opened = outcome.secret_counts.opened(SEED)
    shape = tuple(report.evidence.facts.input_shape)
    assert opened.probes == secret_digest(shape, SEED)
    untold = [SEED, SEED.upper(), opened.packed, opened.probes]
    files = [path for path in (tmp_path / "report").rglob("*") if path.is_file()]
    assert {"evidence.json", "report.html", "report.md", "report.json"} <= {path.name for path in files}
    for path in files:
        raw = path.read_bytes()
        assert bytes.fromhex(SEED) not in raw, path
        assert not [text for text in untold if text.encode() in raw], path
    assert json.loads((tmp_path / "report" / "evidence.json").read_text())["outcomes"]["probe-grid"]["secret_counts"]
