"""`gate doctor` on a machine without a server: what each condition says, and that what it prints can be copied."""

import datetime as dt
import hashlib
import json
import shlex

import pytest
from click.testing import CliRunner

from gate.attestations.keys import generate_key
from gate.cli.main import main
from gate.policies.packaged import DEFAULT
from gate.promotion import machine, preconditions
from gate.promotion.machine import Condition, clocks, disk, engine, jail, platform_of_gate
from gate.promotion.preconditions import Setup, examine, granting
from gate.records.errors import RegistryError
from gate.registries.contract import User

GATE = User("gate", admin=False)
NOON = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)


class Registry:
    """A registry with accounts and one candidate; what is asked of it is what the doctor asks."""

    def __init__(self, *models, edits=(), clock=None, user=GATE):
        self.models, self.edits, self.time, self.account = models, edits, clock, user

    def allowing(self, _stores):
        """Return this."""
        return self

    def find_versions(self, _name, _tags):
        """Nothing is flagged."""
        return []

    def user(self, _credentials=None):
        """Return the gate's account."""
        return self.account

    def server_version(self):
        """Return a version."""
        return "3.17.2"

    def lacks(self):
        """Nothing."""
        return ()

    def stores(self, _model):
        """No store."""
        return []

    def clock(self):
        """Return the server's time."""
        return self.time

    def exists(self, name):
        """Tell whether it was made with this model."""
        return name in self.models

    def may_edit(self, _user, name, _credentials=None):
        """Tell whether it was made with this right."""
        return name in self.edits


def conditions(tmp_path, registry, **changes):
    """Return the conditions by name."""
    settings = {
        "policy": DEFAULT,
        "signing_key": None,
        "passphrase": None,
        "public_keys": (),
        "audit_log": None,
        "report_dir": tmp_path / "out",
        "samples": None,
        "candidate": "cand",
        "production": "prod",
        "open": lambda: registry,
    }
    return {found.name: found for found in examine(Setup(**{**settings, **changes}))}


def test_a_production_model_that_does_not_exist_yet_is_no_fault(tmp_path):
    """It is made by the first promotion; the command stands there."""
    found = conditions(tmp_path, Registry("cand", edits=("cand",)))
    assert found["rights, candidate"].state == "ok"
    assert found["rights, production"].state == "unused"
    assert "does not exist yet: the first promotion makes it" in found["rights, production"].text
    assert found["rights, production"].command == "gate promote models:/cand/VERSION --to prod"
    hostile = conditions(tmp_path, Registry(), candidate="x$(touch pwned)", production="a b")["rights, production"]
    assert shlex.split(hostile.command)[2:] == ["models:/x$(touch pwned)/VERSION", "--to", "a b"]
    assert "'models:/x$(touch pwned)/VERSION'" in hostile.command


def test_a_candidate_that_does_not_exist_is_a_wrong_name(tmp_path):
    """Nobody can check its versions."""
    found = conditions(tmp_path, Registry("prod", edits=("prod",)))
    assert (found["rights, candidate"].state, found["rights, production"].state) == ("wrong", "ok")
    assert "there is no registered model 'cand'" in found["rights, candidate"].text


def test_a_missing_right_is_said_with_the_command_that_grants_it(tmp_path):
    """One line for a shell, whatever the names are."""
    name = 'it\'s; a "name" $HOME'
    found = conditions(tmp_path, Registry(name), candidate=name, production=None)["rights, candidate"]
    assert (found.state, "expected EDIT" in found.text) == ("wrong", True)
    python, flag, code = shlex.split(found.command)
    assert (python, flag) == ("python", "-c")
    assert code.endswith(f'.grant_user_permission("gate", "registered_model", {json.dumps(name)}, "EDIT")')
    compile(code, "command", "exec")
    assert found.command == granting("gate", name, "EDIT")


def test_a_registry_that_does_not_answer_hides_nothing_else(tmp_path):
    """Everything before it was looked at."""

    def fails():
        raise RegistryError("it does not answer", what_to_do="Start it.")

    found = conditions(tmp_path, None, open=fails)
    assert (found["registry"].state, found["registry"].mend) == ("wrong", "Start it.")
    assert {"platform", "policy", "jail", "disk, reports", "samples"} <= set(found)


@pytest.mark.parametrize("system", ["darwin", "win32"])
def test_other_platforms_are_told_the_containers_command(system):
    """MacOS and Windows have no jail; nothing of Linux's is asked of them."""
    for found in (*platform_of_gate(system), *jail("full", system)):
        assert found.state == "wrong"
    (platform,) = platform_of_gate(system)
    assert "expected Linux 5.13" in platform.text
    assert platform.command.startswith("make container && docker run")


def test_linux_is_said_with_its_versions():
    """Kernel, processor and Python."""
    (found,) = platform_of_gate("linux")
    assert found.state == "ok"
    assert found.text.startswith("Linux ")
    assert ", Python 3." in found.text


def test_a_container_engine_is_a_convenience(monkeypatch):
    """Found or not: on Linux no fault."""
    monkeypatch.setattr(machine.shutil, "which", lambda name: f"/usr/bin/{name}" if name == "podman" else None)
    assert [(c.state, c.text) for c in engine()] == [("ok", "podman at /usr/bin/podman")]
    monkeypatch.setattr(machine.shutil, "which", lambda _name: None)
    assert [c.state for c in engine()] == ["unused"]


