"""`gate serve --check` and the database: what would keep the service from its start is said, without a password."""

import os
import socket
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from gate.service import presence
from gate.service.database import database
from gate.service.settings import ServiceFile, Settings
from tests.service import postgres
from tests.service.serving import free_port


@pytest.fixture
def settings(tmp_path):
    """Return settings with SQLite in a folder that is not there yet."""
    file = {"data": tmp_path / "data", "executor": "a", "models": [{"name": "cand", "policy": tmp_path / "p.yml"}]}
    return Settings(ServiceFile.model_validate(file), ("s",), f"sqlite:///{tmp_path / 'data' / 'gate.db'}")


def looked(settings, address=None):
    """Return the state of the database and what is said of it."""
    (found,) = database(replace(settings, database=address) if address else settings)
    return found.state, f"{found.text} {found.mend}"


def test_sqlite_is_made_by_the_first_start(settings):
    """And by no check."""
    state, said = looked(settings)
    assert (state, "the first start makes it" in said) == ("ok", True)
    assert not settings.file.data.exists()


def test_sqlite_is_opened_and_left_as_it_is(settings):
    """A database of an earlier start, which a service may be using."""
    settings.file.data.mkdir()
    path = settings.file.data / "gate.db"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE kept (x)")
        before = path.read_bytes()
        assert looked(settings)[0] == "ok"
    assert path.read_bytes()[:18] == before[:18]
    assert [one.name for one in settings.file.data.iterdir()] == ["gate.db"]


def test_a_file_that_is_no_database_is_found(settings):
    """The start would end with it."""
    settings.file.data.mkdir()
    (settings.file.data / "gate.db").write_bytes(b"no database at all" * 100)
    state, said = looked(settings)
    assert (state, "not a database" in said) == ("wrong", True)


def test_a_database_that_somebody_holds_is_found(settings, monkeypatch):
    """After some seconds."""
    monkeypatch.setattr("gate.service.database._LOCK_SECONDS", 0.1)
    settings.file.data.mkdir()
    with closing(sqlite3.connect(settings.file.data / "gate.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "locked" in looked(settings)[1]


def test_a_folder_that_nobody_makes_is_found(settings, tmp_path):
    """A start makes the folder `data` alone."""
    state, said = looked(settings, f"sqlite:///{tmp_path / 'gone' / 'gate.db'}")
    assert (state, "there is no folder" in said) == ("wrong", True)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_found(settings):
    """SQLite makes files of its own beside the database."""
    settings.file.data.mkdir(mode=0o500)
    assert looked(settings)[0] == "wrong"


def test_a_server_that_is_not_there_is_found_and_no_password_is_shown(settings):
    """Nobody listens on the port."""
    state, said = looked(settings, f"postgresql://gate:hidden@127.0.0.1:{free_port()}/gate")
    assert (state, "cannot be connected to" in said) == ("wrong", True)
    assert "hidden" not in said


def test_a_server_that_never_answers_is_waited_for_some_seconds(settings, monkeypatch):
    """It takes the connection and says nothing."""
    monkeypatch.setattr(presence, "CONNECT_SECONDS", 2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        state, said = looked(settings, f"postgresql://gate:hidden@127.0.0.1:{silent.getsockname()[1]}/gate")
    assert (state, "hidden" in said) == ("wrong", False)


@pytest.mark.parametrize("password", ["hid@den", "hid/den", "hid:d@en", "hid den@", "hid#den:0"])
def test_a_password_that_is_not_escaped_is_not_shown_in_parts(settings, password):
    """What stands behind its first special sign is taken for the host, the port or the database."""
    state, said = looked(settings, f"postgresql://gate:{password}@127.0.0.1:{free_port()}/gate")
    assert state == "wrong"
    assert not [part for part in ("hid", "den", "d@en") if part in said]


@pytest.mark.slow
@pytest.mark.skipif(postgres.binaries() is None, reason="PostgreSQL's server (Debian: postgresql) is not installed")
def test_a_server_is_connected_to_as_a_start_would(settings, tmp_path):
    """A name that another process works under is found too, and a database that is not there."""
    with postgres.database(tmp_path) as address:
        assert looked(settings, address)[0] == "ok"
        other = presence.Presence(address, "a")
        other.announce()
        assert "another process already works as executor 'a'" in looked(settings, address)[1]
        other.leave()
        assert looked(settings, address)[0] == "ok"
        assert "does not exist" in looked(settings, address.replace("/postgres", "/gone"))[1]
