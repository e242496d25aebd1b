"""A bank is read whole and unchanged, or refused before anything is pulled."""

import json
import os

import pytest

from gate.records.bank import MAX_BANK_BYTES, Bank, ModelStatistics, open_bank, write_bank
from gate.records.errors import UsageError

SETTINGS = {"neural-cleanse": "a" * 64}
STATISTICS = [
    ModelStatistics(model=f"m{number}", values={"neural-cleanse": {"size": {"class 0": 10.0 + number, "class 1": 5.0}}})
    for number in range(4)
]


@pytest.fixture
def bank(tmp_path):
    """Return the path of a bank of three files that stand in for programs."""
    folder = tmp_path / "models"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.pt2").write_bytes(b"program %d" % number)
    write_bank(tmp_path / "bank.json", sorted(folder.iterdir()), name="b", settings=SETTINGS, statistics=STATISTICS)
    return tmp_path / "bank.json"


def changed(bank, **values):
    """Write other values into the bank's file."""
    bank.write_text(json.dumps(json.loads(bank.read_text()) | values))


def test_a_written_bank_is_opened(bank):
    """Name, settings, statistics and digests come back, with the digest of the file itself."""
    opened = open_bank(bank)
    assert opened.bank.settings == SETTINGS
    assert [reference.path for reference in opened.bank.references] == ["models/0.pt2", "models/1.pt2", "models/2.pt2"]
    assert opened.bank.sizes("neural-cleanse", "class 0") == (10.0, 11.0, 12.0, 13.0)
    assert opened.bank.sizes("neural-cleanse", "class 9") == opened.bank.sizes("warp-trigger", "class 0") == ()
    assert open_bank(bank, sha256=opened.sha256).sha256 == opened.sha256


def test_one_changed_byte_of_the_file_is_refused(bank):
    """Against a pinned digest every byte counts, even a blank."""
    pinned = open_bank(bank).sha256
    bank.write_text(bank.read_text() + " ")
    with pytest.raises(UsageError, match=f"not the one that the policy pins: expected sha256 {pinned}, got "):
        open_bank(bank, sha256=pinned)


def test_one_changed_byte_of_a_reference_is_refused(bank):
    """The file names its models by digest, so that none is exchanged unseen."""
    path = bank.parent / "models/1.pt2"
    path.write_bytes(b"Program 1")
    with pytest.raises(UsageError, match=r"reference .*models/1\.pt2 was changed: expected sha256"):
        open_bank(bank)


ODD = {
    "a missing reference": lambda path: path.unlink(),
    "a link": lambda path: (path.rename(path.with_suffix(".real")), path.symlink_to(path.with_suffix(".real"))),
    "a pipe": lambda path: (path.unlink(), os.mkfifo(path)),
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_a_reference_that_is_no_regular_file_is_refused(odd, bank):
    """Links, special files and files that are gone are no references."""
    odd(bank.parent / "models/2.pt2")
    with pytest.raises(UsageError, match=r"'models/2\.pt2' is no regular file"):
        open_bank(bank)


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.pt2", "models/../../outside.pt2", "a\\b", "", "."])
def test_a_reference_outside_the_banks_folder_is_refused(path, bank):
    """A bank cannot name files elsewhere on the machine."""
    references = json.loads(bank.read_text())["references"]
    references[0]["path"] = path
    changed(bank, references=references)
    with pytest.raises(UsageError, match=r"cannot be read|no regular file"):
        open_bank(bank)


WRONG = {
    "too few references": {"references": [{"path": "models/0.pt2", "sha256": "a" * 64}]},
    "another version": {"schema_version": 1},
    "a key of its own": {"comment": "x"},
    "a size that is no number": {"statistics": [{"model": "m", "sizes": {"d": {"class 0": "small"}}}]},
    "settings that are no digest": {"settings": {"neural-cleanse": "x"}},
}


@pytest.mark.parametrize("values", WRONG.values(), ids=WRONG)
def test_a_bank_that_is_no_bank_is_refused(values, bank):
    """Whatever the schema does not know is an error with advice."""
    changed(bank, **values)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        open_bank(bank)
    assert caught.value.what_to_do


def test_the_same_model_twice_is_one_witness(bank):
    """Two names of one file do not make two references."""
    references = json.loads(bank.read_text())["references"]
    references[1]["sha256"] = references[0]["sha256"]
    changed(bank, references=references)
    with pytest.raises(UsageError, match="the same model twice is one witness"):
        open_bank(bank)


def test_a_file_that_is_missing_or_too_large_is_refused(tmp_path, bank):
    """A path that leads nowhere and a file beyond the bound are usage errors."""
    with pytest.raises(UsageError, match="expected a regular file, found"):
        open_bank(tmp_path / "nowhere.json")
    with bank.open("r+b") as stream:
        stream.truncate(MAX_BANK_BYTES + 1)
    with pytest.raises(UsageError, match="larger than"):
        open_bank(bank)


def test_a_bank_that_could_not_be_read_again_is_not_written(tmp_path, monkeypatch):
    """It says how large it would be, and leaves nothing behind."""
    monkeypatch.setattr("gate.records.bank.MAX_BANK_BYTES", 400)
    with pytest.raises(UsageError, match=r"would have \d+ bytes; expected at most 400") as caught:
        write_bank(tmp_path / "bank.json", statistics=STATISTICS)
    assert caught.value.what_to_do
    assert not list(tmp_path.iterdir())


def test_the_record_survives_json(bank):
    """What was read can be handed to the worker in its job."""
    read = open_bank(bank).bank
    assert Bank.from_json(read.canonical_json()) == read
