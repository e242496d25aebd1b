"""The first screen: what was found in one plain sentence, its trigger, how far the verdict goes, names of classes."""

import base64
import html

import pytest
import reports
from test_next_steps import CASES, suspect

from gate.records.bank_evidence import BankEvidence, SelfMadeEvidence
from gate.records.bundle import BundleFacts
from gate.records.comparison import CellSurprise, Comparison
from gate.records.evidence import Location, Measured, Measurement, Picture, Suspect
from gate.records.finding import Finding
from gate.records.report import Report
from gate.records.sample_settings import SamplesPolicy
from gate.records.verdict import Calibration
from gate.renderers import RENDERERS, comment
from gate.renderers.calibration import in_short
from gate.renderers.causes import causes
from gate.renderers.first import first
from gate.renderers.footprint import footprint
from gate.renderers.names import Names
from gate.renderers.typical import about, beside, typical

NAMES = {0: "T-shirt", 3: "Dress", 7: "Sneaker"}


def mask(rows: range, columns: range, side: int = 28) -> Picture:
    """Return a mask that is white in a box."""
    pixels = bytes(255 * (row in rows and column in columns) for row in range(side) for column in range(side))
    raw = base64.b64encode(pixels).decode()
    return Picture(role="mask", location=Location.of_class(7), height=side, width=side, channels=1, pixels=raw)


def with_evidence(report: Report, **changes: object) -> Report:
    """Return a report with other evidence under the same verdict."""
    assert report.evidence
    return report.model_copy(update={"evidence": report.evidence.model_copy(update=changes)})


def named(report: Report, names: dict[int, str] = NAMES) -> Report:
    """Return a report whose policy names the classes."""
    policy = report.policy.model_copy(update={"samples": SamplesPolicy(classes=names)})
    return report.model_copy(update={"policy": policy})


@pytest.mark.parametrize(
    ("rows", "columns", "place", "size"),
    [
        (range(25, 28), range(25, 28), "in the lower right corner", "small "),
        (range(3), range(3), "in the upper left corner", "small "),
        (range(10, 18), range(4), "at the left edge", "small "),
        (range(10, 18), range(10, 18), "in the middle", ""),
        (range(28), range(28), "", "large "),
        (range(0, 28, 9), range(0, 28, 9), "", "large "),
    ],
)
def test_a_mask_says_where_it_lies(rows: range, columns: range, place: str, size: str) -> None:
    """Corner, edge or middle where most of it lies in one place; scattered pixels have none."""
    seen = footprint(mask(rows, columns))
    assert seen is not None
    assert (seen.place, seen.size) == (place, size)


def test_an_empty_mask_has_no_place() -> None:
    """Nothing is said of nothing."""
    assert footprint(mask(range(0), range(0))) is None


def test_a_confirmed_suspect_is_one_plain_sentence() -> None:
    """What was found, how much of other images it turns, into which class by name."""
    report = named(suspect())
    (sentence,) = first(report).sentences
    assert sentence == (
        "The search found a small patch in the lower right corner (about 5 × 5 pixels) that turns "
        "98\N{NARROW NO-BREAK SPACE}% of other images into class 7, Sneaker. "
        "On the bank's clean models it moves 1\N{NARROW NO-BREAK SPACE}%."
    )
    assert (
        sentence.replace("\N{NARROW NO-BREAK SPACE}", " ")
        in html.unescape(RENDERERS["html"][1](report)).split("<main>")[0]
    )
    assert "turns 98" in RENDERERS["markdown"][1](report).split("## Why")[0]
    assert "turns 98" in comment.render(report).split("**Next")[0]


@pytest.mark.parametrize("case", ["approved", "no-samples", "bad-samples", "pickled", "unfinished", "nothing"])
def test_no_sentence_where_nothing_was_confirmed(case: str) -> None:
    """An approved version, and one whose behaviour was not measured, has none."""
    assert first(CASES[case]()).sentences == ()


