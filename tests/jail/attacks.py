"""What a hostile worker would try, in a harmless version: only marker files and its own test's processes are touched.

Run by `victim.py` as its child: `attacks.py JSON`. Without a jail each attack runs in a fork of its own; inside the
jail all run one after the other in the jailed process. Prints attack → outcome as JSON: "succeeded" or "blocked: …".
"""

# ruff: noqa: BLE001, D103, PTH116, PTH208, PTH211, T201  # a script: names say what is tried; the calls are tried as an attacker would

import ctypes
import errno
import fcntl
import json
import mmap
import os
import pickle
import resource
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

ROOT = str(Path(__file__).resolve().parents[2])
sys.path.insert(0, ROOT)

from gate.jail import JailSpec, entry, interpreter_paths, source_roots  # noqa: E402
from gate.jail.kernel import prctl, syscall  # noqa: E402
from gate.jail.seccomp import PROCESSORS  # noqa: E402
from gate.jail.spec import Isolation  # noqa: E402

NUMBERS = PROCESSORS[os.uname().machine].syscalls
ATTACKS: dict[str, Callable[[SimpleNamespace], None]] = {}
libc = ctypes.CDLL(None, use_errno=True)


def attack(function):
    ATTACKS[function.__name__.replace("_", "-")] = function
    return function


def refused_if_not(condition, what):
    """Turn an attack that failed without an exception into one with."""
    if not condition:
        raise PermissionError(errno.EPERM, what)


# ------------------------------------------------------------------------------------ programs and processes


@attack
def run_a_shell(t):
    os.system(f"touch {t.scratch}/shell-ran")
    refused_if_not(Path(t.scratch, "shell-ran").exists(), "no shell")


@attack
def run_a_subprocess(t):
    subprocess.run(["/bin/true"], check=True)


@attack
def unpickle_a_shell(t):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {t.scratch}/pickle-ran",)

    pickle.loads(pickle.dumps(Payload()))
    refused_if_not(Path(t.scratch, "pickle-ran").exists(), "no shell")


@attack
def run_a_program_from_memory(t):
    descriptor = os.memfd_create("program", 0)
    os.write(descriptor, b"#!/bin/true\n")
    os.execve(descriptor, ["program"], {})


@attack
def fork(t):
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


@attack
def clone_a_process_by_clone3(t):
    arguments = (ctypes.c_uint64 * 8)(0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    child = syscall(NUMBERS["clone3"], ctypes.addressof(arguments), 64)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)


# ------------------------------------------------------------------------------------ the network and local sockets


@attack
def connect_by_tcp(t):
    with socket.create_connection(("127.0.0.1", t.tcp_port), timeout=2) as connection:
        connection.sendall(b"stolen")


@attack
def listen_by_tcp(t):
    with socket.create_server(("127.0.0.1", 0)):
        pass


@attack
def send_by_udp(t):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"stolen", ("127.0.0.1", t.udp_port))


@attack
def connect_to_a_unix_socket(t):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(t.unix_path)


@attack
def connect_to_an_abstract_socket(t):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect("\0" + t.abstract_name)


@attack
def send_to_a_unix_socket_from_a_datagram_pair(t):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"stolen", t.unix_datagram_path)


@attack
def send_to_an_abstract_socket_from_a_datagram_pair(t):
    one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with one, other:
        one.sendto(b"stolen", "\0" + t.abstract_datagram_name)


@attack
def send_to_a_unix_socket_from_a_stream_pair(t):
    one, other = socket.socketpair()
    with one, other:
        one.sendto(b"stolen", t.unix_datagram_path)


# ------------------------------------------------------------------------------------ the parent


@attack
def read_the_parents_environment(t):
    refused_if_not(t.token in Path(f"/proc/{t.victim}/environ").read_text(), "not there")


@attack
def open_the_parents_memory(t):
    os.close(os.open(f"/proc/{t.victim}/mem", os.O_RDWR))


@attack
def list_the_parents_descriptors(t):
    os.listdir(f"/proc/{t.victim}/fd")


@attack
def read_the_parents_command_line(t):
    Path(f"/proc/{t.victim}/cmdline").read_bytes()


@attack
def trace_the_parent(t):
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    seize = 0x4206
    if libc.ptrace(seize, t.victim, None, None) < 0:
        raise OSError(ctypes.get_errno(), "ptrace")


@attack
def copy_the_parents_memory(t):
    buffer = ctypes.create_string_buffer(8)
    local = (ctypes.c_uint64 * 2)(ctypes.addressof(buffer), 8)
    remote = (ctypes.c_uint64 * 2)(t.secret_address, 8)
    syscall(NUMBERS["process_vm_readv"], t.victim, ctypes.addressof(local), 1, ctypes.addressof(remote), 1, 0)


@attack
def take_the_parents_descriptor(t):
    descriptor = syscall(NUMBERS["pidfd_open"], t.victim, 0)
    os.close(syscall(NUMBERS["pidfd_getfd"], descriptor, t.secret_descriptor, 0))


