"""A PostgreSQL server of a test's own, where Debian's package is installed."""

import os
import pwd
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

from tests.service.serving import free_port


def binaries():
    """Return the folder of the server's programs; None where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def _user():
    """PostgreSQL refuses to run as root."""
    try:
        return "postgres" if os.geteuid() == 0 and pwd.getpwnam("postgres") else None
    except KeyError:
        return None


@contextmanager
def database(folder):
    """Yield the address of a PostgreSQL server of its own."""
    found, port, user = binaries(), free_port(), _user()
    where = Path(f"/tmp/gate-pg-{os.getpid()}")
    where.mkdir(mode=0o700)
    if user:
        shutil.chown(where, user)
    options = {"user": user, "cwd": "/", "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    try:
        subprocess.run(
            [found / "initdb", "-D", where / "data", "-A", "trust", "-U", "gate", "--no-sync"], check=True, **options
        )
        flags = f"-p {port} -h 127.0.0.1 -k {where} -F"
        subprocess.run([found / "pg_ctl", "-D", where / "data", "-o", flags, "-w", "start"], check=True, **options)
        yield f"postgresql://gate@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([found / "pg_ctl", "-D", where / "data", "-m", "immediate", "stop"], check=False, **options)
        shutil.rmtree(where, ignore_errors=True)
