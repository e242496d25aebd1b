"""The bundle, from the trainer who registers a model to the deployer who loads what the gate wrote of it."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass

import pytest

from gate.records.artifact import build_manifest
from tests.e2e.command import PATIENCE, ROOT
from tests.e2e.stories import story
from tests.promotion.accounts import serving_with_accounts

BATCHES = (1, 2, 64)


def save(folder, form="pt2", *, seed=0, poisoned=False):
    """Save a trained classifier of digits as MLflow does; return its network."""
    import mlflow.pytorch
    from mlflow.models import infer_signature

    from tests.e2e import digits

    network = digits.train(poisoned=poisoned, seed=seed)
    x = digits.INPUTS[:4]
    signature = infer_signature(x.numpy(), network(x).detach().numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            network,
            folder,
            input_example=x.numpy(),
            signature=signature,
            pip_requirements=["torch", "mlflow"],
            serialization_format=form,
        )
    return network


def consume(folder, model, out, **variables):
    """Load a model in a process of its own, and return the outputs by loader and batch."""
    import numpy as np

    from tests.e2e import digits

    inputs = folder / "inputs.npz"
    np.savez(inputs, **{str(size): digits.INPUTS[:size].numpy() for size in BATCHES})
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "PYTHONPATH": str(ROOT)}
    environment |= {"MLFLOW_DISABLE_TELEMETRY": "true", "OMP_NUM_THREADS": "1"} | variables
    command = [sys.executable, ROOT / "tests" / "e2e" / "consuming.py", model, inputs, out]
    ended = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert ended.returncode == 0, ended.stderr
    with np.load(out) as found:
        return {name: found[name] for name in found.files}


def same(one, other):
    """Tell whether two consumers were given the same bits by the loaders that both have."""
    both = one.keys() & other.keys()
    assert {"pytorch/1", "pyfunc/64"} <= both
    return all(one[name].tobytes() == other[name].tobytes() for name in both)


@dataclass
class Written:
    """Checks of several folders on disk, each with the bundle that it left."""

    ended: dict
    desks: dict
    folder: object

    def bundle(self, name):
        """Return the folder of a check's bundle."""
        return self.desks[name].out / "bundle"

    def report(self, name):
        """Return a check's report."""
        return json.loads((self.desks[name].out / "report.json").read_text())


def written(world):
    """Check a program twice, the same logged again, one with oddities under either word of `serve`, and a pickle."""
    folder = world.folder / "written"
    folder.mkdir()
    save(folder / "pt2")
    save(folder / "logged again")
    save(folder / "pickle", "pickle")
    shutil.copytree(folder / "pt2", folder / "odd")
    (folder / "odd" / "notes.docx").write_bytes(b"PK-less notes")
    (folder / "odd" / "LICENSE").write_text("A licence.\n")
    with (folder / "odd" / "requirements.txt").open("a") as lines:
        lines.write("\nan-inhouse-package==1.0\n")
    bundle = world.policy(serve="bundle", carry=["LICENSE"])
    policies = {"odd, the bundle served": bundle, "pt2, the bundle served": bundle}
    ended, desks = {}, {}
    names = ("pt2", "pt2 once more", "logged again", "pickle", "odd", *policies)
    for name in names:
        desk = desks[name] = world.desk_here(GATE_POLICY=policies[name]) if name in policies else world.desk_here()
        source = folder / name.removesuffix(" once more").removesuffix(", the bundle served")
        ended[name] = desk.gate("check", source, "--no-mark")
    return Written(ended, desks, folder)


WRITTEN = story(written)


@WRITTEN
def test_every_check_of_a_code_free_candidate_leaves_a_bundle(told):
    """Its digest stands in evidence and verdict, is that of the folder, and is printed."""
    for name in ("pt2", "pickle"):
        assert told.ended[name].code == 0, told.ended[name]
        verdict, evidence = told.report(name)["verdict"], told.report(name)["evidence"]
        found, problems = build_manifest(told.bundle(name))
        assert (problems, found.digest) == ((), verdict["bundle_digest"])
        assert evidence["bundle_digest"] == found.digest != verdict["model_digest"]
        assert found.digest in told.ended[name].stdout
        assert verdict["covers"] == "candidate"


@WRITTEN
def test_the_same_program_gives_the_same_bytes(told):
    """Checked twice, or logged twice: ids, times and paths of the candidate are in no bundle."""
    digests = {name: build_manifest(told.bundle(name))[0].digest for name in ("pt2", "pt2 once more", "logged again")}
    assert len(set(digests.values())) == 1, digests
    assert told.report("pt2")["verdict"]["model_digest"] != told.report("logged again")["verdict"]["model_digest"]


@WRITTEN
@pytest.mark.parametrize("form", ["pt2", "pickle"])
def test_consumers_get_from_the_bundle_what_they_get_from_the_candidate(told, tmp_path, form):
    """Of an exported program the same bits at batches of 1, 2 and 64; of library layers the same within rounding."""
    import numpy as np

    candidate = consume(tmp_path, told.folder / form, tmp_path / "candidate.npz")
    bundle = consume(tmp_path, told.bundle(form), tmp_path / "bundle.npz")
    assert {name.split("/")[1] for name in bundle} == {str(size) for size in BATCHES}
    if form == "pt2":
        assert same(candidate, bundle)
    for name in candidate:
        np.testing.assert_allclose(bundle[name], candidate[name], rtol=1e-5, atol=1e-5 * np.abs(candidate[name]).max())
        assert (bundle[name].argmax(1) == candidate[name].argmax(1)).all()


