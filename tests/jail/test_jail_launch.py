import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gate.jail import inert, launch, probe, rights
from gate.jail.launch import run_worker, scrubbed_environment, worker_command
from gate.jail.listening import OutputLimits
from gate.records.errors import CannotFinishError, UsageError

ROOT = Path(__file__).resolve().parents[2]


def work(scratch, code, *, deadline=30.0, **options):
    """Run code as a worker without a jail: the launcher must hold by itself."""
    return run_worker([sys.executable, "-I", "-B", "-c", code], scratch=scratch, deadline_seconds=deadline, **options)


def has_ended(pid):
    """Tell whether a process is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ends_soon(pid):
    """Wait up to five seconds for a process to end."""
    for _ in range(100):
        if has_ended(pid):
            return True
        time.sleep(0.05)
    return False


def test_a_worker_that_ends_is_reported(tmp_path):
    """Exit code, standard error and lines of standard output come back, the last one without a line end too."""
    lines = []
    code = "import sys; print('one'); print('zwei ü'); sys.stderr.write('hm\\n'); print('three', end=''); sys.exit(3)"
    end = work(tmp_path, code, on_line=lines.append)
    assert (end.exit_code, end.signal, end.timed_out, end.said_too_much) == (3, None, False, False)
    assert lines == ["one", "zwei ü", "three"]
    assert end.stderr_tail == "hm"
    assert not end.ended_by_itself
    assert not end.dropped_user


def test_a_quiet_success_is_one(tmp_path):
    """Exit code 0 with nothing to stop is reported as ended by itself."""
    assert work(tmp_path, "pass").ended_by_itself


def test_the_deadline_kills_a_hanging_worker_and_its_children(tmp_path):
    """At the deadline the whole process group dies, a sleeping grandchild among them."""
    pids = []
    code = (
        "import subprocess, sys, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    end = work(tmp_path, code, deadline=1.5, on_line=lambda line: pids.append(int(line)))
    assert end.timed_out
    assert end.signal == signal.SIGKILL
    assert end.exit_code is None
    assert ends_soon(pids[0])


def test_a_grandchild_does_not_outlive_a_worker_that_ends(tmp_path):
    """A worker's end is seen though a grandchild holds its streams open, and the grandchild is killed."""
    pids = []
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\nprint(p.pid, flush=True)"
    )
    end = work(tmp_path, code, on_line=lambda line: pids.append(int(line)))
    assert end.exit_code == 0
    assert not end.timed_out
    assert ends_soon(pids[0])


@pytest.mark.parametrize(
    "code",
    [
        "while True: print('x' * 1000)",
        "import sys\nwhile True: sys.stderr.write('x' * 1000)",
        "import sys\nwhile True: sys.stdout.write('x' * 1000)",
        "while True: print()",
    ],
)
def test_a_flood_of_output_ends_the_worker(tmp_path, code):
    """Too many bytes on either stream, or too many lines, end the worker long before the deadline."""
    lines = []
    limits = OutputLimits(total_bytes=200_000, lines=1000, line_characters=100, kept_stderr_bytes=500)
    end = work(tmp_path, code, on_line=lines.append, limits=limits)
    assert end.said_too_much
    assert not end.timed_out
    assert end.signal == signal.SIGKILL
    assert len(lines) <= 1000
    assert all(len(line) <= 100 for line in lines)
    assert len(end.stderr_tail) <= 510


