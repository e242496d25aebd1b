import os

import pytest
from attacks import ATTACKS, NEEDED

REFUSED_EVERYWHERE = {"send-to-a-unix-socket-from-a-stream-pair", "type-into-the-terminal"}
"""The kernel refuses these without a jail too, here: there is no control for them."""

DEPENDS_ON_THE_MACHINE = {
    "attach-the-parents-shared-memory",
    "become-another-user",
    "become-root",
    "clone-a-process-by-clone3",
    "change-the-root",
    "copy-the-parents-memory",
    "enter-new-namespaces",
    "mount-a-file-system",
    "open-the-parents-memory",
    "take-the-parents-descriptor",
    "trace-the-parent",
    "use-io-uring",
    "use-the-kernels-keyring",
}
"""Refused to some users, by some kernels' settings or by a container around the tests."""

FILE_ATTACKS = {
    "list-the-parents-descriptors",
    "open-the-parents-memory",
    "read-the-parents-command-line",
    "read-the-parents-environment",
    "trace-the-parent",
    "run-a-subprocess",
    "read-the-credential-file",
    "read-the-credential-file-in-a-thread",
    "link-the-credential-file-into-the-scratch",
    "leave-a-symbolic-link-for-the-parent",
    "leave-a-named-pipe-for-the-parent",
    "read-etc-passwd",
    "list-the-root",
    "read-a-file-beside-the-package",
    "write-outside-the-scratch",
    "rename-a-file-out-of-the-scratch",
    "overwrite-an-installed-module",
    "remove-an-installed-module",
}
"""What Landlock holds by itself, on every kernel that has it."""


def not_blocked(raid, jail, names=frozenset(ATTACKS)):
    """Return the attacks of some names that a kind of jail did not hold, each with its outcome."""
    outcomes = raid(jail).outcomes
    assert outcomes.keys() >= names
    return {name: outcomes[name] for name in names if not outcomes[name].startswith("blocked")}


@pytest.mark.parametrize("jail", ["this kernel", "oldest kernel"])
def test_no_attack_succeeds_in_the_jail(raid, jail):
    """A hostile worker in the full jail can do none of them, on this kernel nor with the oldest Landlock."""
    assert not_blocked(raid, jail) == {}


def test_the_same_attacks_succeed_without_a_jail(raid):
    """The control: without a jail an attack works, so its failure inside is the jail's doing."""
    outcomes = raid("no jail").outcomes
    names = ATTACKS.keys() - REFUSED_EVERYWHERE - DEPENDS_ON_THE_MACHINE
    assert {name: outcomes[name] for name in names if outcomes[name] != "succeeded"} == {}


@pytest.mark.parametrize("name", sorted(DEPENDS_ON_THE_MACHINE))
def test_an_attack_that_some_machines_refuse_succeeds_without_a_jail(raid, name):
    """The control of the others; where a machine refuses it, a skip says so."""
    outcome = raid("no jail").outcomes[name]
    if outcome.startswith("blocked"):
        pytest.skip(f"this machine refuses it to uid {os.geteuid()} without a jail: {outcome}")
    assert outcome == "succeeded"


@pytest.mark.parametrize("jail", ["this kernel", "oldest kernel"])
def test_the_victim_notices_nothing(raid, jail):
    """No connection, datagram, signal or change of a file reaches the parent of a jailed worker."""
    noticed = dict(raid(jail).noticed)
    files = noticed.pop("readable")
    assert set(files.values()) == {"content = 1\n"}
    assert noticed.pop("credential-mode") == "0o600"
    assert noticed.pop("credential-time") == 1_700_000_000
    assert noticed.pop("outside") == []
    assert noticed.pop("left-in-scratch") == ["mine"]
    assert set(noticed.values()) == {0}


def test_the_victim_notices_the_attacks_without_a_jail(raid):
    """The control: every server of the victim, both signals and its files show the traces of the unjailed attacks."""
    noticed = raid("no jail").noticed
    reached = {name for name, count in noticed.items() if isinstance(count, int) and count}
    assert reached == {
        "tcp", "udp", "unix", "abstract", "unix-datagram", "abstract-datagram", "SIGUSR1", "SIGIO",
    }  # fmt: skip
    assert noticed["credential-mode"] == "0o644"
    assert noticed["outside"] == ["mine", "written"]


@pytest.mark.parametrize("jail", ["no jail", "this kernel", "oldest kernel", "landlock alone", "seccomp alone"])
def test_honest_work_goes_on(raid, jail):
    """What a worker needs (scratch, threads, event loop, temporary files) works in every kind of jail."""
    outcomes = raid(jail).outcomes
    assert {name: outcomes[name] for name in NEEDED if outcomes[name] != "succeeded"} == {}


def test_landlock_alone_closes_the_files(raid):
    """Without seccomp, files and other processes stay closed, as `Isolation.missing` says."""
    assert not_blocked(raid, "landlock alone", FILE_ATTACKS) == {}


def test_seccomp_alone_closes_the_rest(raid):
    """Without Landlock, network, new processes, signals and permissions stay closed, as `Isolation.missing` says."""
    assert not_blocked(raid, "seccomp alone", ATTACKS.keys() - FILE_ATTACKS) == {}
