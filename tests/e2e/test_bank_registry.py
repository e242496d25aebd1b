"""A bank of a registered model's approved versions, behind a real server, and a candidate version beside it."""

import json
from types import SimpleNamespace

import pytest
import yaml

from tests.e2e.command import Desk
from tests.e2e.digits import TARGET, write_samples
from tests.e2e.stores import Store, fill, serving
from tests.e2e.test_bank_build import POLICY, REASON

CLEAN = ("clean", "clean-12", "clean-13")
KNOWN = "was measured already by the same settings"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Build a bank of three approved versions twice, check the fourth beside it, and ask for an unknown name."""
    folder = tmp_path_factory.mktemp("bank-registry")
    write_samples(folder)
    (folder / "policy.yml").write_text(yaml.safe_dump(POLICY))
    served = folder / "server"
    served.mkdir()
    with serving(served) as (uri, _):
        store = Store(uri, served, fill(uri, served, *CLEAN, "backdoored"))
        approved = {"tags": {"gate.decision": "approved"}}
        name = store.register(CLEAN[0], "credit", **approved)
        for nickname in CLEAN[1:]:
            store.register_next(name, nickname, **approved)
        store.register_next(name, "backdoored", tags={"gate.decision": "flagged"})
        desk = Desk(
            folder,
            {
                "GATE_POLICY": folder / "policy.yml",
                "GATE_SAMPLES": folder / "clean.npz",
                "MLFLOW_TRACKING_URI": uri,
            },
        )
        bank = folder / "bank.json"
        build = ("bank", "build", "--to", bank, "--accept-flagged", REASON, "--registered-model")
        first = desk.gate(*build, name, "--approved-only")
        kept = {path: path.stat().st_mtime_ns for path in folder.glob("bank.json.measured/*/evidence.json")}
        again = desk.gate(*build, name, "--approved-only")
        now = {path: path.stat().st_mtime_ns for path in folder.glob("bank.json.measured/*/evidence.json")}
        strange = desk.gate(*build, "nobody")
        checked = desk.gate("check", f"models:/{name}/4", "--bank", bank)
        tags = [store.tags(name, version) for version in (1, 2, 3, 4)]
    verdict = json.loads((desk.out / "verdict.json").read_text())
    return SimpleNamespace(
        first=first, again=again, kept=kept, now=now, strange=strange, checked=checked, verdict=verdict,
        bank=json.loads(bank.read_text()), tags=tags, folder=folder,
    )  # fmt: skip


def test_the_approved_versions_alone_make_the_bank(told):
    """Three of four versions, by their names in the registry, each with a program as reference."""
    assert told.first.code == 0, told.first.stderr
    assert "bank: 3 models, 10 classes" in told.first.stdout
    assert {one["model"] for one in told.bank["statistics"]} == {f"models:/credit/{n}" for n in (1, 2, 3)}
    assert len({one["manifest_digest"] for one in told.bank["statistics"]}) == 3
    assert len(told.bank["references"]) == 3
    assert len(list((told.folder / "bank-models").glob("*.pt2"))) == 3


def test_the_second_build_measures_nothing_again(told):
    """Every version is known by its files and settings, and its evidence is not written anew."""
    assert told.again.code == 0, told.again.stderr
    assert (told.first.stderr.count(KNOWN), told.again.stderr.count(KNOWN)) == (0, 3)
    assert len(told.kept) == 3
    assert told.now == told.kept
    assert told.again.stdout == told.first.stdout


def test_the_flagged_version_is_judged_beside_the_bank(told):
    """A quarter is the least p-value that three models can give, and the planted class is named."""
    assert told.checked.code == 1, told.checked.stderr
    assert (told.verdict["calibrated"], told.verdict["standing"]["p_value"]) == (True, 0.25)
    assert TARGET in told.verdict["target_classes"]


def test_building_leaves_the_registry_as_it_was(told):
    """The versions in the bank keep their one tag; the checked one is marked by the check."""
    assert told.tags[:3] == [{"gate.decision": "approved"}] * 3
    assert told.tags[3]["gate.decision"] == "flagged"


def test_a_name_that_the_registry_does_not_know_is_one_error(told):
    """No bank of nothing: one line that names what was asked for."""
    assert told.strange.code == 3, told.strange.stderr
    assert len(told.strange.errors) == 1
    assert "nobody" in told.strange.errors[0]
