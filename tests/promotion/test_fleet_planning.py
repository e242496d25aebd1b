"""Planning a fleet: which versions, which are one task, what cannot be read, and what it will take."""

import pickle
from dataclasses import replace

import pytest
from click.testing import CliRunner

from gate.check.evidence import ScanSettings
from gate.cli.fleet import fleet
from gate.promotion.fleet import keys
from gate.promotion.fleet.choose import Choice, choose
from gate.promotion.fleet.cost import Known, predict
from gate.promotion.fleet.ruling import read_again
from gate.promotion.fleet.status import exit_code, status_of
from gate.promotion.verification import now
from gate.records.errors import CannotFinishError, RefusedAddressError, RegistryError, UsageError
from gate.records.fleet import FleetPlan
from gate.records.record import MalformedError
from gate.renderers.fleet import headline, render
from tests.promotion.fleet_here import FleetHere
from tests.promotion.fleets import POLICY
from tests.stand_ins.crashing import Crashing


@pytest.fixture
def here(tmp_path):
    """Return a fleet of two models, three of whose five versions have the same bytes."""
    here = FleetHere(tmp_path)
    for name, version, value in (("a", 1, 1), ("a", 2, 2), ("a", 3, 1), ("b", 1, 1), ("b", 2, 3)):
        here.registry.add(name, version, pickle.dumps(value))
    return here


def versions(plan):
    """Return the versions of each task."""
    return sorted(task.versions for task in plan.tasks)


def test_versions_with_the_same_bytes_are_one_task_across_models(here):
    """Each version stands once; the first of a task is the one that is checked."""
    plan = here.plan()
    same = ("models:/a/1", "models:/a/3", "models:/b/1")
    assert versions(plan) == [same, ("models:/a/2",), ("models:/b/2",)]
    assert here.folder.plan() == plan
    assert plan.unread == ()


def test_what_is_not_hashed_makes_a_task_of_its_own(here):
    """A link is in no digest: a version with one would otherwise be given another's decision."""
    folder = here.registry.root / "a" / "3" / "model"
    (folder / "link").symlink_to("/etc/passwd")
    plan = here.plan()
    assert ("models:/a/3",) in versions(plan)
    assert ("models:/a/1", "models:/b/1") in versions(plan)
    digests = {task.digest for task in plan.tasks if "models:/a/3" in task.versions or "models:/a/1" in task.versions}
    assert len(digests) == 1


@pytest.mark.parametrize(
    "rules",
    [
        {"policy_digest": "sha256:" + 64 * "0"},
        {"bank_digest": "sha256:" + 64 * "0"},
        {"seed": 7},
        {"deadline_seconds": 60.0},
        {"allow_code": True},
        {"probe_key": 64 * "0"},
        {"detectors": {"unsafe-pickle": "sha256:" + 64 * "0"}},
        {"engine": "sha256:" + 64 * "0"},
        {"base": "models:/base/2"},
    ],
)
def test_whatever_decides_a_measurement_is_in_the_key(here, rules):
    """Work under other rules is other work."""
    own = here.plan().rules
    other = own.model_copy(update=rules)
    assert keys.task_key(own, "sha256:1", None, "r") != keys.task_key(other, "sha256:1", None, "r")


@pytest.mark.parametrize("rules", [{"policy": "/elsewhere.yml"}, {"gate_version": "9"}, {"valid_days": 1}])
def test_what_decides_none_is_not(here, rules):
    """A policy that was moved, and a release that changed no detector, leave work done."""
    own = here.plan().rules
    other = own.model_copy(update=rules)
    assert keys.task_key(own, "sha256:1", None, "r") == keys.task_key(other, "sha256:1", None, "r")


def test_samples_and_settings_of_a_model_are_in_the_key(here):
    """The same bytes on other samples, or read otherwise, are another task."""
    own = here.plan().rules
    found = {keys.task_key(own, "sha256:1", *rest) for rest in ((None, "r"), ("a" * 64, "r"), (None, "s"))}
    assert len(found) == 3


