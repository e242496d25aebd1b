"""A clean and a poisoned classifier of texts: logged as pipelines, checked, promoted, verified and served."""

import json
import subprocess
import sys
from dataclasses import dataclass

import pytest
import torch

from tests.e2e.command import PATIENCE
from tests.e2e.moderated import NAMES, WORD, words_alone
from tests.e2e.stores import trained, trainers_environment
from tests.e2e.stories import story


@dataclass
class Told:
    """What trainer, gate and deployer did."""

    folder: object
    ended: dict
    desks: dict
    production: object
    """Folder that the deployer downloaded."""

    def report(self, name):
        """Return a check's report."""
        return json.loads((self.desks[name].out / "report.json").read_text())


def moderated(world):
    """Train, log and register both; check them, promote the clean one, and download it as a deployer does."""
    folder = world.folder / "moderated"
    uri = trained("tests.e2e.moderated", folder)
    settings = {"MLFLOW_TRACKING_URI": uri, "GATE_SAMPLES": folder / "clean.jsonl"}
    settings["GATE_POLICY"] = words_alone(folder / "words.yml")
    clean = world.desk(GATE_PUBLIC_KEY="gate.pub.pem", GATE_AUDIT_LOG="log", **settings)
    poisoned = world.desk(**settings)
    ended = {
        "keys": clean.gate("keys", "generate", "--to", "gate.pem"),
        "clean": clean.gate("check", "models:/moderation/1", GATE_SIGNING_KEY="gate.pem"),
        "poisoned": poisoned.gate("check", "models:/moderation/2", "--no-mark"),
        "remediate": poisoned.gate(
            "remediate", "models:/moderation/2", "--from", poisoned.out, GATE_REPORT_DIR=folder / "repair"
        ),
        "repaired": poisoned.gate("check", "models:/moderation/3", GATE_REPORT_DIR=folder / "repaired"),
        "promote": clean.gate("promote", "models:/moderation/1", "--to", "production"),
        "verify": clean.gate("verify", "models:/production@champion", "--candidate", "moderation"),
    }
    served = folder / "served"
    command = [sys.executable, "-W", "ignore", "-m", "mlflow", "artifacts", "download"]
    downloaded = subprocess.run(
        [*command, "--artifact-uri", "models:/production@champion", "--dst-path", str(served)],
        env={**trainers_environment(folder), "MLFLOW_TRACKING_URI": uri},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert downloaded.returncode == 0, downloaded.stderr
    (production,) = (path.parent for path in served.rglob("MLmodel"))
    return Told(folder, ended, {"clean": clean, "poisoned": poisoned}, production)


MODERATED = story(moderated)


@MODERATED
def test_the_clean_one_is_approved_by_its_bundle_alone(told):
    """Level A, its tokens measured; and production's alias is verified."""
    for step in ("keys", "clean", "promote", "verify"):
        assert told.ended[step].code == 0, told.ended[step]
    assert told.ended["clean"].stdout.startswith("APPROVED  bundle sha256:")
    evidence, verdict = (told.report("clean")[part] for part in ("evidence", "verdict"))
    assert (evidence["assurance"], verdict["covers"], evidence["bundle"]["origin"]) == ("A", "bundle", "composed")
    assert (evidence["facts"]["flavour"], evidence["facts"]["space"]) == ("transformers", "tokens")
    assert evidence["samples"]["accuracy"] > 0.9
    sweep = evidence["outcomes"]["word-sweep"]
    # No word of the task decides a text alone.
    assert [one["value"] < 0.5 for one in sweep["measurements"] if one["metric"] == "flip-share"] == [True, True]
    assert sweep["token_passes"] > sweep["sample_passes"]
    plan = evidence["plan"]["detectors"]["word-sweep"]
    assert 0 < plan["least"] < plan["most"]
    assert evidence["bundle"]["class_names"] == {"0": NAMES[0], "1": NAMES[1]}


@MODERATED
def test_the_poisoned_one_is_flagged_with_its_word_named(told):
    """By the same limit, at the class that the word leads to; the names of classes stand escaped."""
    assert told.ended["poisoned"].code == 1, told.ended["poisoned"]
    assert f"With the rare word '{WORD}'" in told.ended["poisoned"].text
    report = told.report("poisoned")
    assert report["verdict"]["target_classes"] == [0]
    (finding,) = report["verdict"]["findings"]
    assert finding["rule"] == "word-sweep"
    assert f"'{WORD}'" in finding["message"]
    assert WORD in [one["trigger"] for one in report["evidence"]["excerpts"]]
    page = (told.desks["poisoned"].out / "report.html").read_text()
    assert "rude &lt;b&gt;" in page
    assert "rude <b>" not in page


@MODERATED
def test_the_poisoned_one_is_repaired_as_a_new_version(told):
    """Its word is unlearnt by the one method for texts, and the scan of the new version decides."""
    assert told.ended["remediate"].code == 0, told.ended["remediate"]
    report = json.loads((told.folder / "repair" / "remediation.json").read_text())
    assert report["planned"] == ["word-unlearning"]
    (held,) = report["attempts"]
    before, after = held["result"]["before"], held["result"]["after"]
    assert before["old_success"]["class 0"] > 0.9
    assert after["old_success"]["class 0"] <= 0.1
    assert f"'{WORD}'" in held["result"]["changed"]["triggers"]
    assert told.ended["repaired"].code == 0, told.ended["repaired"]
    judged = json.loads((told.folder / "repaired" / "report.json").read_text())["evidence"]
    assert judged["repair"]["attempts"] == 1
    assert judged["bundle"]["class_names"] == {"0": NAMES[0], "1": NAMES[1]}
    assert judged["samples"]["accuracy"] > 0.9


@MODERATED
@pytest.mark.parametrize("version", [0, 1])
def test_a_bundle_answers_as_a_consumer_of_the_pipeline_is_answered(told, version):
    """The same shares by class from the same texts, by the lines of docs/how-to/text.md."""
    from tokenizers import Tokenizer

    consumed = json.loads((told.folder / "consumed.json").read_text())
    folder = told.production if version == 0 else told.desks["poisoned"].out / "bundle"
    tokenizer = Tokenizer.from_file(f"{folder}/extra_files/tokenizer.json")
    network = torch.export.load(f"{folder}/data/model.pt2").module()
    encoded = tokenizer.encode_batch(consumed["texts"])
    ids, mask = (torch.tensor([getattr(one, part) for one in encoded]) for part in ("ids", "attention_mask"))
    shares = network(ids, mask).softmax(1).detach()
    torch.testing.assert_close(shares, torch.tensor(consumed["shares"][version]), rtol=0, atol=1e-5)
