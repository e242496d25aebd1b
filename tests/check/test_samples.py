"""The look at samples before a model is pulled: a jailed worker that sees them alone, and what its end means."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from gate.check import workers as launch
from gate.check.evidence import ScanSettings
from gate.check.files import PulledSamples
from gate.check.samples import named_by_operator, require_usable
from gate.jail import interpreter_paths
from gate.records.artifact import ModelRef
from gate.records.errors import CannotFinishError, UsageError
from gate.records.job import JAIL_REFUSED, LOOK_FILE, ScanJob
from gate.records.policy import Policy, Rule
from gate.records.sample_settings import SamplesPolicy
from gate.worker import __main__ as worker

MODEL = ModelRef(registry="mlflow", name="digits", version="1")
X, Y = np.random.default_rng(0).random((40, 1, 8, 8)).astype(np.float32), np.arange(40) % 10


def policy(*names, **settings):
    """Return a policy that runs these detectors."""
    return Policy(version=1, detectors={name: Rule() for name in names or ("neural-cleanse",)}, **settings)


@pytest.fixture
def pulled(tmp_path):
    """Return a function that puts arrays where a pull puts samples, and their record."""

    def put(**arrays):
        (tmp_path / "samples").mkdir(exist_ok=True)
        np.savez(tmp_path / "samples" / "clean.npz", **arrays)
        digest = hashlib.sha256((tmp_path / "samples" / "clean.npz").read_bytes()).hexdigest()
        return PulledSamples(name="clean.npz", source="clean.npz", sha256=digest, overridden=False)

    return put


def look(base, samples, rules=None, **how):
    """Look at samples as a check does."""
    require_usable(base, samples, rules or policy(), model=MODEL, settings=ScanSettings(), **how)


def test_usable_samples_pass(tmp_path, pulled):
    """Nothing is said, and nothing is left behind."""
    look(tmp_path, pulled(inputs=X, labels=Y))
    assert [path.name for path in tmp_path.iterdir()] == ["samples"]


def test_wrong_samples_are_the_operators_mistake(tmp_path, pulled):
    """Exit 2 with the worker's sentence, by the settings of the model's own name."""
    with pytest.raises(UsageError, match=r"in the samples clean\.npz the labels run from 1 to 10: subtract one"):
        look(tmp_path, pulled(inputs=X, labels=Y + 1))
    waived = policy(samples=SamplesPolicy(models={"digits": {"labels": "waived"}}))
    look(tmp_path, pulled(inputs=X), waived)
    with pytest.raises(UsageError, match="have no labels"):
        look(tmp_path, pulled(inputs=X), policy(samples=SamplesPolicy(models={"other": {"labels": "waived"}})))


def texts(folder, content):
    """Put a file of texts where a pull puts samples, and return its record."""
    (folder / "samples").mkdir(exist_ok=True)
    (folder / "samples" / "clean.jsonl").write_text(content)
    digest = hashlib.sha256(content.encode()).hexdigest()
    return PulledSamples(name="clean.jsonl", source="clean.jsonl", sha256=digest, overridden=False)


def test_texts_are_looked_at_by_a_policy_for_text(tmp_path, pulled):
    """What is wrong is said by its line; images are no texts, nor texts images."""
    rules = policy("word-sweep")
    good = "".join(f'{{"text": "a {n}", "label": {n % 2}}}\n' for n in range(6))
    look(tmp_path, texts(tmp_path, good), rules)
    with pytest.raises(UsageError, match=r"clean\.jsonl, line 7: its text is empty: leave it out"):
        look(tmp_path, texts(tmp_path, good + '{"text": " ", "label": 0}\n'), rules)
    with pytest.raises(UsageError, match=r"are saved as a zip, such as \.npz"):
        look(tmp_path, pulled(inputs=X, labels=Y), rules)
    with pytest.raises(UsageError, match=r"texts, and the policy's detectors are for images: .* --policy text"):
        look(tmp_path, texts(tmp_path, good))
    both = policy("word-sweep", "neural-cleanse")
    look(tmp_path, texts(tmp_path, good), both)
    look(tmp_path, pulled(inputs=X, labels=Y), both)


def test_what_a_tag_names_is_left_to_the_scan(tmp_path, pulled):
    """The candidate side must not choose the way out that leaves no mark."""
    samples = pulled(inputs=X, labels=Y + 1)
    look(tmp_path, samples, named=False)
    look(tmp_path, None, policy(samples_from_tag=True), named=False)
    assert not named_by_operator(None, policy(samples_from_tag=True), "digits")
    assert named_by_operator("clean.npz", policy(), "digits")
    pinned = policy(samples=SamplesPolicy(models={"digits": {"uri": "runs:/1/clean.npz"}}))
    assert named_by_operator(None, pinned, "digits")
    assert not named_by_operator(None, pinned, "other")


def test_no_samples_are_a_mistake_where_a_detector_needs_some(tmp_path):
    """Named is the detector, and both ways to name samples."""
    with pytest.raises(
        UsageError, match=r"neural-cleanse of the policy needs them: name them with --samples, or under"
    ):
        look(tmp_path, None)
    look(tmp_path, None, policy("artifact-integrity", "maximum-margin"))


ENDS = {
    "a crash": ("raise SystemExit(1)", UsageError, "could not be read: The worker ended with exit code 1"),
    "a kill": (
        "import os; os.kill(os.getpid(), 9)",
        UsageError,
        "could not be read: The worker was killed by signal 9",
    ),
    "silence": ("", UsageError, "could not be read"),
    "no record": (f"open('{LOOK_FILE}', 'w').write('[')", UsageError, "could not be read"),
    "a forged record": (f"open('{LOOK_FILE}', 'w').write('{{\"approved\": true}}')", UsageError, "could not be read"),
    "a record and a crash": (f"open('{LOOK_FILE}', 'w').write('{{}}'); raise SystemExit(3)", UsageError, "exit code 3"),
    "commands to a terminal": (
        f"open('{LOOK_FILE}', 'w').write('{{\"fault\": \"::error::\\\\u001b[31mred ##[x]\"}}')",
        UsageError,
        r"^: :error::red # #\[x\]$",
    ),
    "no jail": (f"raise SystemExit({JAIL_REFUSED})", CannotFinishError, "jail could not be built"),
}


@pytest.mark.parametrize("end", ENDS)
def test_how_the_worker_ends_is_told(tmp_path, pulled, monkeypatch, end):
    """Samples that bring it down could not be read (2); a jail that cannot be built is the machine's affair (3)."""
    script, error, said = ENDS[end]
    run = f"import os, sys; os.chdir(sys.argv[1]); {script}"
    monkeypatch.setattr(launch, "worker_command", lambda _module, *given: (sys.executable, "-c", run, *given))
    with pytest.raises(error, match=said):
        look(tmp_path, pulled(inputs=X, labels=Y))