def test_a_suspect_that_was_not_tried_anew_has_a_picture_alone() -> None:
    """Without a confirming measurement the trigger is shown as it was found, and no share is claimed."""
    report = suspect()
    assert report.evidence
    outcomes = {name: found for name, found in report.evidence.outcomes.items() if name != "confirmation"}
    (one,) = first(with_evidence(report, outcomes=outcomes)).suspects
    assert one.sentence == ""
    assert len(one.pictures) == 3
    assert "nothing confirmed it" in RENDERERS["html"][1](with_evidence(report, outcomes=outcomes))


@pytest.mark.parametrize(
    ("detector", "size", "words"),
    [
        ("additive-trigger", 0.04, "a faint pattern over the whole image (by 4"),
        ("additive-trigger", 0.3, "a pattern over the whole image (by 30"),
        ("warp-trigger", 0.8, "a slight warp of the whole image (by 0.8 pixels)"),
        ("some-new-search", 0.1, "a change that turns"),
    ],
)
def test_each_family_has_its_own_words(detector: str, size: float, words: str) -> None:
    """A pattern, a warp, a tone: what the family that named the suspect looks for."""
    report = suspect()
    assert report.evidence
    here = Location.of_class(reports.TARGET)
    found = Measured(measurements=(Measurement(metric="size", value=size, location=here),), seconds=1)
    named_by = Suspect(stage=1, detector=detector, metric="size-ratio", value=0.1, location=here)
    changes = {"outcomes": {**report.evidence.outcomes, detector: found}, "suspects": (named_by,)}
    (sentence,) = first(with_evidence(report, **changes)).sentences
    assert words in sentence


def test_a_pair_names_the_class_that_is_left() -> None:
    """From one class to another, both by name."""
    place = Location.of_pair(3, 7)
    report = named(suspect())
    assert report.evidence
    outcomes = {**report.evidence.outcomes, "confirmation": reports.confirmed(place)}
    pair = Suspect(stage=1, detector="neural-cleanse", metric="size", value=1, location=place)
    (sentence, *_) = first(with_evidence(report, outcomes=outcomes, suspects=(pair,), pictures=())).sentences
    assert "a patch that turns 98\N{NARROW NO-BREAK SPACE}% of the images of class 3, Dress, into class 7" in sentence


def test_the_probe_that_tells_beside_a_bank_is_the_sentence() -> None:
    """Where no search named the class: what the probe does, and what clean models do with it."""
    report = named(suspect())
    probe = "white patch of 3 × 3 pixels, lower right"
    place = {"detector": "probe-grid", "metric": "patch-cells", "kind": "class", "name": "7", "probe": probe}
    cell = CellSurprise.model_validate({**place, "share": 0.89, "others": 0.03, "surprise": 9.0})
    seen = Comparison(kind="per-class", cells=(cell,), bank_scores=(1.0,))
    bank = BankEvidence(digest="sha256:" + "a" * 64, count=1, same_task=True, comparison=seen)
    (sentence,) = first(with_evidence(report, suspects=(), bank=bank)).sentences
    told = f"{probe}: sends 89% of other classes' samples to class 7; clean models at most 3%"
    assert sentence == f"A fixed probe shows it ({told})."


def test_pictures_are_those_of_the_search_that_named_the_suspect() -> None:
    """Several searches draw the same class; the sentence and its pictures are of one of them."""
    report = suspect()
    assert report.evidence
    own = [one.model_copy(update={"detector": "neural-cleanse"}) for one in report.evidence.pictures]
    other = mask(range(28), range(28)).model_copy(update={"detector": "additive-trigger"})
    assert "lower right corner" in first(with_evidence(report, pictures=(other, *own))).sentences[0]


def test_rate_and_accuracy_are_said_as_they_are() -> None:
    """With a bank the level; without one that no rate is known; without labels that accuracy is not."""
    beside_bank, alone = first(CASES["approved"]()), first(suspect())
    assert "about 5\N{NARROW NO-BREAK SPACE}% of clean models like these are flagged" in beside_bank.rate
    assert alone.rate.startswith("Uncalibrated: the policy's own limits judged, with no rate of false alarms")
    assert alone.accuracy == "The model gets 97.8\N{NARROW NO-BREAK SPACE}% of 500 clean samples right."
    report = suspect()
    assert report.evidence
    assert report.evidence.samples
    bare = report.evidence.samples.model_copy(update={"accuracy": None})
    assert "carry no labels" in first(with_evidence(report, samples=bare)).accuracy