def test_a_long_line_is_cut_and_the_next_one_arrives(tmp_path):
    """One line without end costs no memory and does not hide what follows it."""
    lines = []
    work(tmp_path, "print('a' * 3_000_000); print('b')", on_line=lines.append, limits=OutputLimits(line_characters=50))
    assert lines == ["a" * 49 + "…", "b"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_a_killed_worker_is_reported_with_its_signal(tmp_path, number):
    """A worker that a signal ends has no exit code."""
    end = work(tmp_path, f"import os; os.kill(os.getpid(), {int(number)})")
    assert (end.exit_code, end.signal) == (None, number)
    assert not end.ended_by_itself


def test_closed_streams_do_not_end_the_watch(tmp_path):
    """A worker that closes its output and sleeps on is still ended at the deadline."""
    end = work(tmp_path, "import os, time; os.close(1); os.close(2); time.sleep(60)", deadline=1.0)
    assert end.timed_out


def test_an_error_in_the_callback_ends_the_worker(tmp_path):
    """What `on_line` raises comes back to the caller, and no process stays behind."""
    pids = []

    def fail(line):
        pids.append(int(line))
        raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        work(tmp_path, "import os, time; print(os.getpid(), flush=True); time.sleep(60)", on_line=fail)
    assert has_ended(pids[0])


def test_no_credential_reaches_the_worker(tmp_path, monkeypatch):
    """The worker's environment is the scrubbed one; standard input is empty; no descriptor of the parent is open."""
    monkeypatch.setenv("GATE_TOKEN", "secret")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "secret")
    lines = []
    held = os.open("/etc/hostname", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        code = (
            "import os, sys; print(sorted(os.environ)); print(repr(sys.stdin.read()));"
            "print(sorted(os.listdir('/proc/self/fd'))); print(os.getcwd()); print(os.getsid(0) == os.getpid())"
        )
        work(tmp_path, code, on_line=lines.append)
    finally:
        os.close(held)
    assert "secret" not in "".join(lines)
    assert eval(lines[0]) == sorted(
        {*scrubbed_environment(tmp_path)} | ({"LC_CTYPE"} if "LC_CTYPE" in lines[0] else set())
    )
    assert lines[1:] == ["''", "['0', '1', '2', '3']", str(tmp_path), "True"]


def test_the_environment_is_scrubbed(tmp_path, monkeypatch):
    """Nothing is inherited, home and temporary files are the scratch, and only known names can be added."""
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    environment = scrubbed_environment(tmp_path, {"OMP_NUM_THREADS": "2"})
    assert environment["HOME"] == environment["TMPDIR"] == str(tmp_path)
    assert environment["OMP_NUM_THREADS"] == "2"
    assert environment["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] == "1"
    assert "secret" not in environment.values()
    with pytest.raises(UsageError, match="GATE_TOKEN"):
        scrubbed_environment(tmp_path, {"GATE_TOKEN": "secret"})


def test_memory_that_a_worker_frees_stays_its_own(tmp_path):
    """Where glibc gives it out: the kernel fills the pages of a large value once, not each time that one is made."""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("another library of C gives out memory here")
    lines = []
    code = (
        "import resource\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "def values(): return [b'x' * (20 << 20) for _ in range(5)]\n"
        "values(); before = faults()\n"
        "for _ in range(20): values()\n"
        "print(faults() - before)"
    )
    work(tmp_path, code, on_line=lines.append)
    pages = 20 * 5 * (20 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert int(lines[0]) < pages / 20


def test_the_instruction_set_of_onednn_has_a_closed_list_of_values(tmp_path):
    """Levels that oneDNN documents are passed on; any other text is a usage error that names them."""
    for level in ("AVX2", "AVX512_CORE", "AVX512_CORE_AMX", "DEFAULT"):
        environment = scrubbed_environment(tmp_path, {"ONEDNN_MAX_CPU_ISA": level})
        assert environment["ONEDNN_MAX_CPU_ISA"] == level
    for other in ("avx2", "AVX3", "", "AVX2;LD_PRELOAD=/tmp/x.so"):
        with pytest.raises(UsageError, match=r"ONEDNN_MAX_CPU_ISA is .* expected one of .*AVX512_CORE"):
            scrubbed_environment(tmp_path, {"ONEDNN_MAX_CPU_ISA": other})


def test_a_worker_command_finds_the_gate_without_the_environment(tmp_path):
    """The isolated interpreter runs a module of this gate, installed or from a checkout, with its arguments."""
    lines = []
    argv = worker_command("gate.records.errors", "--count", "2")
    assert argv[-3:] == ["gate.records.errors", "--count", "2"]
    end = run_worker(argv, scratch=tmp_path, deadline_seconds=30)
    assert end.ended_by_itself, end.stderr_tail
    (tmp_path / "numbers.json").write_text("[1]")
    run_worker(
        worker_command("json.tool", "--compact", "numbers.json"),
        scratch=tmp_path,
        deadline_seconds=30,
        on_line=lines.append,
    )
    assert lines == ["[1]"]


def test_a_program_that_cannot_be_started_is_named(tmp_path):
    """A missing interpreter is the gate's own failure, with the reason."""
    with pytest.raises(CannotFinishError, match="'/no/such/python' cannot be started"):
        run_worker(["/no/such/python"], scratch=tmp_path, deadline_seconds=5)


@pytest.mark.parametrize(
    ("hostile", "expected"),
    [
        ("::set-output name=decision::approved", ": :set-output name=decision::approved"),
        ("   ::add-mask::x", "   : :add-mask::x"),
        ("\ufeff::error::x", "\ufffd::error::x"),
        ("note ##vso[task.setvariable]x", "note # #vso[task.setvariable]x"),
        ("###[group]", "# # #[group]"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text", "text"),
        ("\x9b2Jgone", "gone"),
        ("a\x00b\x08c\x7f", "a\ufffdb\ufffdc\ufffd"),
        ("approved\u202edeggalf", "approved\ufffddeggalf"),
        ("tab\there", "tab here"),
        ("at::native::add", "at::native::add"),
    ],
)
def test_hostile_text_becomes_inert(hostile, expected):
    """No runner finds a command in it, no terminal a sequence, and no mark turns its direction."""
    assert inert.inert_line(hostile, limit=200) == expected


def test_workflow_commands_on_standard_error_are_broken(tmp_path):
    """Each line of the kept standard error is inert, also one that a carriage return tries to hide."""
    end = work(tmp_path, r"import sys; sys.stderr.write('ok\r::stop-commands::x\n\x1b[2J::error::y\n\xff')")
    assert [line.lstrip().startswith("::") for line in end.stderr_tail.splitlines()] == [False] * 4
    assert "\x1b" not in end.stderr_tail


def test_a_protected_parent_closes_its_proc_files(tmp_path):
    """After `protect_parent` another process of the same user reads neither environment nor memory."""
    code = (
        f"import sys, os, subprocess; sys.path.insert(0, {str(ROOT)!r})\n"
        "from gate.jail.launch import protect_parent\n"
        "protect_parent()\n"
        "reader = 'import os, sys\\n' 'try: open(f\"/proc/{os.getppid()}/environ\").read(); print(1)\\n'"
        " 'except OSError as e: print(e.errno)'\n"
        "print(os.stat('/proc/self/environ').st_uid)\n"
        "sys.stdout.flush()\n"
        "subprocess.run([sys.executable, '-I', '-c', reader])"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-B", "-c", code], capture_output=True, check=False, text=True, timeout=30
    )
    owner, outcome = run.stdout.split()
    assert owner == "0"
    # Root with the right to trace may read it all the same: there, the jail is what holds.
    effective = int(Path("/proc/self/status").read_text().split("CapEff:")[1].split()[0], 16)
    may_trace = effective >> 19 & 1
    assert outcome == ("1" if may_trace else "13")


def open_folder(path):
    """Make a folder in which another user may work: the parents of `tmp_path` are closed to others."""
    import tempfile

    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    return folder


def can_drop_user(*needed):
    """Tell whether this process may start a worker as `nobody`, and `nobody` may read each needed path."""
    return not rights.lack() and all(map(rights.is_open_to_others, needed))


@pytest.mark.skipif(bool(rights.lack()), reason="only root with its capabilities can start a worker as nobody")
def test_a_worker_of_root_runs_as_nobody(tmp_path):
    """With `drop_user` the worker has another user, no groups and no capabilities, and owns its scratch."""
    import shutil

    folder = open_folder(tmp_path)
    (folder / "job").write_text("{}")
    try:
        end = run_worker(
            ["/bin/sh", "-c", "id -u; id -g; id -G; grep CapEff /proc/self/status; touch mine; cat job"],
            scratch=folder,
            deadline_seconds=20,
            drop_user=True,
            on_line=(lines := []).append,
        )
        assert end.dropped_user
        assert lines == ["65534", "65534", "65534", "CapEff: 0000000000000000", "{}"]
        assert (folder / "mine").stat().st_uid == launch.NOBODY
    finally:
        shutil.rmtree(folder)


@pytest.mark.skipif(
    not can_drop_user(Path(sys.executable), ROOT / "gate") or probe().level != "full",
    reason="needs root, an interpreter that everybody may read, and both layers",
)
def test_a_worker_of_root_is_jailed_as_nobody(tmp_path):
    """Both together: another user and the full jail, started as the gate starts its workers."""
    import shutil

    folder = open_folder(tmp_path)
    (folder / "hostile.py").write_text(
        "import os\nfrom pathlib import Path\nfrom gate.jail import *\n"
        "print(enter(JailSpec(readable=interpreter_paths(), listable=source_roots(), writable=(Path.cwd(),),"
        " cpu_seconds=60, file_size_bytes=1 << 20)))\nprint(os.getuid())\nopen('/etc/passwd')"
    )
    argv = [
        sys.executable,
        "-I",
        "-B",
        "-c",
        f"import sys; sys.path.append({str(ROOT)!r}); exec(open('hostile.py').read())",
    ]
    try:
        end = run_worker(argv, scratch=folder, deadline_seconds=60, drop_user=True, on_line=(lines := []).append)
    finally:
        shutil.rmtree(folder)
    assert lines == [str(probe()), str(launch.NOBODY)], end.stderr_tail
    assert end.stderr_tail.endswith("PermissionError: [Errno 13] Permission denied: '/etc/passwd'")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may be asked to change the user")
def test_dropping_the_user_needs_paths_open_to_all(tmp_path):
    """A private directory on the way to a needed file means that `nobody` could not work there."""
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "file").touch(mode=0o644)
    assert not rights.is_open_to_others(closed / "file")
    assert rights.is_open_to_others(Path("/bin/sh"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may drop its user")
def test_an_ordinary_user_cannot_drop(tmp_path):
    """Without root the worker keeps the user; the jail is what separates it."""
    assert rights.lack()
    with pytest.raises((CannotFinishError, PermissionError)):
        work(tmp_path, "pass", drop_user=True)
