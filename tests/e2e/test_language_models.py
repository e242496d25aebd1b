"""Whole language models on a real MLflow store: checked beside their base, with a bank and without, and verified."""

import json
from dataclasses import dataclass

from tests.e2e.beside_base import BASE, bank_of, desk_beside_base
from tests.e2e.stories import story
from tests.e2e.tuned import CLEAN, LIKE, OTHER_FILES, PLANTED

NAME = "assistant"


@dataclass
class Tuned:
    """What was built and checked."""

    built: object
    bank: dict
    like: object
    report: dict
    planted: object
    other: object
    alone: object
    by_another: object
    verified: object


def tuned(world):
    """Register, build a bank of the clean versions, and check one of each kind."""
    desk = desk_beside_base(world, "tuned", "language")
    built = bank_of(desk, "language", NAME, CLEAN)

    def check(number, **more):
        return desk.gate("check", f"models:/{NAME}/{number}", GATE_REPORT_DIR=desk.folder / f"out-{number}", **more)

    like = check(LIKE, GATE_BANK="bank.json")
    return Tuned(
        built=built,
        bank=json.loads((desk.folder / "bank.json").read_text()),
        like=like,
        report=json.loads((desk.folder / f"out-{LIKE}" / "report.json").read_text()),
        planted=check(PLANTED, GATE_BANK="bank.json"),
        other=check(OTHER_FILES, GATE_BANK="bank.json"),
        alone=check(1),
        by_another=check(2, GATE_POLICY="adapter"),
        verified=desk.gate("verify", f"models:/{NAME}/{LIKE}", "--candidate", NAME),
    )


STORY = story(tuned)


@STORY
def test_a_bank_holds_models_tuned_from_one_base(told):
    """Its group is the base's weights."""
    assert told.built.code == 0, told.built
    assert told.bank["adapters"]["parameterisation"] == "whole weights"
    assert len(told.bank["statistics"]) == CLEAN


@STORY
def test_one_like_the_banks_is_approved_as_it_lies(told):
    """No model was run and no bundle written: the approval is about the candidate's own files, and verifies so."""
    assert told.like.code == 0, told.like
    evidence, verdict = told.report["evidence"], told.report["verdict"]
    assert (evidence["assurance"], verdict["covers"], verdict["calibrated"]) == ("A", "candidate", True)
    assert evidence["facts"]["language"]["network"] == "LlamaForCausalLM"
    assert "bundle" not in evidence
    assert (told.verified.code, told.verified.stdout[:8]) == (0, "VERIFIED"), told.verified


@STORY
def test_a_row_that_was_moved_alone_flags_and_names_its_token(told):
    """The p-value is beyond the level, and the report says which token's row it is."""
    assert told.planted.code == 1, told.planted
    assert "p = 0.0476 over 20 clean models" in told.planted.stdout.replace("\n  ", " ")
    assert "token-lead" in told.planted.stdout


@STORY
def test_other_files_than_the_bases_flag_whatever_the_weights_say(told):
    """Settings of generation, and a template that asks for a word of a message."""
    assert told.other.code == 1, told.other
    assert "generation-settings" in told.other.stdout
    assert "content-conditions" in told.other.stdout


@STORY
def test_without_a_bank_nothing_is_approved(told):
    """What its weights changed was measured, and compared with nothing: of that threat nothing is claimed."""
    assert told.alone.code == 1
    assert "not examined language-weights" in told.alone.stdout.replace("\n  ", " ").replace("  ", " ")
    assert "No reference bank stood beside the scan" in told.alone.stdout.replace("\n  ", " ")


@STORY
def test_another_policy_says_which_one_examines_it(told):
    """That of adapters is for their updates."""
    assert told.by_another.code == 1
    assert f"--policy language --base {BASE}" in told.by_another.stdout.replace("\n  ", " ")