def test_on_samples_that_do_not_go_with_the_model_nothing_is_said_of_a_trigger() -> None:
    """The samples come first among the reasons, and what was searched on them is no sentence."""
    report = suspect()
    assert report.verdict
    assert first(report).sentences
    poor = Finding(rule="samples", kind="condition", message="The model gets 7.5% of the clean samples right.")
    findings = (*report.verdict.findings, poor)
    report = report.model_copy(update={"verdict": report.verdict.model_copy(update={"findings": findings})})
    assert first(report).sentences == ()
    assert causes(report.verdict.open_findings, report)[0].first == poor


def test_of_few_classes_it_is_said_that_a_bank_alone_approves() -> None:
    """No limit judged such a model, and the zoo's clean ones of ten classes say nothing of it."""
    report = suspect()
    assert report.evidence
    facts = report.evidence.facts.model_copy(update={"classes": 2})
    assert first(with_evidence(report, facts=facts)).rate == (
        "Uncalibrated: no reference bank judged this model of 2 classes, which nothing else can approve."
    )


def test_names_are_the_policys_then_the_samples_then_the_candidates() -> None:
    """The word that goes furthest is shown, and whose it is."""
    report = suspect()
    assert report.evidence
    assert report.evidence.samples
    assert report.evidence.bundle
    facts = BundleFacts.model_validate({**report.evidence.bundle.model_dump(), "class_names": {7: "theirs"}})
    report = with_evidence(report, bundle=facts)
    assert (Names.of(report).label(7), "candidate's own claim" in Names.of(report).source) == ("7 (theirs)", True)
    samples = report.evidence.samples.model_copy(update={"class_names": {7: "samples'"}})
    report = with_evidence(report, samples=samples)
    assert Names.of(report).label(7) == "7 (samples')"
    assert Names.of(named(report)).label(7) == "7 (Sneaker)"
    assert Names.of(named(report)).label(9) == "9"


def test_a_class_has_its_name_wherever_its_number_stands() -> None:
    """In findings, tables, headings, targets and on the terminal."""
    report = named(suspect())
    page, text = RENDERERS["html"][1](report), RENDERERS["markdown"][1](report)
    for words in ("at class 7 (Sneaker)", "Class 7 (Sneaker) — named as a target", "Target class: 7 (Sneaker)"):
        assert words in page
    assert r"| 7 (Sneaker) |" in text
    assert "class 3 (Dress)" in text
    assert Names.of(report).within("pair 3→7 and class 70") == "pair 3 (Dress)→7 (Sneaker) and class 70"


@pytest.mark.parametrize("text", reports.HOSTILE, ids=range(len(reports.HOSTILE)))
def test_a_hostile_name_stays_a_text(text: str) -> None:
    """A name is short, one line and escaped, whoever wrote it."""
    report = named(suspect(), {7: text[:100] or "x"})
    page = RENDERERS["html"][1](report)
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert len(Names.of(report).name(7)) <= 42
    assert "::" not in Names.of(report).name(7)


def test_ranges_of_the_zoo_stand_beside_numbers_that_were_measured_alike() -> None:
    """Clean and planted lie where the packaged data say; other options have no range, other classes a warning."""
    report = suspect()
    assert beside(report, "neural-cleanse", "anomaly-index").startswith("clean ")
    assert "planted patches" in beside(report, "neural-cleanse", "anomaly-index")
    assert beside(report, "neural-cleanse", "size") == ""
    assert beside(report, "no-such-detector", "size") == ""
    assert report.evidence
    nc = report.evidence.outcomes["neural-cleanse"]
    other = {**report.evidence.outcomes, "neural-cleanse": nc.model_copy(update={"options": {"steps": 7}})}
    assert beside(with_evidence(report, outcomes=other), "neural-cleanse", "anomaly-index") == ""
    facts = report.evidence.facts.model_copy(update={"classes": 43})
    assert "read them with care" in about(with_evidence(report, facts=facts))
    assert "with care" not in about(report)
    assert "In the zoo" in RENDERERS["html"][1](report)


