"""What the filter refuses, by name and by reason: always (`DENIED`), or depending on an argument (`conditions`).

A call that is not named here is allowed if `gate.jail.syscalls` knows its number, else answered with "no such call".
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

_REFUSED_BY_REASON = {
    "the network": "socket connect bind listen accept accept4",
    "new programs and processes": "execve execveat fork vfork",
    "reaching into other processes": (
        "ptrace process_vm_readv process_vm_writev process_madvise process_mrelease kcmp migrate_pages move_pages"
        " pidfd_open pidfd_getfd pidfd_send_signal tkill rt_sigqueueinfo rt_tgsigqueueinfo"
        " setpriority ioprio_set setpgid setsid"
    ),
    "memory and queues shared by user id, past every file rule": (
        "shmget shmat shmctl shmdt semget semop semtimedop semctl msgget msgsnd msgrcv msgctl"
        " mq_open mq_unlink mq_timedsend mq_timedreceive mq_notify mq_getsetattr"
    ),
    "permissions, owners, times and attributes of files, which Landlock does not guard": (
        "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat utime utimes futimesat utimensat"
        " setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat file_setattr"
    ),
    "emptying files by path, which Landlock guards only from ABI 3": "truncate",
    "watching files outside": "inotify_init inotify_init1 inotify_add_watch fanotify_init fanotify_mark",
    "files past their path": "name_to_handle_at open_by_handle_at memfd_secret mknod mknodat",
    "namespaces and mounts": (
        "unshare setns mount umount2 pivot_root chroot fsopen fsconfig fsmount fspick move_mount open_tree"
        " open_tree_attr mount_setattr statmount listmount"
    ),
    "user, groups and capabilities": (
        "setuid setgid setreuid setregid setresuid setresgid setfsuid setfsgid setgroups capset personality"
    ),
    "large and often faulty parts of the kernel": (
        "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register"
        " io_setup io_submit io_cancel io_destroy io_getevents io_pgetevents vmsplice keyctl add_key request_key"
        " lookup_dcookie modify_ldt uselib"
    ),
    "the sandbox itself": "seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self lsm_set_self_attr",
    "the machine": (
        "reboot kexec_load kexec_file_load init_module finit_module delete_module create_module swapon swapoff acct"
        " quotactl quotactl_fd syslog sysfs _sysctl nfsservctl vhangup iopl ioperm sethostname setdomainname"
        " settimeofday clock_settime clock_adjtime adjtimex"
    ),
}

_ABSENT = "clone3 openat2"
"""Calls with arguments in memory, which no filter sees; C libraries fall back to `clone` and `openat`."""

DENIED: Mapping[str, int] = MappingProxyType(
    {name: errno.EPERM for names in _REFUSED_BY_REASON.values() for name in names.split()}
    | dict.fromkeys(_ABSENT.split(), errno.ENOSYS)
)
"""Call → the error it always gets. `EPERM` says refused, `ENOSYS` makes libraries try the older call."""


@dataclass(frozen=True)
class Condition:
    """A test on the low 32 bits of one argument; a call that fails it is refused with `EPERM`."""

    argument: int
    """Position of the argument, from 0."""
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    """Bits that are compared with the values."""
    holds_if_listed: bool = True
    """Whether the call needs one of the values (True), or must have none (False)."""


_CLONE_THREAD = 0x00010000
_CLONE_NEW_NAMESPACES = 0x7E020000
_AF_UNIX = 1
_SOCK_STREAM = 1
_SOCK_TYPE_BITS = 0xF
_TERMINAL_INPUT_AND_SIGNAL_OWNER = (0x5412, 0x541C, 0x8901, 0x8902)  # TIOCSTI, TIOCLINUX, FIOSETOWN, SIOCSPGRP
_SIGNAL_OWNER = (8, 10, 15)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: a signal to any process through a descriptor
_PROCESS_PROPERTIES = (1, 4, 35, 36, 0x59616D61)  # PDEATHSIG, DUMPABLE, MM, CHILD_SUBREAPER, PTRACER
_TRUNCATE_OR_ODD_MODE = 0x203
_TRUNCATE_WITHOUT_WRITING = (0x200, 0x203, 0x003)
"""O_TRUNC with O_RDONLY or with access mode 3, and mode 3 alone (ioctl only): holes in Landlock before ABI 3 and 5."""


def conditions(pid: int) -> Mapping[str, tuple[Condition, ...]]:
    """Return call → the conditions that must all hold, for the process with this id."""
    itself = (Condition(0, (0, pid)),)
    return {
        "clone": (Condition(0, (_CLONE_THREAD,), mask=_CLONE_THREAD | _CLONE_NEW_NAMESPACES),),
        "kill": (Condition(0, (pid,)),),
        "tgkill": (Condition(0, (pid,)),),
        "prlimit64": itself,
        "sched_setaffinity": itself,
        "sched_setparam": itself,
        "sched_setscheduler": itself,
        "sched_setattr": itself,
        # A pair of datagram sockets could still send to any socket with a path; asyncio needs only streams.
        "socketpair": (Condition(0, (_AF_UNIX,)), Condition(1, (_SOCK_STREAM,), mask=_SOCK_TYPE_BITS)),
        "ioctl": (Condition(1, _TERMINAL_INPUT_AND_SIGNAL_OWNER, holds_if_listed=False),),
        "fcntl": (Condition(1, _SIGNAL_OWNER, holds_if_listed=False),),
        "prctl": (Condition(0, _PROCESS_PROPERTIES, holds_if_listed=False),),
        "open": (_opening(flags_at=1),),
        "openat": (_opening(flags_at=2),),
    }


def _opening(flags_at: int) -> Condition:
    return Condition(flags_at, _TRUNCATE_WITHOUT_WRITING, mask=_TRUNCATE_OR_ODD_MODE, holds_if_listed=False)
