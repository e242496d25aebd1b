"""`gate serve --check` and the sentences about a configuration: what is looked at, what is wrong, what was meant."""

import os
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from gate.attestations.keys import generate_key
from gate.cli.main import main
from gate.records.errors import RegistryError, UsageError
from gate.registries.contract import User
from gate.service import run
from gate.service.checking import examine
from gate.service.settings import read_settings
from tests.service.serving import POLICY, free_port

CONFIG = """\
data = "data"
listen = "127.0.0.1:{port}"
[review]
identity = "{identity}"
[[models]]
name = "cand"
policy = "policy.yml"
samples = "clean.npz"
production = "prod"
"""


class Registry:
    """What the check asks of a registry."""

    def __init__(self, *models, user=None, edits=()):
        self.models, self.account, self.edits = models, user, edits

    def server_version(self):
        """Return a version."""
        return "3.17.2"

    def exists(self, name):
        """Tell whether it was made with this model."""
        return name in self.models

    def clock(self):
        """Return no time."""

    def user(self, _credentials=None):
        """Return the account, None without authentication."""
        return self.account

    def may_edit(self, _user, name):
        """Tell whether it was made with this right."""
        return name in self.edits


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Return a function that writes a configuration and everything that it names."""
    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "a-secret")
    monkeypatch.chdir(tmp_path.parent)

    def write(identity="none", policy=POLICY, config=CONFIG):
        (tmp_path / "policy.yml").write_text(policy)
        (tmp_path / "clean.npz").write_bytes(b"samples")
        port = free_port()
        (tmp_path / "gate.toml").write_text(config.format(port=port, identity=identity))
        return tmp_path / "gate.toml", port

    return write


def conditions(path, registry, key):
    """Return the conditions of a configuration by name."""
    return {found.name: found for found in examine(read_settings(path), key.public, lambda: registry)}


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Return a signing key."""
    folder = tmp_path_factory.mktemp("key")
    return generate_key(folder / "gate.pem", folder / "gate.pub.pem")


def test_whatever_the_service_needs_is_looked_at(written, key):
    """And all is well, in any working directory: paths are relative to the configuration."""
    path, _ = written()
    user = User("gate", admin=False)
    found = conditions(path, Registry("cand", user=user, edits=("cand",)), key)
    assert {one.state for one in found.values()} <= {"ok", "unused"}
    assert {
        "configuration",
        "webhook secret",
        "signing key",
        "policy, cand",
        "samples, cand",
        "database",
        "port",
        "registry",
    } <= set(found)
    assert found["samples, cand"].text == str(path.parent / "clean.npz")


@pytest.mark.parametrize(
    ("base", "state", "said"),
    [
        ("", "unused", "adapters are not examined"),
        ("base = 'smollm'\n", "ok", "smollm"),
        ("base = 'gone'\n", "wrong", "there is no folder"),
        ("base = 'models:/smollm/1'\n", "ok", "models:/smollm/1"),
    ],
)
def test_the_base_of_adapters_is_looked_at(written, key, tmp_path, base, state, said):
    """Where the policy is for adapters one is to be named; a folder is relative to the configuration and is there."""
    (tmp_path / "smollm").mkdir()
    named = CONFIG.replace('"policy.yml"', '"adapter"') + base
    path, _ = written(config=named)
    found = conditions(path, Registry("cand"), key)["base, cand"]
    assert found.state == state
    assert said in found.text
    assert state != "ok" or found.text == (str(tmp_path / said) if said == "smollm" else said)


@pytest.mark.parametrize(("policy", "what"), [("adapter", "adapters"), ("language", "language models")])
def test_without_a_base_it_says_what_is_not_examined(written, key, policy, what):
    """Before the first version is flagged for it."""
    path, _ = written(config=CONFIG.replace('"policy.yml"', f'"{policy}"'))
    found = conditions(path, Registry("cand"), key)["base, cand"]
    assert (found.state, found.text) == ("unused", f"none: {what} are not examined, which flags every version")


def test_a_policy_for_other_models_asks_for_no_base(written, key):
    """Nothing is said of it."""
    path, _ = written()
    assert "base, cand" not in conditions(path, Registry("cand"), key)


def test_a_port_that_is_taken_is_said_before_the_start(written, key):
    """An earlier service runs."""
    path, port = written()
    with socket.create_server(("127.0.0.1", port)):
        found = conditions(path, Registry("cand"), key)["port"]
    assert (found.state, "something listens there already" in found.text) == ("wrong", True)


def test_a_model_that_is_yet_to_come_is_no_fault(written, key):
    """The first version is checked when it comes."""
    path, _ = written()
    found = conditions(path, Registry(), key)
    assert (found["model, cand"].state, found["registry"].state) == ("unused", "ok")


