"""A pull request that changes what judges it: the base's files are taken, and the note says where it differs."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from gate.check.base.taking import Named, require_own, take
from gate.policies.packaged import DEFAULT
from gate.records.bank import write_bank
from gate.records.errors import PolicyError, UsageError
from tests.check.base.repositories import commit, git, proposal
from tests.e2e.command import ROOT

POLICY = DEFAULT.read_text("utf-8")
LOOSER = POLICY.replace("level: 0.05", "level: 0.001")
assert LOOSER != POLICY


def pinning(**keys):
    """Return a policy with further keys."""
    return yaml.safe_dump(yaml.safe_load(POLICY) | keys, sort_keys=False)


def taken_from(made, to, *, policy="p/gate.yml", **named):
    """Take what a check would read from a proposal's base."""
    return take(made.folder, made.base, Named(policy, **named), to)


def written(to):
    """Return what lies below a folder."""
    return {path.relative_to(to).as_posix(): path.read_bytes() for path in to.rglob("*") if not path.is_dir()}


def test_a_loosened_policy_decides_nothing(tmp_path):
    """The base's bytes are what the check will read, and a sentence names the file."""
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY}, {"p/gate.yml": LOOSER, "README": "x"})
    taken = taken_from(made, tmp_path / "to")
    assert written(tmp_path / "to") == {"p/gate.yml": POLICY.encode()}
    assert taken.note == (
        "This pull request changes p/gate.yml. That decided nothing: the version was judged by the base branch's "
        f"files (commit {made.base[:12]})."
    )


def test_where_nothing_differs_nothing_is_said(tmp_path):
    """Other files of the pull request are none of the gate's business."""
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY}, {"src/train.py": "x"})
    assert taken_from(made, tmp_path / "to").note == ""


def test_a_policy_of_the_head_alone_is_refused(tmp_path):
    """What to do is one sentence: merge the policy first."""
    made = proposal(tmp_path / "r", {"README": ""}, {"p/gate.yml": POLICY})
    with pytest.raises(UsageError, match=r"the policy p/gate.yml: not in the base branch.*adds itself") as caught:
        taken_from(made, tmp_path / "to")
    assert caught.value.what_to_do.startswith("Merge it into the base branch first")
    assert not (tmp_path / "to").exists()


def test_a_policy_that_the_head_removes_still_judges(tmp_path):
    """Removed, replaced by a link to a looser one, or by a folder: each is told."""
    changes = {
        "removes": {"p/gate.yml": None},
        "changes": {"p/gate.yml": Path("other.yml"), "p/other.yml": LOOSER},
        "changes p/gate.yml.": {"p/gate.yml": None, "p/gate.yml/x": "x"},
    }
    for number, (word, files) in enumerate(changes.items()):
        made = proposal(tmp_path / f"r{number}", {"p/gate.yml": POLICY}, {})
        for name in files:
            if name.startswith("p/gate.yml/"):
                (made.folder / "p/gate.yml").unlink()
        commit(made.folder, {key: value for key, value in files.items() if value is not None} or files, "head")
        assert word in taken_from(made, tmp_path / f"to{number}").note
        assert written(tmp_path / f"to{number}") == {"p/gate.yml": POLICY.encode()}


@pytest.fixture
def banked(tmp_path):
    """Return the files of a bank with three references, and the policy that pins it."""
    folder = tmp_path / "made" / "bank"
    folder.mkdir(parents=True)
    programs = []
    for number in range(3):
        programs.append(folder / f"{number}.pt2")
        programs[-1].write_bytes(f"program {number}".encode())
    write_bank(folder / "bank.json", programs)
    sha256 = hashlib.sha256((folder / "bank.json").read_bytes()).hexdigest()
    files = {f"p/bank/{path.name}": path.read_bytes() for path in folder.iterdir()}
    return files | {"p/gate.yml": pinning(bank={"path": "bank/bank.json", "sha256": sha256})}