@pytest.mark.parametrize(
    ("seconds", "state", "said"),
    [
        (0, "ok", "as the registry's"),
        (29, "ok", "as the registry's"),
        (60, "ok", "60 s ahead"),
        (-60, "ok", "60 s behind"),
        (301, "wrong", "expected 300 at most"),
        (-86400, "wrong", "86400 s behind"),
    ],
)
def test_the_registrys_clock_is_compared(seconds, state, said):
    """What is signed is dated, and expires."""
    (found,) = clocks(NOON + dt.timedelta(seconds=seconds), NOON)
    assert (found.state, said in found.text) == (state, True), found
    assert bool(found.command) == (state == "wrong")


def test_without_a_server_no_clock_is_compared():
    """An embedded store is this machine's own."""
    assert [found.state for found in clocks(None, NOON)] == ["unused"]


def test_a_report_directory_that_cannot_be_written_is_found(tmp_path):
    """Tried, since root may write everywhere by its rights; and nothing is left behind."""
    (tmp_path / "file").touch()
    found = {c.name: c for c in disk(tmp_path / "file" / "out")}["disk, reports"]
    assert (found.state, "is no folder" in found.text) == ("wrong", True)
    assert {c.name: c for c in disk(type(tmp_path)("/proc/x"))}["disk, reports"].state == "wrong"
    assert {c.name: c for c in disk(tmp_path / "new" / "out")}["disk, reports"].state == "ok"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_samples_that_are_not_pinned_come_with_the_line_that_pins_them(tmp_path):
    """Path and digest, to be put into the policy."""
    samples = tmp_path / "clean.npz"
    samples.write_bytes(b"samples")
    found = conditions(tmp_path, Registry("cand"), samples=str(samples))["samples"]
    assert found.state == "ok"
    digest = hashlib.sha256(b"samples").hexdigest()
    assert found.command == f"samples: {{uri: {samples}, sha256: {digest}}}"


def test_a_key_that_is_not_trusted_comes_with_the_variable_that_trusts_it(tmp_path):
    """The public half lies where `gate keys generate` puts it."""
    generate_key(tmp_path / "gate.pem", tmp_path / "gate.pub.pem")
    generate_key(tmp_path / "other.pem", tmp_path / "other.pub.pem")
    other, own = str(tmp_path / "other.pub.pem"), str(tmp_path / "gate.pem")
    found = conditions(tmp_path, Registry(), signing_key=own, public_keys=(other,))["public keys"]
    assert (found.state, found.command) == ("wrong", f"export GATE_PUBLIC_KEY={other}:{tmp_path / 'gate.pub.pem'}")
    assert conditions(tmp_path, Registry(), signing_key=own)["public keys"].command.endswith("/gate.pub.pem")


def test_a_review_log_from_the_future_is_found(tmp_path, monkeypatch):
    """Somebody's clock was wrong when it was written."""
    from gate.attestations.log import ReviewLog, Said
    from gate.records.artifact import ModelRef

    log = ReviewLog(tmp_path / "reviews.jsonl")
    ref = ModelRef(registry="mlflow", name="cand", version="1")
    log.append(Said("scan", ref, f"sha256:{64 * '0'}", "flagged", "unsigned"), NOON + dt.timedelta(hours=1))
    monkeypatch.setattr(preconditions, "now", lambda: NOON)
    found = conditions(tmp_path, Registry(), audit_log=log.path)["review log"]
    assert (found.state, "in the future" in found.text) == ("wrong", True)


def test_whatever_is_wrong_says_what_to_do(tmp_path):
    """No row that is wrong leaves one alone, and what is not configured comes with how it is."""
    rows = [
        *conditions(tmp_path, Registry(), audit_log=tmp_path / "no" / "log").values(),
        *conditions(tmp_path, Registry("cand", "prod"), samples="nowhere.npz", policy=tmp_path / "none.yml").values(),
    ]
    for row in rows:
        assert row.state != "wrong" or row.mend or row.command, row
    for name in ("signing key", "public keys", "review log"):
        assert all(row.command for row in rows if row.name == name and row.state == "unused")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_lines_are_true_to_the_terminal_and_commands_are_whole(monkeypatch, columns):
    """A command is never broken; what stands about it is, between words."""
    row = Condition("rights, candidate", "wrong", "a word " * 40 + "::set-output", "Do this:", "x" * 150)
    monkeypatch.setattr("gate.promotion.preconditions.examine", lambda _setup: iter((row,)))
    ended = CliRunner().invoke(main, ["doctor"], env={"COLUMNS": str(columns)}, standalone_mode=False)
    assert ended.return_value == 2, ended
    lines = ended.output.splitlines()
    assert lines[-1] == "1 wrong"
    assert any(line.strip() == "x" * 150 for line in lines)
    assert all(len(line) <= columns for line in lines if "x" * 150 not in line)
    assert not any(line.strip().startswith("::") for line in lines)
    assert "WRONG " in lines[0]
