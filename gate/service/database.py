"""Whether the service's database can be used: one connection, as a start makes it. No password is shown."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gate.promotion.machine import Condition, unwritable, wrong
from gate.records.errors import GateError
from gate.service.presence import Presence
from gate.service.settings import DATABASE, Settings

_SQLITE: Final = "sqlite:///"
_LOCK_SECONDS = 5
_FORM = "postgresql://USER:PASSWORD@HOST:PORT/DATABASE"


def database(settings: Settings) -> Iterator[Condition]:
    """Yield whether the database can be written to; nothing in it is changed."""
    if settings.database.startswith(_SQLITE):
        yield _sqlite(Path(settings.database.removeprefix(_SQLITE)).absolute(), settings.file.data)
    else:
        yield _postgresql(settings)


def _sqlite(path: Path, data: Path) -> Condition:
    folder = path.parent
    if not folder.exists() and folder not in {data, *data.parents}:
        text = f"there is no folder {folder} for SQLite's file"
        return Condition("database", "wrong", text, f"Make it, or correct {DATABASE}.")
    if folder.exists() and (why := unwritable(folder)):
        text = f"SQLite cannot write its files in {folder}: {why}"
        return Condition("database", "wrong", text, "Let the service's account write there.")
    if not path.exists():
        return Condition("database", "ok", f"{path}; the first start makes it")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_LOCK_SECONDS)) as opened:
            opened.execute("BEGIN IMMEDIATE")
            opened.execute("ROLLBACK")
    except sqlite3.Error as error:
        mend = f"Stop what holds it, or mend the file or its rights; {DATABASE} names another database."
        return Condition("database", "wrong", f"{path} cannot be written by SQLite: {error}", mend)
    return Condition("database", "ok", f"SQLite, {path}")


def _postgresql(settings: Settings) -> Condition:
    """Take this process's place on the database for a moment, which is the first thing that a start does."""
    url = _url(settings.database)
    if url is None:
        mend = "In a password @, / and : are written as %40, %2F and %3A."
        return Condition("database", "wrong", f"{DATABASE} is no address; expected {_FORM}", mend)
    presence = Presence(settings.database, settings.executor)
    where = f"PostgreSQL, {url.database or 'no database'} at {url.host or 'this host'}"
    try:
        presence.announce()
    except GateError as error:
        return wrong("database", error)
    except sa.exc.SQLAlchemyError as error:
        why = " ".join(str(getattr(error, "orig", None) or type(error).__name__).split())[:300]
        if url.password:
            why = why.replace(str(url.password), "***")
        mend = f"Start it, or correct {DATABASE}."
        return Condition("database", "wrong", f"{where}, cannot be connected to: {why}", mend)
    finally:
        presence.leave()
    return Condition("database", "ok", f"{where}, as executor {settings.executor!r}")


def _url(address: str) -> sa.URL | None:
    """Return an address in its parts; None for one that is none, such as one whose password is not escaped."""
    try:
        url = sa.make_url(address)
    except (sa.exc.ArgumentError, ValueError):
        return None
    return None if "@" in (url.host or "") else url  # the rest of a password, which must not be shown