def test_a_swapped_bank_decides_nothing(tmp_path, banked):
    """The bank and each of its references come from the base, wherever the policy pins them."""
    swapped = {"p/bank/bank.json": "{}", "p/bank/1.pt2": "other", "p/gate.yml": POLICY}
    made = proposal(tmp_path / "r", banked, swapped)
    taken = taken_from(made, tmp_path / "to")
    expected = {name: raw if isinstance(raw, bytes) else raw.encode() for name, raw in banked.items()}
    assert written(tmp_path / "to") == expected
    assert "changes p/gate.yml, changes p/bank/bank.json and changes p/bank/1.pt2." in taken.note


def test_a_bank_by_option_is_the_bases_too(tmp_path, banked):
    """The policy's own bank is then not needed."""
    made = proposal(tmp_path / "r", banked | {"p/other.yml": POLICY}, {"p/bank/bank.json": "{}"})
    taken = taken_from(made, tmp_path / "to", policy="p/other.yml", bank="p/bank/bank.json")
    assert "p/bank/2.pt2" in taken.files
    with pytest.raises(UsageError, match=r"the bank p/none.json: not in the base"):
        taken_from(made, tmp_path / "again", bank="p/none.json")


def test_swapped_samples_decide_nothing(tmp_path):
    """A file or a folder, by option or by the policy, and what the pull request adds to a folder is told."""
    base = {"data/cat/1.png": "1", "data/dog/2.png": "2", "clean.npz": "n"}
    head = {"data/cat/1.png": "other", "data/dog/2.png": None, "data/dog/3.png": "3", "clean.npz": "other"}
    for number, (uri, told) in enumerate(
        {
            "clean.npz": "changes clean.npz.",
            "data": "changes data/cat/1.png, removes data/dog/2.png and adds data/dog/3.png.",
            "file://clean.npz": "changes clean.npz.",
        }.items()
    ):
        policy = pinning(samples={"models": {"credit": {"uri": uri}}})
        made = proposal(tmp_path / f"r{number}", base | {"p/gate.yml": policy}, head)
        for named in ({}, {"samples": uri}):
            to = tmp_path / f"to{number}{len(named)}"
            assert told in taken_from(made, to, **named).note
            assert set(written(to).values()) == {policy.encode(), *([b"n"] if "npz" in uri else [b"1", b"2"])}
    with pytest.raises(UsageError, match=r"the samples new.npz: not in the base"):
        taken_from(made, tmp_path / "none", samples="new.npz")


def test_an_address_of_the_registry_is_no_file(tmp_path):
    """A folder that is called like one is the head's and is not taken."""
    policy = pinning(samples={"uri": "runs:/1/samples.npz"})
    made = proposal(tmp_path / "r", {"p/gate.yml": policy}, {"runs:/1/samples.npz": "mine"})
    assert taken_from(made, tmp_path / "to").files == ("p/gate.yml",)


@pytest.mark.parametrize("named", ["policy", "bank", "samples"])
def test_paths_that_leave_the_commit_are_refused(tmp_path, named):
    """Absolute into the checkout, above the root, through a link of the base: none reaches the head's files."""
    made = proposal(
        tmp_path / "r", {"p/gate.yml": POLICY, "link": Path("p"), "away": Path("../r/p")}, {"p/gate.yml": LOOSER}
    )
    (tmp_path / "door").symlink_to(made.folder)
    ways = {
        f"{made.folder}/p/gate.yml": "absolute path inside the checkout",
        f"{made.folder}/../r/p/gate.yml": "absolute path inside the checkout",
        f"{tmp_path}/door/p/gate.yml": "absolute path inside the checkout",
        "../r/p/gate.yml": "below the repository's root",
        "p/../../r/p/gate.yml": "below the repository's root",
        ".": "below the repository's root",
        "link/gate.yml": "symbolic link",
        "away/gate.yml": "symbolic link",
        "link": "symbolic link",
    }
    for number, (way, said) in enumerate(ways.items()):
        with pytest.raises(UsageError, match=said):
            taken_from(made, tmp_path / f"to{number}", **{named: way})