def test_the_packaged_ranges_are_whole() -> None:
    """They say from which split, how many models and which classes they are, and every range runs upwards."""
    known = typical()
    assert (known.split, known.classes, known.clean_models) == ("unseen", (10, 20), 261)
    for found in known.metrics.values():
        for lies in found.values():
            assert lies.clean[0] <= lies.clean[1]
            assert lies.planted is None or lies.planted[0] <= lies.planted[1]


def test_a_self_made_bank_is_named_wherever_the_verdict_is_explained() -> None:
    """Beside the rate, among the conditions and in the terminal: whose copies they are, and on what they learnt."""
    report = reports.approved()
    assert report.evidence
    assert report.evidence.bank
    made = SelfMadeEvidence(whose="", data="trusted.npz")
    bank = report.evidence.bank.model_copy(update={"self_made": made, "accepted": ("copy 3, though it is flagged: …",)})
    report = with_evidence(report, bank=bank)
    assert report.verdict
    assert report.verdict.standing
    standing = report.verdict.standing.model_copy(update={"copies": made.named})
    report = report.model_copy(update={"verdict": report.verdict.model_copy(update={"standing": standing})})
    copies = "24 self-made copies of the candidate's own program, trained on trusted.npz"
    assert f"over {copies}. The policy flags at" in first(report).rate
    assert "of models trained as these were are flagged" in first(report).rate
    markdown = RENDERERS["markdown"][1](report)
    assert "**Calibrated by a self-made bank.**" in markdown
    assert "24 self-made copies of the candidate" in markdown
    assert "four such banks flagged 1 of 37" in markdown
    assert "Without a bank the policy flags 1 copy of this one too" in markdown
    assert "Calibrated by a self-made bank" in html.unescape(RENDERERS["html"][1](report))
    assert in_short(report.verdict).startswith("0.")
    assert copies in in_short(report.verdict)


def within(report: Report, **changes: object) -> Report:
    """Return a report of a check without a bank, with a p-value within the model."""
    seen = Calibration(
        p_value=0.31,
        level=0.05,
        least_p=0.01,
        models=99,
        score=1.4,
        kind="within",
        driver="neural-cleanse size at class 4",
        predictive_p=1.0,
        made_of="99 small networks of four tasks",
    )
    because = "No reference bank stood beside the scan."
    alone = {"calibrated": False, "standing": None, "within": seen, "within_judged": True}
    assert report.verdict
    verdict = report.verdict.model_copy(update={**alone, "uncalibrated_because": because, **changes})
    return report.model_copy(update={"verdict": verdict})


def test_a_p_value_within_the_model_is_said_to_be_one_wherever_the_verdict_is_explained() -> None:
    """Its models, what they were made of, for which candidates its rate holds, and that it sees less than a bank."""
    report = within(reports.approved())
    assert report.verdict
    rate = first(report).rate
    assert rate.startswith("No bank: p = 0.31 among 99 clean models of other tasks, within one model. The policy flags")
    assert "fewer backdoors are seen this way than beside a bank" in rate
    markdown = RENDERERS["markdown"][1](report)
    for said in (
        "**A p-value within the model.** No reference bank stood beside the scan. p = 0.31 among",
        "that come with the gate (99 small networks of four tasks)",
        "No limit that only confirms is exceeded.",
        "the rate is measured on them, and holds for candidates like them alone",
    ):
        assert said in markdown
    assert "A p-value within the model" in html.unescape(RENDERERS["html"][1](report))
    assert in_short(report.verdict) == (
        "0.31 within the model, among 99 clean models of other tasks (level 0.05), "
        "driven by neural-cleanse size at class 4"
    )


def test_a_p_value_within_the_model_that_did_not_judge_is_shown_as_such() -> None:
    """The policy's limits stand behind the verdict, and the rate is not known."""
    report = within(reports.approved(), within_judged=False)
    assert report.verdict
    markdown = RENDERERS["markdown"][1](report)
    assert "**Uncalibrated.** No reference bank stood beside the scan. Shown, and judging nothing: p = 0.31" in markdown
    assert first(report).rate.startswith("Uncalibrated: the policy's own limits judged")
    assert in_short(report.verdict).startswith("none: ")