def test_a_right_that_is_missing_comes_with_the_command(written, key):
    """EDIT on the candidate, to mark it."""
    path, _ = written()
    found = conditions(path, Registry("cand", user=User("gate", admin=False)), key)["rights, cand"]
    assert (found.state, "expected EDIT" in found.text) == ("wrong", True)
    assert 'grant_user_permission("gate", "registered_model", "cand", "EDIT")' in found.command


def test_reviewers_that_could_not_sign_in_are_found(written, key):
    """Identity by the registry, which has no accounts; and a policy that names no reviewer."""
    path, _ = written(identity="registry")
    found = conditions(path, Registry("cand"), key)
    assert found["accounts"].state == "wrong"
    assert (found["reviews"].state, found["reviews"].command) == ("unused", "reviewers: {names: [ann], approvals: 1}")


HEADER = 'identity = "header"\nheader = "X-User"\nproxies = ["10.0.0.1"]'


@pytest.mark.parametrize(
    ("review", "reviewers", "said"),
    [
        (HEADER, "names: [ann], identity: registry", "reviewers: {identity: stated}"),
        (HEADER, "names: [ann]", "reviewers: {identity: stated}"),
        ('identity = "registry"', "names: [ann], identity: stated", "reviewers: {identity: registry}"),
        ('identity = "registry"', "names: [ann, ann], approvals: 2", "asks for 2 approvals and names 1"),
    ],
)
def test_a_policy_under_which_every_form_would_be_refused_is_found(written, key, review, reviewers, said):
    """The page takes the reviewer from elsewhere than the policy, or the policy names too few."""
    config = CONFIG.replace('identity = "{identity}"', review)
    path, _ = written(config=config, policy=f"{POLICY}reviewers: {{{reviewers}}}\n")
    found = conditions(path, Registry("cand", user=User("gate", admin=True), edits=("cand",)), key)
    assert found["reviews, cand"].state == "wrong"
    assert said in found["reviews, cand"].text + found["reviews, cand"].command
    assert "reviews" not in found


@pytest.mark.parametrize(
    ("review", "reviewers"), [(HEADER, "names: [ann], identity: stated"), ('identity = "registry"', "names: [ann]")]
)
def test_a_policy_that_agrees_with_the_page_is_well(written, key, review, reviewers):
    """Whoever signs in can decide."""
    config = CONFIG.replace('identity = "{identity}"', review)
    path, _ = written(config=config, policy=f"{POLICY}reviewers: {{{reviewers}}}\n")
    found = conditions(path, Registry("cand", user=User("gate", admin=True), edits=("cand",)), key)
    assert (found["reviews"].state, "reviews, cand" in found) == ("ok", False)


def test_what_is_missing_is_found(written, key, tmp_path):
    """Samples that are not there, a policy that cannot be read, a registry that does not answer."""
    path, _ = written()
    (tmp_path / "clean.npz").unlink()
    assert conditions(path, Registry("cand"), key)["samples, cand"].state == "wrong"
    (tmp_path / "policy.yml").write_text("version: 1\nnme: x\n")
    assert "policy.yml:2: unknown key" in conditions(path, Registry("cand"), key)["policy, cand"].text

    def fails():
        raise RegistryError("it does not answer")

    found = {one.name: one for one in examine(read_settings(path), key.public, fails)}
    assert found["registry"].state == "wrong"


@pytest.mark.parametrize(
    ("models", "code", "last"), [(("cand",), 0, "ok: it can start"), (None, 2, "wrong: the service")]
)
def test_the_command_ends_with_what_was_found(written, key, monkeypatch, models, code, last):
    """`ok` and 0, or how many are wrong and 2."""
    path, _ = written()

    def opened(_settings):
        if models is None:
            raise RegistryError("it does not answer", what_to_do="Start it.")
        return Registry(*models)

    monkeypatch.setattr(run, "open_watched", opened)
    variables = {"GATE_SIGNING_KEY": key.public.source}
    ended = CliRunner().invoke(main, ["serve", "--config", str(path), "--check"], env=variables, standalone_mode=False)
    assert ended.return_value == code, ended
    assert last in ended.output.splitlines()[-1]


def test_a_registry_that_is_away_is_shown_without_its_password(written, key):
    """A password with a slash, as base64 has it, is in no row."""
    pytest.importorskip("psycopg")
    path, _ = written()
    address = "postgresql+psycopg://gate:Zm9v/YmFyCg@127.0.0.1:1/mlflow"
    path.write_text(f"{path.read_text()}\n[registry]\ntracking-uri = '{address}'\nretries = 0\n")
    variables = {**os.environ, "GATE_SIGNING_KEY": key.public.source}
    # By itself: MLflow's tables, made where warnings are errors, would fail in every later test of this process.
    command = [sys.executable, "-m", "gate", "serve", "--config", str(path), "--check"]
    ended = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=120, check=False)
    said = ended.stdout + ended.stderr
    assert "postgresql+psycopg://127.0.0.1:1/mlflow" in said, said
    assert "Zm9v" not in said