def test_a_policy_of_the_base_cannot_point_at_the_head(tmp_path):
    """Its bank and samples are held to the same rules."""
    folder = tmp_path / "r"
    for number, keys in enumerate(
        (
            {"bank": {"path": f"{folder}/b.json", "sha256": "0" * 64}},
            {"bank": {"path": "../../r/b.json", "sha256": "0" * 64}},
            {"samples": {"uri": f"{folder}/x:/clean.npz"}},
            {"samples": {"models": {"m": {"uri": "../r/clean.npz"}}}},
        )
    ):
        made = proposal(tmp_path / f"{number}/r", {}, {})
        policy = pinning(**keys).replace(str(folder), str(made.folder))
        base = commit(made.folder, {"p/gate.yml": policy}, "policy")
        with pytest.raises(UsageError, match=r"absolute path inside the checkout|below the repository's root"):
            take(made.folder, base, Named("p/gate.yml"), tmp_path / f"to{number}")


def test_what_lies_outside_is_the_runners_own(tmp_path):
    """A packaged policy and files elsewhere on the machine are no pull request's; nothing is taken."""
    made = proposal(tmp_path / "r", {"README": ""}, {"default": LOOSER, "default.yml": LOOSER})
    (tmp_path / "own.yml").write_text(POLICY)
    for policy in ("default", "files-only", str(tmp_path / "own.yml"), str(DEFAULT)):
        taken = taken_from(made, tmp_path / "to", policy=policy, bank=str(tmp_path / "b"), samples=str(tmp_path / "s"))
        assert (taken.files, taken.note) == ((), "")


@pytest.mark.parametrize("named", ["base", "against"])
def test_a_model_folder_of_the_checkout_is_refused(tmp_path, named):
    """What a candidate is measured beside is named in the registry or outside, or a pull request could bring it."""
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY}, {"smollm/config.json": "{}"})
    (tmp_path / "door").symlink_to(made.folder)
    (tmp_path / "outside").mkdir()
    inside = ("smollm", "./smollm", "../r/smollm", f"{made.folder}/smollm", f"{tmp_path}/door/smollm")
    for number, folder in enumerate((*inside, *(f"directory:{folder}" for folder in inside))):
        with pytest.raises(UsageError, match="is a folder of the checkout: a pull request is not judged by what it"):
            taken_from(made, tmp_path / f"to{number}", **{named: folder})
    for number, elsewhere in enumerate(
        ("models:/smollm/1", "models:/smollm@champion", str(tmp_path / "outside"), "none")
    ):
        taken = taken_from(made, tmp_path / f"fine{number}", **{named: elsewhere})
        assert (taken.files, taken.note) == (("p/gate.yml",), "")


def test_a_password_in_a_wrong_address_is_not_shown(tmp_path):
    """An address is no model; it is refused without what stands before its host."""
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY}, {})
    with pytest.raises(UsageError) as caught:
        taken_from(made, tmp_path / "to", base="https://me:secret@mlflow.example/smollm")
    assert "secret" not in str(caught.value)


def test_a_pointer_of_lfs_is_not_taken_for_the_file(tmp_path):
    """The gate fetches nothing from a large-file store."""
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY, "clean.npz": pointer}, {})
    with pytest.raises(UsageError, match="Git LFS pointer"):
        taken_from(made, tmp_path / "to", samples="clean.npz")


def test_a_broken_policy_of_the_base_is_named_as_that(tmp_path):
    """With its line, and the branch."""
    made = proposal(tmp_path / "r", {"p/gate.yml": "version: 1\ncolour: green\n"}, {"p/gate.yml": POLICY})
    with pytest.raises(PolicyError, match=r"p/gate.yml \(base branch\):2: unknown key 'colour'"):
        taken_from(made, tmp_path / "to")