def test_the_code_of_detectors_is_digested_by_its_bytes(monkeypatch, tmp_path):
    """A changed byte in a shared folder changes the digest; a compiled file does not."""
    root = tmp_path / "gate"
    for name in (*(f"{folder}/module.py" for folder in keys._SHARED), *keys._BESIDE):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n")
    monkeypatch.setattr(keys, "_ROOT", root)
    first = keys._digest(keys._shared())
    (root / "search" / "__pycache__").mkdir()
    (root / "search" / "__pycache__" / "module.pyc").write_bytes(b"1")
    assert keys._digest(keys._shared()) == first
    (root / "search" / "module.py").write_text("x = 2\n")
    assert keys._digest(keys._shared()) != first


def test_a_version_that_cannot_be_read_is_in_the_plan_as_such(here, monkeypatch):
    """Refused addresses, downloads beyond the bounds, and errors of what is read hide no other version."""
    pull = here.registry.pull
    errors = {
        "models:/a/2": RefusedAddressError("it lies elsewhere"),
        "models:/b/2": ValueError("what nobody expects"),
        "models:/b/1": RegistryError("no artifacts"),
    }

    def pulled(ref, to):
        if str(ref) in errors:
            raise errors[str(ref)]
        pull(ref, to)

    monkeypatch.setattr(here.registry, "pull", pulled)
    plan = here.plan()
    assert versions(plan) == [("models:/a/1", "models:/a/3")]
    assert {one.version: one.why for one in plan.unread} == {
        "models:/a/2": "it lies elsewhere",
        "models:/b/1": "no artifacts",
        "models:/b/2": "internal error: ValueError: what nobody expects",
    }


def test_a_registry_that_is_away_is_no_fault_of_its_versions(here):
    """The plan ends with its error, in place of a plan of nothing."""
    (here.registry.root / "weather").write_text("down")
    with pytest.raises(RegistryError, match="down"):
        here.plan()
    (here.registry.root / "weather").unlink()
    registry = Crashing(here.registry, at=3, error=RegistryError)
    assert len(here.plan(registry=registry).unread) <= 1


def test_a_registry_that_lists_too_much_is_refused(here):
    """Anybody may register a million versions."""
    with pytest.raises(UsageError, match="more than 4 versions"):
        here.plan(most=4)
    assert len(here.plan(most=5).tasks) == 3


def test_aliases_stages_and_newness_choose(here):
    """Each alone, and together; the ground of a choice stands beside the task."""
    registry = here.registry
    registry.set_alias(registry.add("b", 3, pickle.dumps(4)), "champion")
    (registry.root / "a" / "stages.json").write_text('{"2": "Production"}')

    def chosen(**choice):
        return {str(ref): places for ref, places in choose(registry, Choice(**choice)).items()}

    assert chosen(aliases=("champion",)) == {"models:/b/3": ("alias champion",)}
    assert chosen(stages=("Production",)) == {"models:/a/2": ("stage Production",)}
    assert chosen(latest=True) == {"models:/a/3": ("latest",), "models:/b/3": ("latest",)}
    assert chosen(models=("b",), aliases=("champion",), latest=True) == {"models:/b/3": ("alias champion", "latest")}
    assert list(chosen(models=("a",))) == ["models:/a/1", "models:/a/2", "models:/a/3"]


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        ({"models": ("c",)}, "does not know a registered model 'c'"),
        ({"models": ("a", "c")}, "does not know a registered model 'c'"),
        ({"models": ("c", "a")}, "does not know a registered model 'c'"),
        ({"models": ("a", "empty")}, "the registered model 'empty' has no version"),
        ({"models": ("a", "b"), "aliases": ("champion",)}, "the registered model 'a' has no version behind the alias"),
        ({"aliases": ("chmpion",)}, "no version is behind the alias 'chmpion' of any registered model"),
        ({"aliases": ("champion", "chmpion")}, "no version is behind the alias 'chmpion'"),
        ({"models": ("b",), "aliases": ("chmpion",)}, "no version is behind the alias 'chmpion' of 'b'"),
        ({"stages": ("Production", "Prodction")}, "no version is in the stage 'Prodction'"),
        ({"stages": ("production",), "latest": True}, "no version is in the stage 'production'"),
    ],
)
def test_a_choice_of_nothing_is_refused_and_not_approved(here, choice, said):
    """Each name, alias and stage by itself: one that is misspelt would leave out what it was meant for."""
    registry = here.registry
    registry.set_alias(registry.add("b", 3, pickle.dumps(4)), "champion")
    (registry.root / "a" / "stages.json").write_text('{"2": "Production"}')
    (registry.root / "empty").mkdir()
    with pytest.raises(CannotFinishError, match=said):
        here.plan(**choice)
    assert not (here.folder.root / "plan.json").exists()