@WRITTEN
def test_nothing_of_the_candidates_folder_is_in_the_bundle(told):
    """No run, no version, no time, none of its files but what the policy carries."""
    texts = b"".join(path.read_bytes() for path in told.bundle("pt2").iterdir() if path.is_file())
    for word in (b"run_id", b"model_uuid", b"utc_time", told.report("pt2")["verdict"]["model_digest"].encode()):
        assert word not in texts
    carried = told.bundle("odd, the bundle served")
    assert (carried / "LICENSE").read_text() == "A licence.\n"
    assert not (carried / "notes.docx").exists()
    assert "an-inhouse-package" not in (carried / "requirements.txt").read_text()


@WRITTEN
def test_oddities_flag_a_candidate_and_are_told_where_the_bundle_alone_is_served(told):
    """A surplus file and a package that no list names: exit 1, or exit 0 with the words that say what is approved."""
    candidate, bundle = told.ended["odd"], told.ended["odd, the bundle served"]
    assert candidate.code == 1, candidate
    assert "notes.docx" in candidate.text
    assert bundle.code == 0, bundle
    digest = told.report("odd, the bundle served")["verdict"]["bundle_digest"]
    (first,) = [line for line in bundle.stdout.splitlines() if line.startswith("APPROVED")]
    assert first.split() == ["APPROVED", "bundle", f"{digest[:19]}…,", "not", "the", "candidate"]
    assert digest in bundle.stdout
    verdict = told.report("odd, the bundle served")["verdict"]
    assert (verdict["covers"], verdict["findings"]) == ("bundle", [])
    assert {finding["metric"] for finding in verdict["told"]} == {"unexpected-files", "foreign-requirements"}
    clean = told.report("pt2, the bundle served")["verdict"]
    assert (clean["covers"], clean.get("told")) == ("bundle", None)


@dataclass
class Delivered:
    """What trainer, gate and deployer did on a server with accounts, and what the deployer's process was answered."""

    ended: dict
    outputs: dict
    expected: dict
    candidate: dict
    out: object


def delivered(world):
    """The trainer registers, the gate checks and promotes, the deployer verifies and loads, each by its own account."""
    import mlflow

    folder = world.folder / "delivered"
    folder.mkdir()
    with serving_with_accounts(folder) as server:
        save(folder / "trained")
        name, prod = "digits", "digits-prod"
        with server.account("trainer") as client:
            number = client.create_experiment("training")
            logged = client.create_logged_model(number, name="model")
            client.log_model_artifacts(logged.model_id, str(folder / "trained"))
            client.finalize_logged_model(logged.model_id, "READY")
            client.create_registered_model(name)
            client.create_model_version(name, f"models:/{logged.model_id}", model_id=logged.model_id)
        server.grant("gate", "registered_model", name, "EDIT")
        desk = world.desk(
            GATE_POLICY=world.policy(serve="bundle"),
            GATE_PUBLIC_KEY="gate.pub.pem",
            GATE_AUDIT_LOG="reviews.jsonl",
            **server.variables("gate"),
        )
        assert desk.gate("keys", "generate", "--to", "gate.pem").code == 0
        ended = {
            "check": desk.gate("check", f"models:/{name}/1", GATE_SIGNING_KEY="gate.pem"),
            "promote": desk.gate("promote", f"models:/{name}/1", "--to", prod),
        }
        reader = {**server.variables("bob"), "GATE_AUDIT_LOG": None}
        ended["verify"] = desk.gate("verify", f"models:/{prod}@champion", "--candidate", name, **reader)
        ended["verify the candidate"] = desk.gate("verify", f"models:/{name}/1", **reader)
        outputs = consume(folder, f"models:/{prod}@champion", folder / "served.npz", **server.variables("bob"))
        mlflow.set_tracking_uri(None)
        expected = consume(folder, desk.out / "bundle", folder / "judged.npz")
        candidate = consume(folder, folder / "trained", folder / "candidate.npz")
    return Delivered(ended, outputs, expected, candidate, desk.out)


DELIVERED = story(delivered)


@DELIVERED
def test_the_deployer_is_served_the_very_program_that_was_judged(told):
    """Each command holds, and production's alias answers the deployer bit for bit as the judged bundle does."""
    for step in ("check", "promote", "verify"):
        assert told.ended[step].code == 0, told.ended[step]
    assert same(told.outputs, told.expected)
    assert same(told.outputs, told.candidate)


@DELIVERED
def test_the_candidates_own_bytes_are_refused_at_the_deployment(told):
    """`serve: bundle`: exit 1, and the reason names the bundle."""
    refused = told.ended["verify the candidate"]
    assert refused.code == 1, refused
    assert "covers the gate's bundle sha256:" in " ".join(refused.text.split())


@DELIVERED
def test_promotion_says_what_the_consumer_loses(told):
    """In words, below the line that says what was promoted."""
    (_, lost) = told.ended["promote"].stdout.split("PROMOTED", 1)
    assert "unflatten" in lost
