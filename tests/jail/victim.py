"""A parent with everything worth stealing, for the tests of the jail: `victim.py FOLDER JSON`.

Holds a token in its environment, a private credential file, servers on every kind of socket, shared memory and signal
handlers; starts `attacks.py` as its child and prints, as JSON, the child's outcomes and what it noticed itself.
"""

# ruff: noqa: D103, PTH208, T201  # a script that reports to its test

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
token = os.environ["GATE_TOKEN"]
noticed = {"SIGUSR1": 0, "SIGIO": 0}


def count(name):
    def handler(*_):
        noticed[name] += 1

    return handler


signal.signal(signal.SIGUSR1, count("SIGUSR1"))
signal.signal(signal.SIGIO, count("SIGIO"))

scratch, outside, readable = folder / "scratch", folder / "outside", folder / "readable"
for directory in (scratch, outside, readable):
    directory.mkdir()
credential = folder / "credential"
credential.write_text(token)
credential.chmod(0o600)
os.utime(credential, (1_700_000_000, 1_700_000_000))
for name in ("module.py", "emptied-by-path", "emptied-by-opening", "emptied-in-mode-three"):
    (readable / name).write_text("content = 1\n")


def bound(kind, family, address, *, listening):
    server = socket.socket(family, kind)
    server.bind(address)
    server.setblocking(False)
    if listening:
        server.listen()
    return server


label = f"gate-jail-test-{os.getpid()}"
servers = {
    "tcp": bound(socket.SOCK_STREAM, socket.AF_INET, ("127.0.0.1", 0), listening=True),
    "unix": bound(socket.SOCK_STREAM, socket.AF_UNIX, str(folder / "s"), listening=True),
    "abstract": bound(socket.SOCK_STREAM, socket.AF_UNIX, f"\0{label}", listening=True),
    "udp": bound(socket.SOCK_DGRAM, socket.AF_INET, ("127.0.0.1", 0), listening=False),
    "unix-datagram": bound(socket.SOCK_DGRAM, socket.AF_UNIX, str(folder / "d"), listening=False),
    "abstract-datagram": bound(socket.SOCK_DGRAM, socket.AF_UNIX, f"\0{label}-d", listening=False),
}
secret = ctypes.create_string_buffer(b"secret!!")
libc = ctypes.CDLL(None)
shared_memory = libc.shmget(0, 4096, 0o1600)

target = {
    **settings,
    "victim": os.getpid(),
    "token": token,
    "scratch": str(scratch),
    "outside": str(outside),
    "readable": str(readable),
    "credential": str(credential),
    "installed_module": str(readable / "module.py"),
    "emptied_by_path": str(readable / "emptied-by-path"),
    "emptied_by_opening": str(readable / "emptied-by-opening"),
    "emptied_in_mode_three": str(readable / "emptied-in-mode-three"),
    "tcp_port": servers["tcp"].getsockname()[1],
    "udp_port": servers["udp"].getsockname()[1],
    "unix_path": str(folder / "s"),
    "abstract_name": label,
    "unix_datagram_path": str(folder / "d"),
    "abstract_datagram_name": f"{label}-d",
    "secret_address": ctypes.addressof(secret),
    "secret_descriptor": servers["tcp"].fileno(),
    "shared_memory": shared_memory,
}
try:
    child = subprocess.run(
        [sys.executable, "-I", "-B", str(Path(__file__).with_name("attacks.py")), json.dumps(target)],
        env={"PATH": "/usr/bin:/bin", "HOME": str(scratch), "TMPDIR": str(scratch), "LANG": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        text=True,
        cwd=scratch,
        start_new_session=True,
        timeout=100,
    )
finally:
    libc.shmctl(shared_memory, 0, None)
time.sleep(0.05)
for name, server in servers.items():
    noticed[name] = 0
    while True:
        try:
            server.accept()[0].close() if server.type == socket.SOCK_STREAM else server.recv(100)
        except BlockingIOError:
            break
        noticed[name] += 1
status = credential.stat()
noticed |= {
    "credential-mode": oct(status.st_mode & 0o777),
    "credential-time": int(status.st_mtime),
    "outside": sorted(os.listdir(outside)),
    "readable": {path.name: path.read_text() for path in readable.iterdir()},
    "left-in-scratch": sorted(os.listdir(scratch)),
}
print(
    json.dumps({"exit": child.returncode, "stderr": child.stderr[-3000:], "stdout": child.stdout, "noticed": noticed})
)
