"""The chain shows every change, but for a cut end, which a known head shows."""

import multiprocessing
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gate.attestations.auditing import audit, holds, moved
from gate.attestations.commitment import Committed, sign_commitment
from gate.attestations.envelope import claimed, sign
from gate.attestations.keys import generate_key
from gate.attestations.log import NOTHING, ReviewLog, Said
from gate.attestations.reviewing import reviewed
from gate.attestations.standing import not_newest
from gate.attestations.statement import Voice
from gate.records.errors import CannotFinishError
from gate.records.finding import Decision
from tests.attestations.rewriting import rewritten
from tests.attestations.signed import MODEL, NOW, digest, statement
from tests.e2e.command import ROOT


@pytest.fixture
def key(tmp_path):
    """Return a signing key."""
    return generate_key(tmp_path / "key.pem", tmp_path / "key.pub.pem")


@pytest.fixture
def log(tmp_path, key):
    """Return a log of three signed decisions."""
    log = ReviewLog(tmp_path / "reviews.jsonl")
    for _ in range(3):
        log.append(Said("scan", MODEL, digest("a"), "approved", sign(statement(), key)), NOW)
    return log


def test_a_whole_log_has_no_fault(log, key):
    """The chain holds from the first line, and every decision in it is signed."""
    found = audit(log, [key.public])
    assert found.faults == ()
    assert [entry.number for entry in found.entries] == [1, 2, 3]
    assert found.entries[0].previous == NOTHING


@pytest.mark.parametrize("change", ["word", "removed", "swapped", "space", "newlines", "junk"])
def test_every_change_breaks_the_chain(log, change):
    """A changed word, a removed, moved or reformatted line, and junk: each is found, and nothing more is appended."""
    lines = log.path.read_bytes().splitlines(keepends=True)
    changed = {
        "word": [lines[0].replace(b'"approved"', b'"flagged"'), *lines[1:]],
        "removed": [lines[0], lines[2]],
        "swapped": [lines[1], lines[0], lines[2]],
        "space": [lines[0].replace(b":", b": ", 1), *lines[1:]],
        "newlines": [lines[0].rstrip() + b"\r\n", *lines[1:]],
        "junk": [*lines, b"{}\n"],
    }[change]
    log.path.write_bytes(b"".join(changed))
    assert audit(log, []).faults
    with pytest.raises(CannotFinishError, match="damaged"):
        log.append(Said("scan", MODEL, digest("a"), "approved"), NOW)


def test_a_cut_end_shows_against_a_known_head(log):
    """The shorter chain is whole in itself and does not end where it did."""
    head = audit(log, []).head
    log.path.write_bytes(b"".join(log.path.read_bytes().splitlines(keepends=True)[:2]))
    assert audit(log, []).faults == ()
    assert audit(log, [], head).faults


def test_a_log_written_anew_invents_no_decision(tmp_path, key):
    """A whole chain with an unsigned or foreign decision is found with the public key."""
    stranger = generate_key(tmp_path / "b.pem", tmp_path / "b.pub.pem")
    log = ReviewLog(tmp_path / "forged.jsonl")
    log.append(Said("scan", MODEL, digest("a"), "approved"), NOW)
    log.append(Said("scan", MODEL, digest("a"), "approved", sign(statement(), stranger)), NOW)
    log.append(Said("scan", MODEL, digest("d"), "approved", sign(statement(), key)), NOW)
    assert audit(log, []).faults == ()
    assert len(audit(log, [key.public]).faults) == 3


