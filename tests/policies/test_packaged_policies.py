"""Which policy `--policy` means: packaged ones by bare name, files by path, and what became of the old paths."""

import os
from pathlib import Path

import pytest

from gate.cli.main import main
from gate.policies.packaged import (
    DEFAULT,
    FILES_ONLY,
    NAMES,
    POLICIES,
    packaged_name,
    policy_at,
    policy_word,
    successor,
)
from gate.policies.read import read_policy
from gate.policies.source import policy_source
from gate.records.clock import today
from gate.records.errors import PolicyError


def test_every_packaged_policy_has_its_name():
    """The names are those of the files, so that a new file cannot be forgotten."""
    assert {path.stem for path in POLICIES.glob("*.yml")} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_bare_name_is_the_packaged_policy_whatever_lies_here(name, tmp_path, monkeypatch):
    """A file of that name in the working directory changes nothing."""
    (tmp_path / name).write_text("version: 1\n")
    (tmp_path / f"{name}.yml").write_text("version: 1\n")
    monkeypatch.chdir(tmp_path)
    assert policy_at(name) == POLICIES / f"{name}.yml"
    assert read_policy(policy_at(name), on=today()).name == name


@pytest.mark.parametrize("path", ["./default", "default.yml", "policies/default.yml", "/etc/gate/default", "Default"])
def test_anything_else_is_a_path(path):
    """Slash, ending or another letter make it a file's path, taken as it is."""
    assert policy_at(path) == Path(path)


def test_a_dot_and_a_slash_name_a_file_on_the_command_line(tmp_path, monkeypatch):
    """`./default` reaches the command as the file, not as the bare name."""
    from click.testing import CliRunner

    (tmp_path / "default").write_text("colour: green\n")
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, ["check", "models:/m/1", "--policy", "./default"])
    assert "unknown key 'colour'" in str(result.exception)


@pytest.mark.parametrize("name", NAMES)
def test_the_old_path_says_what_replaced_it(name, tmp_path, monkeypatch):
    """A pipeline that still names policies/default.yml ends with the line to write instead."""
    monkeypatch.chdir(tmp_path)
    for path in (Path(f"policies/{name}.yml"), tmp_path / "policies" / f"{name}.yml"):
        assert successor(path).endswith(f"write --policy {name}.")
        with pytest.raises(PolicyError, match="No such file") as caught:
            read_policy(path, on=today())
        assert f"--policy {name}" in caught.value.what_to_do
    assert successor(Path("policies/credit.yml")) == ""
    assert successor(Path("default.yml")) == ""


def test_a_policy_that_is_gone_is_an_error_whatever_lies_here(tmp_path, monkeypatch):
    """A pipeline that still says `--policy strict` must not be answered by a file of that name that somebody added."""
    (tmp_path / "strict").write_bytes(DEFAULT.read_bytes())
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        PolicyError, match=r"'strict' is gone since 0\.1\.0: use default, or a copy of it with"
    ) as caught:
        policy_at("strict")
    assert "default, files-only, text, adapter and language" in caught.value.what_to_do
    with pytest.raises(PolicyError, match="No such file") as caught:
        read_policy(Path("policies/strict.yml"), on=today())
    assert caught.value.what_to_do.startswith("The policy 'strict' is gone since")
    assert policy_at("./strict") == Path("./strict")


def test_a_packaged_policy_is_known_by_any_path(tmp_path):
    """A link to the folder, as in the image, is the packaged policy too; a copy is a file of the user's own."""
    (tmp_path / "policies").symlink_to(POLICIES)
    (tmp_path / "copy.yml").write_bytes(FILES_ONLY.read_bytes())
    assert packaged_name(tmp_path / "policies" / "files-only.yml") == "files-only"
    assert policy_word(tmp_path / "policies" / "files-only.yml") == "files-only"
    assert packaged_name(tmp_path / "copy.yml") is None
    assert policy_word(tmp_path / "copy.yml") == str(tmp_path / "copy.yml")


def test_a_packaged_policy_is_no_file_of_the_tree(monkeypatch):
    """Even below the working directory it has lines and no path: surfaces show the user's tree, not an installation."""
    monkeypatch.chdir(POLICIES.parents[1])
    source = policy_source(DEFAULT)
    assert source.path == ""
    assert source.lines["neural-cleanse/anomaly-index"] > 1


def test_a_policy_of_the_user_keeps_its_path(tmp_path, monkeypatch):
    """Relative to where the gate runs, as annotations need it."""
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "default.yml").write_bytes(DEFAULT.read_bytes())
    monkeypatch.chdir(tmp_path)
    assert policy_source(Path("rules/default.yml")).path == os.path.join("rules", "default.yml")  # noqa: PTH118


@pytest.mark.parametrize(("named", "expected"), [("files-only", FILES_ONLY), ("p/own.yml", None)])
def test_the_service_takes_a_packaged_policy_by_its_name(named, expected, tmp_path, monkeypatch):
    """In its configuration too, where other policies are relative to the file's folder."""
    from gate.service.settings import read_settings

    monkeypatch.setenv("GATE_WEBHOOK_SECRET", "s" * 40)
    (tmp_path / "gate.toml").write_text(
        f'data = "data"\n[registry]\ntracking-uri = "http://127.0.0.1:9"\n[[models]]\nname = "m"\npolicy = "{named}"\n'
    )
    (model,) = read_settings(tmp_path / "gate.toml").file.models
    assert model.policy == (expected or tmp_path / named)