@attack
def signal_the_parent(t):
    os.kill(t.victim, signal.SIGUSR1)


@attack
def signal_the_parents_thread(t):
    syscall(NUMBERS["tgkill"], t.victim, t.victim, signal.SIGUSR1)


@attack
def signal_the_process_group(t):
    os.kill(0, 0)


@attack
def signal_the_parent_through_a_descriptor(t):
    one, other = socket.socketpair()
    with one, other:
        fcntl.fcntl(one, fcntl.F_SETOWN, t.victim)
        fcntl.fcntl(one, fcntl.F_SETFL, fcntl.fcntl(one, fcntl.F_GETFL) | os.O_ASYNC)
        other.send(b"!")


@attack
def lower_the_parents_limits(t):
    resource.prlimit(t.victim, resource.RLIMIT_CORE, (0, 0))


@attack
def slow_the_parent_down(t):
    os.setpriority(os.PRIO_PROCESS, t.victim, 19)


@attack
def pin_the_parent_to_a_processor(t):
    os.sched_setaffinity(t.victim, os.sched_getaffinity(t.victim))


@attack
def attach_the_parents_shared_memory(t):
    libc.shmat.restype = ctypes.c_void_p
    libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    if libc.shmat(t.shared_memory, None, 0) == ctypes.c_void_p(-1).value:
        raise OSError(ctypes.get_errno(), "shmat")


@attack
def outlive_the_parent(t):
    prctl(1, 0)
    refused_if_not(not t.jailed or death_signal() == 0, "the death signal stays")


def death_signal():
    value = ctypes.c_int()
    libc.prctl(2, ctypes.byref(value), 0, 0, 0)
    return value.value


# ------------------------------------------------------------------------------------ files


@attack
def read_the_credential_file(t):
    refused_if_not(t.token in Path(t.credential).read_text(), "not there")


@attack
def read_the_credential_file_in_a_thread(t):
    found = []
    thread = threading.Thread(target=lambda: found.append(_readable(t.credential)))
    thread.start()
    thread.join()
    refused_if_not(found == [True], "not readable")


def _readable(path):
    try:
        Path(path).read_bytes()
    except OSError:
        return False
    return True


@attack
def open_the_credential_file_to_all(t):
    Path(t.credential).chmod(0o644)


@attack
def open_the_credential_file_to_all_by_fchmodat(t):
    libc.fchmodat.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint, ctypes.c_int]
    if libc.fchmodat(-100, t.credential.encode(), 0o644, 0) < 0:
        raise OSError(ctypes.get_errno(), "fchmodat")


@attack
def touch_the_credential_file(t):
    os.utime(t.credential, (0, 0))


@attack
def link_the_credential_file_into_the_scratch(t):
    os.link(t.credential, f"{t.scratch}/linked")


@attack
def leave_a_symbolic_link_for_the_parent(t):
    os.symlink(t.credential, f"{t.scratch}/pointer")


@attack
def leave_a_named_pipe_for_the_parent(t):
    os.mkfifo(f"{t.scratch}/pipe")


@attack
def read_etc_passwd(t):
    Path("/etc/passwd").read_bytes()


@attack
def list_the_root(t):
    os.listdir("/")


@attack
def read_a_file_beside_the_package(t):
    refused_if_not(Path(ROOT, "pyproject.toml").read_bytes(), "empty")


@attack
def write_outside_the_scratch(t):
    Path(t.outside, "written").write_text("here I was")


@attack
def rename_a_file_out_of_the_scratch(t):
    Path(t.scratch, "mine").write_text("mine")
    Path(t.scratch, "mine").rename(Path(t.outside, "mine"))


@attack
def overwrite_an_installed_module(t):
    with Path(t.installed_module).open("a") as module:
        module.write("# changed\n")


@attack
def remove_an_installed_module(t):
    Path(t.installed_module).rename(t.installed_module + ".gone")
    Path(t.installed_module + ".gone").rename(t.installed_module)


@attack
def empty_a_readable_file_by_path(t):
    os.truncate(t.emptied_by_path, 0)


@attack
def empty_a_readable_file_by_opening_it(t):
    os.close(os.open(t.emptied_by_opening, os.O_RDONLY | os.O_TRUNC))
    refused_if_not(os.stat(t.emptied_by_opening).st_size == 0, "still full")


@attack
def empty_a_readable_file_in_access_mode_three(t):
    os.close(os.open(t.emptied_in_mode_three, 3 | os.O_TRUNC))
    refused_if_not(os.stat(t.emptied_in_mode_three).st_size == 0, "still full")


@attack
def watch_a_directory_outside(t):
    descriptor = libc.inotify_init1(0)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "inotify_init1")
    if libc.inotify_add_watch(descriptor, t.outside.encode(), 0x100) < 0:
        raise OSError(ctypes.get_errno(), "inotify_add_watch")


# ------------------------------------------------------------------------------------ the jail itself


