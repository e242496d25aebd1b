import errno
import functools
import os
import platform
import re
import subprocess
from pathlib import Path

import pytest
from bpf_interpreter import answer, decode

from gate.jail import seccomp
from gate.jail.seccomp import ALLOW, KILL, PROCESSORS, REFUSE, X32_BIT
from gate.jail.syscall_policy import DENIED, conditions

PID = 4242
REFUSED = REFUSE | errno.EPERM
ABSENT = REFUSE | errno.ENOSYS
THREAD = 0x3D0F00  # what the C libraries pass to start a thread
NEEDED_CALLS = """
    read write close fstat lseek mmap mprotect munmap brk rt_sigaction rt_sigprocmask rt_sigreturn pread64 pwrite64
    readv writev sched_yield mremap madvise dup nanosleep getpid sendfile sendto recvfrom sendmsg recvmsg shutdown exit
    exit_group wait4 uname fsync ftruncate getcwd chdir fchdir umask getrlimit getrusage sysinfo times getuid getgid
    geteuid getegid getppid sigaltstack futex sched_getaffinity getdents64 set_tid_address clock_gettime clock_getres
    clock_nanosleep epoll_ctl epoll_pwait mkdirat unlinkat renameat renameat2 readlinkat faccessat faccessat2 newfstatat
    set_robust_list fallocate eventfd2 epoll_create1 dup3 pipe2 getrandom memfd_create statx rseq membarrier
    copy_file_range close_range gettid tgkill-own getcpu mbind set_mempolicy get_mempolicy mlock munlock ppoll
    timerfd_create signalfd4 msync mincore prlimit64-own clone-thread restart_syscall
""".split()  # noqa: SIM905  # a list of a hundred quoted words hides them
CALLS_WITH_ARGUMENTS = {
    "tgkill-own": ("tgkill", (PID, PID, 6)),
    "prlimit64-own": ("prlimit64", (0, 7, 0)),
    "clone-thread": ("clone", (THREAD,)),
}

MUST_BE_REFUSED = """
    socket connect bind listen accept accept4 execve execveat ptrace process_vm_readv process_vm_writev kcmp pidfd_open
    pidfd_getfd pidfd_send_signal process_madvise unshare setns mount umount2 pivot_root chroot move_mount fsopen
    fsmount open_tree mount_setattr bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register
    keyctl add_key request_key open_by_handle_at name_to_handle_at kexec_load kexec_file_load init_module finit_module
    delete_module reboot swapon swapoff acct settimeofday clock_settime sethostname setdomainname quotactl syslog
    personality memfd_secret mknodat fanotify_init setuid setgid setreuid setregid setresuid setresgid setgroups
    setfsuid setfsgid capset msgget msgsnd msgrcv msgctl semget semop semctl shmget shmat shmctl mq_open fchmod fchmodat
    fchmodat2 fchown fchownat utimensat setxattr lsetxattr fsetxattr removexattr truncate setpgid setsid setpriority
    tkill rt_sigqueueinfo rt_tgsigqueueinfo inotify_add_watch seccomp landlock_restrict_self vmsplice lookup_dcookie
""".split()  # noqa: SIM905  # likewise; written out, so that a call that falls out of the policy is noticed
REFUSED_ON_X86 = "fork vfork chmod chown lchown utime utimes futimesat mknod iopl ioperm modify_ldt uselib".split()  # noqa: SIM905

both = pytest.mark.parametrize("machine", sorted(PROCESSORS))
program = functools.cache(seccomp.program)


def asked(machine, name, *arguments):
    """Return what a processor's filter answers to a call by its name."""
    processor = PROCESSORS[machine]
    return answer(program(machine, PID), processor.syscalls[name], processor.audit_number, arguments)


@both
def test_a_denied_call_gets_its_error(machine):
    """Every call that is denied by name is answered with its error, whatever its arguments are."""
    known = DENIED.keys() & PROCESSORS[machine].syscalls.keys()
    assert len(known) > 100
    expected = {name: (REFUSE | DENIED[name],) * 2 for name in known}
    assert {name: (asked(machine, name), asked(machine, name, *[(1 << 64) - 1] * 6)) for name in known} == expected


@both
def test_what_the_recipe_refuses_is_refused(machine):
    """The calls that the design names, and the older ones that only x86-64 has, are refused with EPERM."""
    names = MUST_BE_REFUSED + (REFUSED_ON_X86 if machine == "x86_64" else [])
    assert {name for name in names if asked(machine, name) != REFUSED} == set()
    assert {asked(machine, name) for name in ("clone3", "openat2")} == {ABSENT}