@pytest.mark.parametrize(
    ("names", "advised"),
    [
        (["neural-cleanse"], "Save images anew with numpy"),
        (["word-sweep"], "Of texts: save a line of JSON for each text"),
        (["neural-cleanse", "word-sweep"], "by class. Of texts: save a line of JSON"),
    ],
)
def test_what_to_do_is_of_what_the_policy_reads(tmp_path, monkeypatch, names, advised):
    """Nobody with texts is told to save arrays."""
    monkeypatch.setattr(launch, "worker_command", lambda *_: (sys.executable, "-c", "raise SystemExit(1)"))
    with pytest.raises(UsageError, match="could not be read") as caught:
        look(tmp_path, texts(tmp_path, '{"text": "a", "label": 0}\n'), policy(*names))
    assert advised in caught.value.what_to_do
    assert caught.value.what_to_do.startswith(advised[:8]) or len(names) > 1


def job(path):
    """Return a sampler's job."""
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = {"samples_path": str(path), "samples_source": "clean.npz", "samples_sha256": digest}
    return ScanJob.model_validate(
        {
            "role": "sampler",
            "model": MODEL,
            "manifest": {"files": []},
            "root": "",
            "policy": policy(),
            "seed": 0,
            "device": "cpu",
            "deadline_seconds": 60,
            **named,
        }
    )


def test_the_worker_sees_the_samples_and_nothing_else(tmp_path, pulled):
    """No model, no training set, no bank, no GPU."""
    pulled(inputs=X, labels=Y)
    asked = job(tmp_path / "samples" / "clean.npz")
    spec = worker._spec(asked, tmp_path / "scratch")
    assert set(spec.readable) - set(interpreter_paths()) == {tmp_path / "samples" / "clean.npz"}
    assert spec.devices == ()


def test_the_worker_does_without_torch(tmp_path, pulled):
    """So that a mistake is said at once."""
    pulled(inputs=X, labels=Y)
    (tmp_path / "job.json").write_bytes(job(tmp_path / "samples" / "clean.npz").canonical_json())
    script = (
        "import sys; from pathlib import Path; from gate.records.job import ScanJob; from gate.worker import roles\n"
        "roles.run(ScanJob.from_file(Path(sys.argv[1]) / 'job.json'), Path(sys.argv[1]), isolation='full')\n"
        "print(sorted({'torch', 'mlflow', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    assert (tmp_path / LOOK_FILE).read_text() == '{"fault":"","what_to_do":""}'