@attack
def enter_new_namespaces(t):
    new_user, new_net = 0x10000000, 0x40000000
    syscall(NUMBERS["unshare"], new_user | new_net)


@attack
def change_the_root(t):
    new_user = 0x10000000
    if os.geteuid() != 0:
        syscall(NUMBERS["unshare"], new_user)
    os.chroot(t.scratch)


@attack
def mount_a_file_system(t):
    path = ctypes.create_string_buffer(t.scratch.encode())
    kind = ctypes.create_string_buffer(b"tmpfs")
    new_user, new_mounts = 0x10000000, 0x00020000
    syscall(NUMBERS["unshare"], new_mounts if os.geteuid() == 0 else new_user | new_mounts)
    syscall(NUMBERS["mount"], ctypes.addressof(kind), ctypes.addressof(path), ctypes.addressof(kind), 0, 0)


@attack
def become_root(t):
    os.setuid(0)


@attack
def become_another_user(t):
    os.setresuid(1, 1, 1)


@attack
def raise_the_processor_limit(t):
    soft, hard = resource.getrlimit(resource.RLIMIT_CPU)
    wanted = hard + 1000 if hard != resource.RLIM_INFINITY else hard
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (soft, wanted))
    except ValueError as error:
        raise PermissionError(errno.EPERM, str(error)) from None


@attack
def use_io_uring(t):
    parameters = ctypes.create_string_buffer(120)
    os.close(syscall(NUMBERS["io_uring_setup"], 1, ctypes.addressof(parameters)))


@attack
def use_the_kernels_keyring(t):
    get_keyring_id, session = 0, (1 << 64) - 3
    syscall(NUMBERS["keyctl"], get_keyring_id, session, 1)


@attack
def type_into_the_terminal(t):
    fcntl.ioctl(0, 0x5412, b"x")


# ------------------------------------------------------------------------------------ what must go on working

NEEDED: dict[str, Callable[[SimpleNamespace], None]] = {}


def needed(function):
    NEEDED[function.__name__.replace("_", "-")] = function
    return function


@needed
def write_and_remove_in_the_scratch(t):
    folder = Path(t.scratch, "folder")
    folder.mkdir()
    (folder / "file").write_text("one")
    (folder / "file").rename(folder / "moved")
    assert (folder / "moved").read_text() == "one"
    (folder / "moved").unlink()
    folder.rmdir()


@needed
def read_the_model(t):
    assert Path(t.installed_module).read_bytes()


@needed
def start_a_thread(t):
    done = []
    thread = threading.Thread(target=done.append, args=(1,))
    thread.start()
    thread.join()
    assert done == [1]


@needed
def run_an_event_loop(t):
    import asyncio

    async def answer():
        await asyncio.sleep(0)
        return 42

    assert asyncio.run(answer()) == 42


@needed
def map_a_file(t):
    with Path(t.installed_module).open("rb") as stream, mmap.mmap(stream.fileno(), 0, prot=mmap.PROT_READ) as view:
        assert len(view) > 0


@needed
def make_a_temporary_file(t):
    import tempfile

    with tempfile.TemporaryDirectory(dir=t.scratch) as folder, tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(b"text")


@needed
def draw_random_bytes_and_discard_output(t):
    assert len(os.urandom(8)) == 8
    Path("/dev/null").write_text("gone")


@needed
def signal_itself(t):
    received = []
    signal.signal(signal.SIGUSR2, lambda *_: received.append(1))
    os.kill(os.getpid(), signal.SIGUSR2)
    signal.raise_signal(signal.SIGUSR2)
    assert received == [1, 1]


def outcome_of(function, target):
    try:
        function(target)
    except OSError as error:
        return f"blocked: {errno.errorcode.get(error.errno or 0, '?')} {error}"
    except BaseException:
        return f"broke: {traceback.format_exc()[-600:]}"
    return "succeeded"


def outcome_in_a_fork(function, target):
    """Run an attack where it can do no harm to the ones after it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(20)
        os.close(reading)
        os.set_inheritable(writing, False)
        with os.fdopen(writing, "w") as stream:
            stream.write(outcome_of(function, target))
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as stream:
        text = stream.read()
    os.waitpid(child, 0)
    return text or "succeeded"  # it was replaced by another program


def main():
    target = SimpleNamespace(**json.loads(sys.argv[1]))
    if target.jailed:
        spec = JailSpec(
            readable=(*interpreter_paths(), Path(target.readable)),
            listable=source_roots(),
            writable=(Path(target.scratch),),
            cpu_seconds=60,
            file_size_bytes=1 << 20,
        )
        possible = Isolation.of(landlock_abi=target.landlock_abi, seccomp=target.seccomp)
        entry._enter(spec, least="none", possible=possible)
    run = outcome_of if target.jailed and target.seccomp else outcome_in_a_fork
    outcomes = {name: run(function, target) for name, function in (ATTACKS | NEEDED).items()}
    outcomes["threads"] = str(len(os.listdir("/proc/self/task")))
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