@both
def test_a_needed_call_is_allowed(machine):
    """What Python, the C library and torch need is let through."""
    calls = {name: CALLS_WITH_ARGUMENTS.get(name, (name, ())) for name in NEEDED_CALLS}
    answers = {name: asked(machine, call, *arguments) for name, (call, arguments) in calls.items()}
    assert {name for name, got in answers.items() if got != ALLOW} == set()


@both
def test_every_known_call_is_allowed_denied_or_conditional(machine):
    """A call in the table gets the answer that the policy gives it, and none falls between the rules."""
    tests = conditions(PID)
    for name in PROCESSORS[machine].syscalls:
        got = asked(machine, name)
        if name in DENIED:
            assert got == REFUSE | DENIED[name], name
        elif name in tests:
            assert got in (ALLOW, REFUSED), name
        else:
            assert got == ALLOW, name


@both
def test_an_unknown_call_does_not_exist(machine):
    """Numbers that are in no table, in the gaps and past the end, are answered with ENOSYS."""
    processor = PROCESSORS[machine]
    known = set(processor.syscalls.values())
    filter_ = program(machine, PID)
    unknown = [number for number in range(1000) if number not in known] + [X32_BIT - 1]
    assert len(unknown) > 500
    for number in unknown:
        assert answer(filter_, number, processor.audit_number) == ABSENT, number


@both
@pytest.mark.parametrize("audit_number", [0x40000003, 0x40000028, 0xC0000015, 0xC00000F3, 0])
def test_a_foreign_processor_is_killed(machine, audit_number):
    """A call in another processor's convention (32-bit x86 and ARM among them) ends the process."""
    assert answer(program(machine, PID), 0, audit_number) == KILL


def test_the_other_of_the_two_processors_is_killed():
    """Neither program accepts a call in the convention of the other."""
    x86, arm = PROCESSORS["x86_64"], PROCESSORS["aarch64"]
    assert answer(program("x86_64", PID), 0, arm.audit_number) == KILL
    assert answer(program("aarch64", PID), 0, x86.audit_number) == KILL


@pytest.mark.parametrize("number", [X32_BIT, X32_BIT | 59, X32_BIT | 512, 0xFFFFFFFF])
def test_the_second_numbering_of_x86_is_killed(number):
    """A call by its x32 number ends the process: it would reach the same code past every comparison."""
    assert answer(program("x86_64", PID), number, PROCESSORS["x86_64"].audit_number) == KILL


CLONES = [
    (THREAD, ALLOW),
    (0x00010000, ALLOW),
    (17, REFUSED),  # fork: SIGCHLD
    (0x4111, REFUSED),  # vfork, posix_spawn
    (0, REFUSED),
    *[(THREAD | namespace, REFUSED) for namespace in (0x20000, *(1 << bit for bit in range(25, 31)))],
    (0x10000000 | 17, REFUSED),
    (THREAD | 1 << 40, ALLOW),  # the kernel looks at the low half only, and so does the filter
    (17 | 0x10000 << 32, REFUSED),
]
"""Flags, and what the filter answers."""


@both
def test_clone_makes_threads_and_nothing_else(machine):
    """`clone` is let through for a thread in the same namespaces only."""
    assert [(flags, asked(machine, "clone", flags)) for flags, _ in CLONES] == CLONES


CONDITIONAL = [
    ("kill", (PID, 9), ALLOW),
    ("kill", (PID + 1, 0), REFUSED),
    ("kill", (0, 0), REFUSED),
    ("kill", (-1, 9), REFUSED),
    ("kill", (-PID, 9), REFUSED),
    ("tgkill", (PID, PID + 1, 6), ALLOW),
    ("tgkill", (1, 1, 6), REFUSED),
    ("prlimit64", (PID, 7), ALLOW),
    ("prlimit64", (0, 7), ALLOW),
    ("prlimit64", (1, 7), REFUSED),
    ("prlimit64", (PID + 1, 7, 0, 8), REFUSED),
    ("sched_setaffinity", (0, 8), ALLOW),
    ("sched_setaffinity", (1, 8), REFUSED),
    ("socketpair", (1, 1), ALLOW),
    ("socketpair", (1, 1 | 0o2000000 | 0o4000), ALLOW),  # close on exec, non-blocking
    ("socketpair", (1, 2), REFUSED),
    ("socketpair", (1, 5), REFUSED),
    ("socketpair", (2, 1), REFUSED),
    ("ioctl", (1, 0x5401), ALLOW),
    ("ioctl", (1, 0x5412), REFUSED),
    ("ioctl", (1, 0x541C), REFUSED),
    ("ioctl", (1, 0x5412 | 1 << 32), REFUSED),  # the kernel cuts the request to 32 bits
    ("fcntl", (1, 3), ALLOW),
    ("fcntl", (1, 1030), ALLOW),
    ("fcntl", (1, 8, 1), REFUSED),
    ("fcntl", (1, 15), REFUSED),
    ("prctl", (15,), ALLOW),
    ("prctl", (1, 0), REFUSED),
    ("prctl", (4, 1), REFUSED),
    ("prctl", (0x59616D61, 1), REFUSED),
    ("openat", (-100, 0, os.O_RDONLY), ALLOW),
    ("openat", (-100, 0, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY), ALLOW),
    ("openat", (-100, 0, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), ALLOW),
    ("openat", (-100, 0, os.O_RDWR | os.O_TRUNC), ALLOW),
    ("openat", (-100, 0, os.O_RDONLY | os.O_TRUNC), REFUSED),
    ("openat", (-100, 0, 3), REFUSED),
    ("openat", (-100, 0, 3 | os.O_TRUNC), REFUSED),
]
"""Call, arguments, and what the filter answers."""


