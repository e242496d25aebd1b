import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from gate.jail import Isolation, IsolationError, JailSpec, interpreter_paths, landlock, probe, source_roots
from gate.records.errors import CannotFinishError

ROOT = Path(__file__).resolve().parents[2]
needs_everything = pytest.mark.skipif(probe().level != "full", reason=f"this kernel gives only: {probe()}")

PREAMBLE = f"""
import json, os, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from gate.jail import *
from gate.jail import entry
scratch = Path(os.environ["TMPDIR"])
def spec(**changes):
    return JailSpec(**(dict(readable=interpreter_paths(), listable=source_roots(), writable=(scratch,),
                            cpu_seconds=100, file_size_bytes=1 << 20) | changes))
"""


def in_a_child(scratch, body, *, timeout=60):
    """Run code in a fresh interpreter whose scratch is `scratch`."""
    return subprocess.run(
        [sys.executable, "-I", "-B", "-c", PREAMBLE + textwrap.dedent(body)],
        env={
            "PATH": "/usr/bin:/bin",
            "TMPDIR": str(scratch),
            "HOME": str(scratch),
            "USER": "x",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        check=False,
        text=True,
        cwd=scratch,
        timeout=timeout,
    )


@needs_everything
def test_torch_works_in_the_jail(tmp_path):
    """Forward, backward, `torch.export` and writing a tensor work when torch is imported after entering."""
    child = in_a_child(
        tmp_path,
        """
        isolation = enter(spec(address_space_bytes=16 << 30))
        import torch
        torch.set_num_threads(2)
        layers = torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(144, 2)
        model = torch.nn.Sequential(*layers)
        x = torch.randn(8, 3, 8, 8, requires_grad=True)
        model(x).sum().backward()
        import torch.export
        program = torch.export.export(model.eval(), (x.detach(),))
        torch.save(x.detach(), scratch / "x.pt")
        same = torch.equal(torch.load(scratch / "x.pt", weights_only=True), x.detach())
        print(json.dumps([str(isolation), list(x.grad.shape), len(list(program.graph.nodes)) > 4, same]))
        """,
        timeout=300,
    )
    assert child.returncode == 0, child.stderr
    assert json.loads(child.stdout) == [str(probe()), [8, 3, 8, 8], True, True]


@needs_everything
def test_entering_twice_is_an_error(tmp_path):
    """A second `enter` says that the process is already in a jail."""
    child = in_a_child(tmp_path, "enter(spec())\nenter(spec())")
    assert child.returncode == 1
    assert "IsolationError: this process is already in a jail" in child.stderr


@needs_everything
def test_entering_with_threads_is_an_error(tmp_path):
    """An older thread would stay free, so `enter` refuses before it changes anything."""
    child = in_a_child(
        tmp_path,
        """
        import threading
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        try:
            enter(spec())
        except IsolationError as error:
            print(error, "|", error.what_to_do)
        print(len(Path("/etc/passwd").read_bytes()) > 0)
        stop.set()
        """,
    )
    assert "expected 1 thread, found 2" in child.stdout
    assert "before importing numpy" in child.stdout
    assert child.stdout.endswith("True\n")


@pytest.mark.parametrize(
    ("abi", "seccomp", "least", "expected"),
    [(7, False, "full", "partial"), (0, True, "full", "partial"), (0, False, "partial", "none")],
)
def test_a_weaker_kernel_is_refused_before_anything_is_changed(tmp_path, abi, seccomp, least, expected):
    """Where the kernel gives less than asked, `enter` raises, says what is missing, and leaves the process free."""
    child = in_a_child(
        tmp_path,
        f"""
        weak = Isolation.of(landlock_abi={abi}, seccomp={seccomp})
        try:
            entry._enter(spec(), least={least!r}, possible=weak)
        except IsolationError as error:
            print(error)
        import socket
        socket.socket().close()
        print("free" if Path("/etc/passwd").read_bytes() else "")
        """,
    )
    assert f"this machine gives the isolation '{expected}" in child.stdout
    assert f"expected at least '{least}'" in child.stdout
    assert child.stdout.endswith("free\n")


def test_no_isolation_by_explicit_choice_is_recorded(tmp_path):
    """With `least="none"` on a kernel without either layer the worker goes on, and the level says so."""
    child = in_a_child(
        tmp_path,
        """
        print(entry._enter(spec(), least="none", possible=Isolation.of(landlock_abi=0, seccomp=False)))
        """,
    )
    assert child.stdout.startswith("none; missing Landlock: files"), child.stderr
    assert "seccomp: network" in child.stdout


@needs_everything
@pytest.mark.parametrize(
    ("sabotage", "named"),
    [
        ("landlock.restrict = lambda *_: None", "listing / works inside it"),
        ("seccomp.install = lambda: None", "opening a socket works inside it"),
    ],
)
def test_a_layer_that_does_not_hold_is_found_by_the_canaries(tmp_path, sabotage, named):
    """If a layer was applied and does nothing, `enter` raises before anything untrusted is read."""
    child = in_a_child(tmp_path, f"from gate.jail import landlock, seccomp\n{sabotage}\nenter(spec())")
    assert child.returncode == 1
    assert f"IsolationError: the jail does not hold: {named}" in child.stderr


@needs_everything
@pytest.mark.parametrize("canary", ["_execute", "_fork"])
def test_each_canary_notices_an_open_door(tmp_path, canary):
    """Outside a jail the canaries for programs and processes report that the forbidden works."""
    child = in_a_child(tmp_path, f"from gate.jail import canaries\nprint(canaries._works(canaries.{canary}), end='')")
    assert child.stdout == "True", child.stderr


@needs_everything
def test_an_unwritable_scratch_is_named(tmp_path):
    """A scratch that the worker cannot use is reported at once, not as an odd failure later."""
    (tmp_path / "file").write_text("no directory")
    child = in_a_child(tmp_path, "enter(spec(writable=(scratch / 'file',)))")
    assert "IsolationError: the worker cannot write to its scratch" in child.stderr


@needs_everything
def test_a_missing_path_is_named(tmp_path):
    """A readable path that does not exist is a fault in the request, not silently left out."""
    child = in_a_child(tmp_path, "enter(spec(readable=(*interpreter_paths(), scratch / 'absent')))")
    assert "absent', which cannot be opened" in child.stderr


@needs_everything
@pytest.mark.parametrize(
    ("body", "signal"),
    [("while True: pass", 9), ("Path(scratch, 'big').write_bytes(b'x' * (1 << 20) + b'y')", None)],
)
def test_limits_hold(tmp_path, body, signal):
    """Processor time ends the process, and a file cannot grow past its limit."""
    child = in_a_child(tmp_path, f"enter(spec(cpu_seconds=1))\n{body}")
    if signal:
        assert child.returncode == -signal
    else:
        assert "File too large" in child.stderr
    assert not Path(tmp_path, "core").exists()


@needs_everything
def test_memory_is_bounded_by_address_space(tmp_path):
    """An allocation beyond the address space is a MemoryError in the worker, not an outage of the machine."""
    child = in_a_child(tmp_path, "enter(spec(address_space_bytes=1 << 30))\nbytearray(2 << 30)")
    assert "MemoryError" in child.stderr


@needs_everything
def test_a_device_may_be_driven_only_if_it_was_named(tmp_path):
    """A named device opens for reading and writing, and then threads can be named as a GPU's driver does it."""
    body = """
        import threading
        enter(spec(devices={devices}))
        results = []
        def try_both():
            for path, text in (("/dev/full", "x"), (f"/proc/self/task/{{threading.get_native_id()}}/comm", "named")):
                try:
                    descriptor = os.open(path, os.O_WRONLY)
                    os.write(descriptor, text.encode())
                    results.append(0)
                except OSError as error:
                    results.append(error.errno)
        thread = threading.Thread(target=try_both)
        thread.start(); thread.join()
        print(results)
        """
    no_space, forbidden = 28, 13
    assert in_a_child(tmp_path, body.format(devices="(Path('/dev/full'),)")).stdout == f"[{no_space}, 0]\n"
    assert in_a_child(tmp_path, body.format(devices="()")).stdout == f"[{forbidden}, {forbidden}]\n"


@needs_everything
def test_the_worker_dies_with_its_parent(tmp_path):
    """When the process that started the worker is killed, the kernel kills the worker."""
    code = PREAMBLE + "enter(spec())\nprint(os.getpid(), flush=True)\nimport time; time.sleep(60)"
    middle = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-I', '-B', '-c', sys.argv[1]],"
        " stdout=subprocess.PIPE); print(p.stdout.readline().decode(), flush=True); import os; os.kill(os.getpid(), 9)"
    )
    parent = subprocess.run(
        [sys.executable, "-I", "-B", "-c", middle, code],
        env={"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
    )
    worker = int(parent.stdout)
    assert parent.returncode == -9
    assert _ends(worker)


def _ends(pid, seconds=5.0):
    import time

    for _ in range(int(seconds / 0.05)):
        status = Path(f"/proc/{pid}/stat")
        try:
            if status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"readable": (Path("relative"),)}, "expected an absolute one"),
        ({"readable": (Path("/"),)}, "opens the whole file system"),
        ({"writable": (Path("/tmp/.."),)}, "opens the whole file system"),
        ({"writable": ()}, "without a writable directory"),
    ],
)
def test_a_careless_request_is_refused(changes, named):
    """A jail that would be none, or that has no scratch, cannot be described."""
    good = {"readable": (), "writable": (Path("/tmp/x"),), "cpu_seconds": 1, "file_size_bytes": 1}
    with pytest.raises(IsolationError, match=named):
        JailSpec(**(good | changes))
    assert issubclass(IsolationError, CannotFinishError)