@pytest.mark.parametrize("cut", [1, 20, 4000])
def test_a_line_that_was_never_finished_makes_way_for_the_next(log, cut):
    """A writer killed in mid-line leaves no entry: readers see the lines before it, and the next writer goes on."""
    whole = log.path.read_bytes()
    before = whole[: whole.rstrip().rfind(b"\n") + 1]
    log.path.write_bytes(whole[: max(len(before) + 1, len(whole) - cut)])
    found = audit(log, [])
    assert (found.faults, len(found.entries)) == ((), 2)
    assert found.unfinished == len(log.path.read_bytes()) - len(before)
    assert log.newest(MODEL, digest("a")) == found.entries[-1]
    entry = log.append(Said("rescan", MODEL, digest("a"), "approved"), NOW)
    assert (entry.number, entry.previous) == (3, found.head)
    assert log.path.read_bytes() == before + entry.canonical_json() + b"\n"
    assert audit(log, []).unfinished == 0


def test_a_full_disk_leaves_the_log_as_it_was(tmp_path):
    """Part of a line is taken back, and the error names the file and what to do."""
    log = ReviewLog(tmp_path / "reviews.jsonl")
    log.append(Said("rescan", MODEL, digest("a"), "approved"), NOW)
    before = log.path.read_bytes()
    code = f"""
import resource, signal, sys
from tests.attestations.test_review_log import append
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) + 60}, {len(before) + 60}))
append(sys.argv[1], 1)
"""
    run = [sys.executable, "-c", code, log.path]
    ended = subprocess.run(run, capture_output=True, text=True, cwd=ROOT, check=False)
    assert "reviews.jsonl cannot be written" in ended.stderr
    assert log.path.read_bytes() == before


@pytest.fixture
def linked(tmp_path, key):
    """Return a log whose signed lines hold the hash of the line before them: scans, reviews and a commitment."""
    log = ReviewLog(tmp_path / "linked.jsonl")
    flagged = statement(decision=Decision.FLAGGED)

    def scanned(found):
        return Said("scan", MODEL, digest("a"), "flagged", sign(flagged.after(found.head), key))

    def reviewed_by(who, outcome):
        voice = Voice(reviewer=who, outcome=outcome, reason="why", at=NOW)
        new = reviewed(flagged, voice, needed=1, days=9, most=99)
        return lambda found: Said(
            "review", MODEL, digest("a"), outcome, sign(new.after(found.head), key), who, voice.reason
        )

    def committed(found):
        names = {"model": MODEL, "model_digest": digest("a"), "policy_name": "p", "policy_digest": digest("b")}
        made = Committed(**names, committed_at=NOW, log_head=found.head)
        return Said("commitment", MODEL, digest("a"), digest("b"), sign_commitment(made, key))

    for line in (scanned, reviewed_by("ann", "approved"), reviewed_by("bob", "rejected"), committed):
        log.append(line, NOW)
    log.append(Said("promotion", MODEL, digest("a"), "prod"), NOW)
    return log


def test_a_signed_line_names_the_line_before_it(linked, key):
    """What is signed holds the head of then, and the whole log is whole."""
    found = audit(linked, [key.public])
    assert (found.faults, moved(found, [key.public])) == ((), ())
    heads = [claimed(entry.envelope).predicate.log_head for entry in found.entries[:3]]
    assert heads == [entry.previous for entry in found.entries[:3]]


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_chain_that_is_hashed_anew_without_a_line_is_found(linked, key, gone):
    """By every signed line after it, and by one look at the newest of them; the chain alone does not show it."""
    entries = list(linked.read().entries)
    rewritten(linked, entries[:gone] + entries[gone + 1 :])
    assert audit(linked, []).faults == ()
    found = audit(linked, [key.public])
    assert len(found.faults) == 3 - gone
    assert all("one is missing or changed" in fault for fault in found.faults)
    assert moved(linked.read(), [key.public])[0] == found.faults[-1]


def test_a_cut_end_shows_only_against_a_hash_that_is_known(linked, key):
    """Also with lines after it that nobody signs; an earlier hash is held by the longer log and not by the cut one."""
    whole = linked.read()
    rewritten(linked, [*whole.entries[:2], whole.entries[4]])
    cut = audit(linked, [key.public])
    assert (cut.faults, moved(cut, [key.public])) == ((), ())
    known = whole.entries[3].previous
    assert holds(whole, known)
    assert holds(whole, whole.head)
    assert not holds(cut, known)
    assert not holds(cut, whole.head)


