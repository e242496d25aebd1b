"""Adapters on a real MLflow store: a bank of them, checks beside it, promotion and verification."""

import json
from dataclasses import dataclass

from tests.e2e.adapted import CLEAN, LIKE, OTHER_RANK, PLANTED
from tests.e2e.beside_base import bank_of, desk_beside_base
from tests.e2e.stories import story

NAME = "support-adapter"


@dataclass
class Adapted:
    """What was built, checked and promoted."""

    desk: object
    built: object
    bank: dict
    like: object
    report: dict
    planted: object
    other: object
    alone: object
    promoted: object
    verified: object


def adapted(world):
    """Register, build a bank of the clean versions, check three beside it and one without, and promote."""
    desk = desk_beside_base(world, "adapted", "adapter")
    built = bank_of(desk, "adapter", NAME, CLEAN)

    def check(number, **more):
        return desk.gate("check", f"models:/{NAME}/{number}", GATE_REPORT_DIR=desk.folder / f"out-{number}", **more)

    like = check(LIKE, GATE_BANK="bank.json")
    return Adapted(
        desk=desk,
        built=built,
        bank=json.loads((desk.folder / "bank.json").read_text()),
        like=like,
        report=json.loads((desk.folder / f"out-{LIKE}" / "report.json").read_text()),
        planted=check(PLANTED, GATE_BANK="bank.json"),
        other=check(OTHER_RANK, GATE_BANK="bank.json"),
        alone=check(1),
        promoted=desk.gate("promote", f"models:/{NAME}/{LIKE}", "--to", "production-adapter"),
        verified=desk.gate("verify", "models:/production-adapter@champion", "--candidate", NAME),
    )


STORY = story(adapted)


@STORY
def test_a_bank_holds_adapters_of_one_group(told):
    """Its group is the base's weights, the parameterisation and the band of ranks."""
    assert told.built.code == 0, told.built
    group = told.bank["adapters"]
    assert (group["parameterisation"], group["least_rank"], group["greatest_rank"]) == ("LoRA", 5, 8)
    assert len(told.bank["statistics"]) == CLEAN


@STORY
def test_an_adapter_like_the_banks_is_approved_by_its_bundle_alone(told):
    """No model was run: the evidence says what was compared, and with which base."""
    assert told.like.code == 0, told.like
    evidence, verdict = told.report["evidence"], told.report["verdict"]
    assert (evidence["assurance"], verdict["covers"], verdict["calibrated"]) == ("A", "bundle", True)
    assert evidence["base"]["weights"] == told.bank["adapters"]["base"]
    assert evidence["facts"]["adapter"]["families"] == ["o_proj", "q_proj", "v_proj"]
    assert evidence["bundle"]["origin"] == "adapter"


@STORY
def test_an_adapter_unlike_the_banks_is_flagged_with_its_layers(told):
    """The p-value is beyond the level, and the findings name modules."""
    assert told.planted.code == 1, told.planted
    assert "o_proj" in told.planted.stdout
    assert "p = 0.0476 over 20 clean models" in told.planted.stdout.replace("\n  ", " ")


@STORY
def test_outside_its_bank_an_adapter_is_not_examined(told):
    """Another band of ranks, and no bank at all: both are flagged with what was not done."""
    assert told.other.code == 1
    assert "the adapter is not examined" in told.other.stdout.replace("\n  ", " ")
    assert told.alone.code == 1
    assert "No reference bank stood beside the scan" in told.alone.stdout.replace("\n  ", " ")


@STORY
def test_the_bundle_is_promoted_and_verified(told):
    """Production's alias names the gate's own folder."""
    assert (told.promoted.code, told.promoted.stdout[:8]) == (0, "PROMOTED"), told.promoted
    assert (told.verified.code, told.verified.stdout[:8]) == (0, "VERIFIED"), told.verified