def test_isolation_says_how_far_it_goes():
    """The text in the evidence names level, layers and what is missing; levels are ordered."""
    full = Isolation.of(landlock_abi=7, seccomp=True)
    half = Isolation.of(landlock_abi=0, seccomp=True)
    assert str(full) == "full (Landlock ABI 7, seccomp)"
    assert str(half).startswith("partial (seccomp); missing Landlock: ")
    assert full.at_least("full")
    assert half.at_least("partial")
    assert not half.at_least("full")


@pytest.mark.parametrize(("abi", "rights", "size"), [(1, 13, 8), (2, 14, 8), (3, 15, 8), (4, 15, 16), (5, 16, 16),
                                                     (6, 16, 24), (7, 16, 24), (9, 17, 24), (12, 17, 24)])  # fmt: skip
def test_every_right_of_an_interface_is_handled(abi, rights, size):
    """All rights that a Landlock version knows are denied by default, none that it does not know is asked for."""
    attributes = landlock.ruleset_attributes(abi)
    assert len(attributes) == size
    assert int.from_bytes(attributes[:8], sys.byteorder) == (1 << rights) - 1


def test_no_rule_gives_the_right_to_execute():
    """Neither reading, changing nor driving a device includes executing, sockets, pipes or symbolic links."""
    forbidden = landlock.EXECUTE | 1 << 6 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12
    for rights in (landlock.READ, landlock.CHANGE, landlock.DRIVE):
        assert not rights & forbidden