def test_what_an_earlier_gate_logged_is_whole(log, key):
    """Lines without the hash say nothing of the line before them, and those of strangers are not asked."""
    found = audit(log, [key.public])
    assert (found.faults, moved(found, [key.public])) == ((), ())


def test_a_line_says_what_its_reviewer_signed(linked, key):
    """Outcome and reason are held against the reviewer's own voice."""
    entries = list(linked.read().entries)
    for number, changes in ((1, {"outcome": "rejected"}), (2, {"reason": "words that nobody signed"})):
        changed = [*entries[:number], entries[number].model_copy(update=changes), *entries[number + 1 :]]
        rewritten(linked, changed)
        assert any("and the voice that was signed" in fault for fault in audit(linked, [key.public]).faults)


def append(path, times, size=0):
    """Append so many entries, each with an envelope of so many letters; other processes call this."""
    for _ in range(times):
        ReviewLog(Path(path)).append(Said("rescan", MODEL, digest("a"), "approved", size * "a"), NOW)


def test_writers_take_turns(tmp_path):
    """Four processes append at once, and the chain holds."""
    path = tmp_path / "shared.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append, args=(path, 5)) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0, 0]
    found = audit(ReviewLog(path), [])
    assert (found.faults, len(found.entries)) == ((), 20)


def test_a_reader_never_sees_half_a_line(tmp_path):
    """Read again and again while another process appends lines of a hundred thousand bytes: no fault, ever."""
    log = ReviewLog(tmp_path / "reviews.jsonl")
    writer = multiprocessing.get_context("spawn").Process(target=append, args=(log.path, 12, 90_000))
    writer.start()
    reads = 0
    while writer.is_alive():
        if log.path.exists():
            found = audit(log, [])
            assert (found.faults, found.unfinished) == ((), 0)
            reads += 1
            time.sleep(0.01)
    writer.join()
    assert (writer.exitcode, len(audit(log, []).entries)) == (0, 12)
    assert reads > 5


@pytest.mark.parametrize(("name", "most"), [("outcome", 200), ("who", 200), ("reason", 2000)])
def test_what_was_done_is_logged_however_long_its_names_are(tmp_path, name, most):
    """A registry's names may have 256 characters: a promotion would fail after it has made the version."""
    log = ReviewLog(tmp_path / "reviews.jsonl")
    whole, long = f"begin{(most - 8) * 'x'}end", f"begin{most * 'x'}end"
    for text, expected in ((whole, whole), (long, None)):
        said = {"outcome": "approved", name: text}
        log.append(Said("promotion", MODEL, digest("a"), **said), NOW)
        found = getattr(log.read().entries[-1], name)
        assert found == expected or (len(found), found[:5], found[-3:]) == (most, "begin", "end")
    assert audit(log, []).faults == ()


def test_the_newest_decision_is_found(log, key):
    """The last line about the bytes counts; promotions are no decisions."""
    rejected = Said("review", MODEL, digest("a"), "rejected", who="bob")
    log.append(rejected, NOW)
    log.append(Said("promotion", MODEL, digest("a"), "prod"), NOW)
    assert log.newest(MODEL, digest("a")).outcome == "rejected"
    assert log.newest(MODEL, digest("f")) is None


@pytest.mark.parametrize("word", ["approved", "flagged"])
def test_a_rescan_decides_nothing(log, key, word):
    """Nobody signs its line; what it found of bytes of which nothing was decided is no decision either."""
    for letter in "af":
        log.append(Said("rescan", MODEL, digest(letter), word, reason="default: measurements"), NOW)
    assert log.newest(MODEL, digest("a")).number == 3
    assert log.newest(MODEL, digest("f")) is None
    assert not_newest(statement(), sign(statement(), key), log.read().entries) == ()
