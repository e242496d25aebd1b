"""Which processes on one PostgreSQL database are alive: each holds an advisory lock.

The lock belongs to the connection, so the database releases it when a process or its host dies.
"""

import contextlib
import hashlib
import time

import sqlalchemy as sa

from gate.records.errors import UsageError
from gate.records.logins import remember

CONNECT_SECONDS = 10
"""Seconds that the database may take to answer a new connection."""


class Presence:
    """This process's lock, and whether others hold theirs."""

    def __init__(self, database: str, executor: str) -> None:
        remember(database)
        url = sa.make_url(database).set(drivername="postgresql+psycopg")
        patience = {"connect_timeout": CONNECT_SECONDS}
        keepalive = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3}
        self._engine = sa.create_engine(
            url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool, connect_args=patience | keepalive
        )
        self._executor = executor
        self._held: sa.Connection | None = None

    def announce(self) -> None:
        """Take this process's lock; a second process under the same name is an error."""
        self._held = self._engine.connect()
        # Another process that looks whether this one is dead holds the lock for a moment.
        for _ in range(20):
            if self._try(self._held, self._executor):
                return
            time.sleep(0.2)
        raise UsageError(
            f"another process already works as executor {self._executor!r} on this database",
            what_to_do="Give each process a name of its own with `executor`.",
        )

    def dead(self, executor: str) -> bool:
        """Tell whether nobody holds an executor's lock; this process's own is taken again after a lost connection."""
        self._renew()
        with self._engine.connect() as connection:
            return self._try(connection, executor)

    def _renew(self) -> None:
        assert self._held is not None
        try:
            self._held.execute(sa.text("select 1"))
        except sa.exc.DBAPIError:
            with contextlib.suppress(Exception):
                self._held.close()
            self._held = self._engine.connect()
            self._try(self._held, self._executor)

    def leave(self) -> None:
        """Release the lock."""
        if self._held is not None:
            self._held.close()
        self._engine.dispose()

    @staticmethod
    def _try(connection: sa.Connection, executor: str) -> bool:
        digest = hashlib.sha256(f"gate-executor:{executor}".encode()).digest()
        number = int.from_bytes(digest[:8], "big", signed=True)
        found = connection.execute(sa.text("select pg_try_advisory_lock(:number)"), {"number": number})
        return bool(found.scalar_one())