def test_a_checkout_is_opened_only_as_far_as_it_holds_packages(tmp_path):
    """Of a source root on the path, packages and modules may be read, secrets beside them not."""
    checkout = tmp_path / "checkout"
    for folder in ("package", ".git", "secrets"):
        (checkout / folder).mkdir(parents=True)
    (checkout / "package" / "__init__.py").touch()
    (checkout / "module.py").touch()
    (checkout / ".env").touch()
    child = in_a_child(
        tmp_path,
        "sys.path.insert(0, str(scratch / 'checkout'))\n"
        "print(json.dumps([list(map(str, interpreter_paths())), list(map(str, source_roots()))]))",
    )
    readable, listable = json.loads(child.stdout)
    here = str(checkout.resolve())
    assert {path for path in readable if path.startswith(here)} == {f"{here}/package", f"{here}/module.py"}
    assert here in listable


def test_a_home_directory_is_never_opened(tmp_path):
    """With the home directory on the path of modules, it is neither listed nor read as a whole."""
    child = in_a_child(
        tmp_path,
        "sys.path.insert(0, str(Path.home()))\nprint(Path.home() in (*interpreter_paths(), *source_roots()))",
    )
    assert child.stdout == "False\n", child.stderr


def test_the_paths_hold_the_interpreter():
    """The standard library and the installed packages are inside, and nothing is listed twice."""
    import sysconfig

    paths = interpreter_paths()
    for name in ("stdlib", "purelib"):
        assert any(Path(sysconfig.get_path(name)).resolve().is_relative_to(path) for path in paths)
    assert all(path.is_absolute() for path in (*paths, *source_roots()))
    assert len(set(paths)) == len(paths)