@both
def test_a_conditional_call_depends_on_its_arguments(machine):
    """Calls that are needed for oneself are refused when they point at somebody else."""
    answers = [(call, arguments, asked(machine, call, *arguments)) for call, arguments, _ in CONDITIONAL]
    assert answers == CONDITIONAL


@pytest.mark.parametrize(("flags", "expected"), [(0, ALLOW), (0x241, ALLOW), (0x200, REFUSED), (0x203, REFUSED)])
def test_the_old_open_is_watched_too(flags, expected):
    """x86-64's older `open` is held to the same flags as `openat`."""
    assert asked("x86_64", "open", 0, flags) == expected


@both
def test_every_path_of_the_program_ends(machine):
    """No jump leaves the program, and it fits the kernel's limit of 4096 instructions."""
    instructions = decode(program(machine, PID))
    assert len(instructions) <= 4096
    for at, (code, then, otherwise, _) in enumerate(instructions):
        if code & 7 == 5:
            assert at + 1 + max(then, otherwise) < len(instructions)
    assert instructions[-1][0] == 0x06


@both
def test_the_policy_names_only_calls_that_exist(machine):
    """A condition on a misspelt call would never fire."""
    names = set().union(*(processor.syscalls for processor in PROCESSORS.values()))
    assert conditions(PID).keys() <= names
    assert DENIED.keys() <= names
    assert not DENIED.keys() & conditions(PID).keys()


def header_numbers(machine):
    """Return name → number by the machine's kernel headers, or skip."""
    native = Path("/usr/include") / f"{machine}-linux-gnu" / "asm" / "unistd_64.h"
    generic = Path("/usr/include/asm-generic/unistd.h")
    if machine == "x86_64" and native.exists():
        pairs = re.findall(r"#define __NR_(\w+) (\d+)", native.read_text())
        return {name: int(number) for name, number in pairs}
    if machine == "aarch64" and generic.exists():
        wanted = ("RENAMEAT", "NEW_STAT", "SET_GET_RLIMIT", "TIME32_SYSCALLS", "SYS_CLONE3", "MEMFD_SECRET")
        text = "".join(f"#define __ARCH_WANT_{name}\n" for name in wanted)
        text = f"#define __BITS_PER_LONG 64\n{text}#include <asm-generic/unistd.h>\n"
        try:
            run = subprocess.run(["gcc", "-E", "-dM", "-"], input=text, capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            pytest.skip(f"the generic header needs a C preprocessor: {error}")
        macros = dict(re.findall(r"#define (__NR(?:3264)?_\w+) (\S+)", run.stdout))
        resolved = {}
        for name, value in macros.items():
            final = macros.get(value, value)
            if name.startswith("__NR_") and final.isdigit() and name not in _NO_CALLS:
                resolved[name.removeprefix("__NR_")] = int(final)
        return resolved
    return pytest.skip(f"no kernel headers for {machine} on this {platform.machine()} machine")


_NO_CALLS = {"__NR_syscalls", "__NR_arch_specific_syscall"}


@both
def test_the_numbers_are_those_of_the_kernels_headers(machine):
    """Every call of the installed kernel headers stands in the table under the same number."""
    expected = header_numbers(machine)
    assert len(expected) > 280
    table = PROCESSORS[machine].syscalls
    assert {name: table.get(name) for name in expected} == expected


@both
def test_no_number_stands_for_two_calls(machine):
    """The table is one to one."""
    numbers = list(PROCESSORS[machine].syscalls.values())
    assert len(set(numbers)) == len(numbers)