def test_many_differences_are_counted(tmp_path):
    """A note stays a sentence."""
    files = {f"data/a/{number}.png": str(number) for number in range(30)}
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY, **files}, dict.fromkeys(files, "other"))
    note = taken_from(made, tmp_path / "to", samples="data").note
    assert note.count("changes ") == 10
    assert "and 20 more. That decided nothing" in note


def command(folder, *arguments, **variables):
    """Run `gate base` in a checkout."""
    ended = subprocess.run(
        [sys.executable, "-m", "gate", "base", *map(str, arguments)],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    return ended


def test_the_command_leaves_files_and_note(tmp_path):
    """In a merge request: the folder in which the check runs, and what differs; in a push nothing."""
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY}, {"p/gate.yml": LOOSER})
    merge = {"CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_DIFF_BASE_SHA": made.base, "GATE_POLICY": "p/gate.yml"}
    to = tmp_path / "to"
    ended = command(made.folder, "gitlab", "--to", to, **merge)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert (to / "files/p/gate.yml").read_text() == POLICY
    assert (to / "note").read_text().startswith("This pull request changes p/gate.yml.")
    assert command(made.folder, "gitlab", "--commit", **merge).stdout == f"{made.base}\n"

    assert "is not empty" in command(made.folder, "gitlab", "--to", to, **merge).stderr
    assert command(made.folder, "gitlab", "--to", tmp_path / "push").returncode == 0
    assert not (tmp_path / "push").exists()
    assert command(made.folder, "gitlab", "--commit").stdout == ""
    assert command(made.folder, "gitlab", **merge).returncode == 2


def test_a_packaged_policy_leaves_an_empty_folder(tmp_path):
    """The check runs there all the same: nothing of the head may be read by a relative path."""
    made = proposal(tmp_path / "r", {"README": ""}, {"default": LOOSER})
    merge = {"CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_DIFF_BASE_SHA": made.base}
    assert command(made.folder, "gitlab", "--to", tmp_path / "to", **merge).returncode == 0
    assert written(tmp_path / "to") == {}
    assert (tmp_path / "to" / "files").is_dir()


def test_a_shallow_checkout_without_the_base_is_refused(tmp_path):
    """With the setting that brings it, and exit code 2."""
    made = proposal(tmp_path / "r", {"p/gate.yml": POLICY}, {"p/gate.yml": LOOSER})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{made.folder}", "shallow")
    merge = {"CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_DIFF_BASE_SHA": made.base, "GATE_POLICY": "p/gate.yml"}
    ended = command(tmp_path / "shallow", "gitlab", "--to", tmp_path / "to", **merge)
    assert ended.returncode == 2
    assert f"the base commit {made.base} is not in this checkout" in ended.stderr
    assert "GIT_DEPTH: 0" in ended.stderr


def test_a_report_directory_that_the_checkout_brings_is_refused(tmp_path):
    """What lies there would be taken up by the check, such as the measurements of a scan that was broken off."""
    files = {"kept/unfinished.json": "{}", "link": Path("elsewhere"), "elsewhere/empty/x": "", "file": ""}
    commit(tmp_path, files, "head", new=True)
    (tmp_path / "elsewhere" / "empty" / "x").unlink()
    for named, why in {
        "kept": "is not empty",
        "./docs/../kept/": "is not empty",
        str(tmp_path / "kept"): "is not empty",
        "file": "is not empty",
        "link": "through a link",
        "link/new": "through a link",
        "link/empty": "through a link",
        ".": "is the checkout itself",
        str(tmp_path.parent): None,
        "new": None,
        "elsewhere/empty": None,
        "../beside": None,
    }.items():
        if why is None:
            require_own(tmp_path, named)
        else:
            with pytest.raises(UsageError, match=why):
                require_own(tmp_path, named)


def test_a_way_into_the_checkout_from_outside_is_refused(tmp_path):
    """A name outside whose link leads into the checkout is a directory of the pull request's too."""
    workspace = tmp_path / "checkout"
    workspace.mkdir()
    (tmp_path / "out").symlink_to(workspace)
    with pytest.raises(UsageError, match="leads into the checkout"):
        require_own(workspace, "../out")