@pytest.mark.parametrize(
    "address", ["gate.example", "ftp://gate.example/webhooks/mlflow", "https://gate.example/", "::"]
)
def test_an_address_for_the_webhook_that_is_none_is_refused(written, monkeypatch, address):
    """Before the registry is asked."""
    path, _ = written()
    monkeypatch.setattr(run, "open_watched", lambda _settings: None)
    with pytest.raises(UsageError, match="/webhooks/mlflow"):
        CliRunner().invoke(
            main, ["serve", "--config", str(path), "--register-webhook", address], catch_exceptions=False
        )


BEGIN = 'data = "d"\n'
MODEL = '[[models]]\nname = "a"\npolicy = "p"\n'
OTHER, PROMOTED = MODEL.replace('"a"', '"b"'), 'production = "prod"\n'


NO = "there is no key"
FAULTS = [
    (f"{BEGIN}tracking-uri = 'x'\n{MODEL}", f"line 2: {NO} 'tracking-uri'; 'tracking-uri' stands under [registry]"),
    (f"{BEGIN}[registry]\ntracking-url = 'x'\n{MODEL}", f"line 3: {NO} 'registry.tracking-url'; did you mean 'trac"),
    (f"{BEGIN}{MODEL}{MODEL}sampels = 'x'\n", f"line 8: {NO} 'models.1.sampels'; did you mean 'samples'"),
    (f"{BEGIN}[reviews]\nidentity = 'none'\n{MODEL}", f"line 2: {NO} 'reviews'; did you mean 'review'?"),
    (f"{BEGIN}[registry]\nlisten = 'h:1'\n{MODEL}", f"line 3: {NO} 'registry.listen'; 'listen' stands above all "),
    (f"{BEGIN}registry = {{tracking-url = 'x'}}\n{MODEL}", f"line 2: {NO} 'registry.tracking-url'; did you mean"),
    (f"{BEGIN}{MODEL}[work]\nconcurrency = 0\n", "line 6: at 'work.concurrency': "),
    (f"{BEGIN}[review]\nidentity = 'ldap'\n{MODEL}", "got 'ldap'"),
    (f"{BEGIN}[[models]]\nname = 'a'\n", "line 2: the key 'models.0.policy' is missing"),
    (f"{BEGIN}[watch]\nrescan = 'weekly'\n{MODEL}", "line 3: at 'watch.rescan': expected a cron line of five fields"),
    (f"{BEGIN}[watch]\nrescan = '0 0 30 2 *'\n{MODEL}", "line 3: at 'watch.rescan': expected a cron line whose time"),
    (f"{BEGIN}[review]\nproxies = ['proxy.example']\n{MODEL}", "line 3: at 'review.proxies.0': 'proxy.example' does"),
    (f"{BEGIN}[review]\nproxies = ['10.0.0.5/24']\n{MODEL}", "10.0.0.5/24 has host bits set; expected an address"),
    (f"{BEGIN}[review]\nproxies = ['::/0']\n{MODEL}", "line 3: at 'review.proxies.0': from every address anybody"),
    (
        f"{BEGIN}{MODEL}{PROMOTED}{OTHER}{PROMOTED}",
        "gate.toml: 'a' and 'b' are both promoted into 'prod', whose versions",
    ),
    (f"{BEGIN}zzz = 1\n{MODEL}", f"line 2: {NO} 'zzz'; expected one of audit-log, data, "),
]


@pytest.mark.parametrize(("text", "said"), FAULTS)
def test_a_fault_in_the_configuration_has_its_line_and_what_was_meant(tmp_path, monkeypatch, text, said):
    """One sentence that names the file, the line and the key."""
    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "a-secret")
    (tmp_path / "gate.toml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_settings(tmp_path / "gate.toml")
    assert f"gate.toml: {said}" in str(caught.value) or said in str(caught.value)
    assert "docs/reference/serve.md" in caught.value.what_to_do


def test_an_address_with_a_token_is_not_repeated(tmp_path, monkeypatch):
    """The sentence goes into logs."""
    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "a-secret")
    (tmp_path / "gate.toml").write_text(f"{BEGIN}[watch]\nalert-url = 'ftp://user:hidden@host'\n{MODEL}")
    with pytest.raises(UsageError, match=r"watch\.alert-url") as caught:
        read_settings(tmp_path / "gate.toml")
    assert "hidden" not in str(caught.value)


def test_candidate_models_stand_beside_each_other_with_production_models_of_their_own_or_none(tmp_path, monkeypatch):
    """Any number of them may have none."""
    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "a-secret")
    another, third = (MODEL.replace('"a"', name) for name in ('"c"', '"d"'))
    (tmp_path / "gate.toml").write_text(f"{BEGIN}{MODEL}{PROMOTED}{OTHER}production = 'prod-b'\n{another}{third}")
    assert [one.production for one in read_settings(tmp_path / "gate.toml").file.models] == [
        "prod",
        "prod-b",
        None,
        None,
    ]