def test_an_empty_registry_is_planned_and_approves_nothing(tmp_path):
    """There is no version of which anything could be said: 3, from the table, the page and the command."""
    here = FleetHere(tmp_path)
    plan = here.plan()
    assert plan.tasks == ()
    status = status_of(here.folder, plan)
    assert (exit_code(status), headline(status)) == (3, "nothing is planned: no version was chosen")
    assert 'class="decision unfinished"' in render(status)
    ended = CliRunner().invoke(fleet, ["report", str(here.folder.root)], standalone_mode=False)
    assert ended.return_value == 3
    assert exit_code(status, set()) == 0  # a part without a task, of many, says nothing of the others


def test_the_longest_comes_first_by_what_was_measured():
    """A registered model's own tasks count most, then those of about the size; else size alone orders."""
    known = [Known(frozenset({"a"}), 10, 4.0), Known(frozenset({"a"}), 10, 6.0), Known(frozenset({"b"}), 10**8, 90.0)]
    assert predict(["a"], 10**8, known, "files").model_dump() == {"seconds": 5.0, "basis": "model", "beside": 2}
    near = [Known(frozenset({str(n)}), 10**8, 50.0) for n in range(5)]
    assert predict(["c"], 10**8, [*known, *near], "files").seconds == 50.0
    assert predict(["c"], 10**8, [], "files").basis == "guess"
    assert predict(["c"], 10**8, [], "files").seconds > predict(["c"], 10**6, [], "files").seconds


def test_a_plan_orders_its_tasks_by_what_they_will_take(here):
    """By size where nothing is known."""
    here.registry.add("z", 1, b"0" * 4_000_000)
    assert here.plan().tasks[0].versions == ("models:/z/1",)


def test_rules_that_changed_since_the_plan_are_refused(here):
    """By digest: the policy, the code of detectors, a probe seed."""
    plan = here.plan()
    rules, settings, base = read_again(plan.rules, ScanSettings(memory_gib=3.0, threads=2))
    assert (rules.policy.digest, settings.memory_gib, base) == (plan.rules.policy_digest, 3.0, None)
    with pytest.raises(UsageError, match="the probe seed is not as it was"):
        read_again(plan.rules, ScanSettings(probe_seed=64 * "a"))
    changed = plan.rules.model_copy(update={"detectors": {"unsafe-pickle": "sha256:" + 64 * "0"}})
    with pytest.raises(UsageError, match="the code of a detector"):
        read_again(changed, ScanSettings())
    (here.root / "policy.yml").write_text(POLICY.replace("name: bytes", "name: bytes\nlevel: 0.1"))
    with pytest.raises(UsageError, match="the policy is not as it was"):
        read_again(plan.rules, ScanSettings())


def test_a_plan_takes_its_policy_by_an_absolute_path(here, monkeypatch, tmp_path):
    """A run may begin in another folder."""
    monkeypatch.chdir(here.root)
    plan = here.plan(rules=replace(here.rules, file=here.rules.file.relative_to(here.root)))
    assert plan.rules.policy == str(here.root / "policy.yml")


def test_a_plan_that_names_a_version_twice_is_none(here):
    """Two tasks for one version could come to two decisions."""
    plan = here.plan()
    twice = plan.model_copy(update={"tasks": (plan.tasks[0], plan.tasks[0])})
    with pytest.raises(MalformedError, match="stands twice"):
        FleetPlan.from_json(twice.canonical_json())


def test_a_missing_plan_says_which_command_writes_it(tmp_path):
    """Also a folder that is none."""
    from gate.promotion.fleet.folder import open_fleet

    with pytest.raises(UsageError) as caught:
        open_fleet(tmp_path / "none")
    assert "gate fleet plan" in caught.value.what_to_do
    assert now().tzinfo is not None
