"""What now: by cause, in an order that helps, each command one that the gate's own parser takes as it is printed."""

import html
import re
import shlex
from collections.abc import Iterator

import click
import pytest
import reports

from gate.cli.main import main
from gate.cli.terminal import show_result
from gate.formats.carried import NO_MODEL, OTHER_FLAVOUR
from gate.formats.log_again import ONNX_EXTRA, SEVERAL_LABELS
from gate.judging.judge import judge
from gate.records.artifact import ModelRef
from gate.records.evidence import Failed, Location, Measured, Measurement, Skipped
from gate.records.facts import ModelFacts
from gate.records.finding import Finding
from gate.records.limit import Limit
from gate.records.plan import Expected, Plan
from gate.records.policy import Policy, Reviewers, Rule
from gate.records.report import Given, Report
from gate.records.sample_settings import SamplesPolicy
from gate.renderers import RENDERERS, comment
from gate.renderers.next_steps import Step, next_steps
from gate.renderers.view import View

VERSION = ModelRef(registry="mlflow", name="credit", version="7")
FOLDER = ModelRef(registry="directory", name="/models/credit")
GIVEN = Given(
    policy="gate policy.yml",
    samples="clean samples.npz",
    bank="bank.json",
    directory="out dir",
    tracking_uri="https://mlflow.example:5000",
    experiment="gates",
    signing_key="key.pem",
    signs=True,
    marks=True,
    public_keys=("key.pub.pem",),
    trusts=True,
    audit_log="reviews.jsonl",
)
NO_SAMPLES = "No clean samples were given, and without them no behaviour can be measured. Pass --samples, or pin them."
BAD_SAMPLES = "The labels run from 1 to 10; the model's classes are 0 to 9."
NEEDS = "needs the model, which could not be examined: "
REVIEWERS = Reviewers(names=("ann",))
PICKLES = reports.coverage()[0].model_copy(update={"detector": "unsafe-pickle"})
"""What a report says of the detector of pickles, whose findings forbid loading as those of `artifact-integrity` do."""


def made(base: Report, model: ModelRef = VERSION, given: Given = GIVEN, **changes: object) -> Report:
    """Return a report of other evidence, under a policy that names reviewers, judged anew."""
    rules = base.policy.model_copy(update={"reviewers": REVIEWERS, **dict(changes.pop("rules", {}))})
    assert base.evidence
    evidence = base.evidence.model_copy(update={"model": model, **changes})
    verdict = judge(evidence, rules, on=reports.DAY)
    told = {"model": model, "uri": str(model), "evidence": evidence, "policy": rules, "verdict": verdict}
    covered = (*(one for one in base.coverage if one.detector != PICKLES.detector), PICKLES)
    return base.model_copy(update={**told, "given": given, "what_to_do": "", "coverage": covered})


def suspect(**changes: object) -> Report:
    """Return a report in which the search of patches names a class, and nothing else stands against the version."""
    base = reports.flagged()
    assert base.evidence
    outcomes = {**base.evidence.outcomes, "model-inversion": Measured(measurements=(
        Measurement(metric="agreement", value=0.1, location=Location.of_class(reports.TARGET)),
        Measurement(metric="agreement", value=0.1, location=Location.of_class(3)),
    ), seconds=1)}  # fmt: skip
    return made(base, **{"outcomes": outcomes, "assurance": "A", **changes})


def silent(problem: str, reason: str, **changes: object) -> Report:
    """Return a report in which no detector of behaviour ran."""
    base = reports.flagged()
    assert base.evidence
    unrun = Skipped(reason=reason)
    outcomes = {name: unrun for name in base.policy.detectors if name != "artifact-integrity"}
    kept = {"artifact-integrity": base.evidence.outcomes["artifact-integrity"], **outcomes}
    own = {"outcomes": kept, "problems": (problem,), "samples": None, "suspects": (), "pictures": (), "assurance": "A"}
    return made(base, **{**own, **changes})


def pickled() -> Report:
    """Return a report of a pickle with code of its own."""
    limit = Limit(max=0, source="one call is enough")
    found = Measured(measurements=tuple(
        Measurement(metric="unsafe-globals", value=1, location=Location(kind="file", name=f"data/{n}"))
        for n in range(11)
    ), seconds=1)  # fmt: skip
    reason = "it carries code, or its files are not what MLflow writes, as the findings say"
    base = reports.flagged()
    rules = {"detectors": {"unsafe-pickle": Rule(limits={"unsafe-globals": limit}), **base.policy.detectors},
             "stages": ()}  # fmt: skip
    unread = silent(f"The model was not loaded: {reason}.", f"not loaded: {reason}", assurance=None, facts=ModelFacts())
    assert unread.evidence
    outcomes = {"unsafe-pickle": found, **unread.evidence.outcomes}
    return made(unread, rules=rules, outcomes=outcomes)


def few_classes() -> Report:
    """Return a report of a model of three classes without a bank: the tables of limits say nothing for it."""
    report = suspect(facts=ModelFacts(flavour="pytorch", format="pt2", classes=3))
    assert report.evidence
    return report


def left_out(most: float = 4000) -> Report:
    """Return a report in which a search made way for what fitted the deadline, and its plan."""
    report = suspect()
    assert report.evidence
    skipped = Skipped(reason="left out, since it takes at least 3000 s", short_of_time=True)
    one = Measured(measurements=(), seconds=70)
    detectors = {
        "neural-cleanse": Expected(least=3000, most=most),
        "model-inversion": Expected(least=90, most=90, took=400),
    }
    return made(
        report,
        outcomes={**report.evidence.outcomes, "neural-cleanse": skipped, "maximum-margin": one},
        suspects=(),
        seconds={"pull": 9e9, "load": 30, "scan": 9e9},
        plan=Plan(whole=Expected(least=3090, most=most + 90, took=470), detectors=detectors),
    )


def broke() -> Report:
    """Return a report in which a detector failed."""
    report = suspect()
    assert report.evidence
    return made(report, outcomes={**report.evidence.outcomes, "model-inversion": Failed(error="worker killed")})


CASES = {
    "approved": lambda: made(reports.approved()),
    "approved-unsigned": lambda: made(reports.approved(), given=Given(samples="s.npz")),
    "approved-unmarked": lambda: made(reports.approved(), given=GIVEN.model_copy(update={"marks": False})),
    "approved-folder": lambda: made(reports.approved(), FOLDER),
    "unbundled": lambda: made(reports.unbundled()),
    "suspect": suspect,
    "suspect-unsigned": lambda: suspect(given=Given(samples="s.npz", directory="-odd")),
    "suspect-folder": lambda: suspect(model=FOLDER),
    "no-reviewers": lambda: suspect(rules={"reviewers": None}),
    "no-samples": lambda: silent(NO_SAMPLES, f"{NEEDS}{NO_SAMPLES}", given=Given()),
    "bad-samples": lambda: silent(BAD_SAMPLES, f"{NEEDS}{BAD_SAMPLES}"),
    "pickled": pickled,
    "few-classes": few_classes,
    "broke": broke,
    "late": lambda: silent(
        "The scan's deadline was reached in neural-cleanse.",
        "the deadline was reached",
        samples=suspect().evidence.samples,
    ),
    "left-out": left_out,
    "unfinished": reports.unfinished,
    "nothing": reports.without_anything,
    "live": lambda: suspect(assurance="C"),
}


def causes(report: Report) -> list[str]:
    """Return the causes of the steps, each once."""
    return list(dict.fromkeys(step.cause for step in next_steps(report)))


def words(step: Step) -> list[str]:
    """Return a command as a shell gives it to the gate."""
    return shlex.split(step.command)


def commands(report: Report) -> Iterator[list[str]]:
    """Yield the words of each command of a report."""
    yield from (words(step) for step in next_steps(report) if step.command)


def parsed(argv: list[str]) -> click.Context:
    """Let the gate's own parser read a command, or fail as a usage error; nothing is run."""
    assert argv[0] == "gate"
    group: click.Command = main
    context = click.Context(main, info_name="gate", **main.context_settings)
    rest = argv[1:]
    while isinstance(group, click.Group):
        name, found, rest = group.resolve_command(context, rest)
        assert found is not None
        group, context = found, click.Context(found, parent=context, info_name=name)
    return group.make_context(group.name, list(rest), parent=context.parent)


@pytest.mark.parametrize("case", CASES)
def test_every_printed_command_is_one_that_the_gate_takes(case: str, tmp_path, monkeypatch) -> None:
    """No command is a usage error as it stands, with the directories that its check left."""
    monkeypatch.chdir(tmp_path)
    for directory in ("out dir", "gate-report", "-odd"):
        (tmp_path / directory).mkdir()
    found = list(commands(CASES[case]()))
    for argv in found:
        parsed(argv)
    assert next_steps(CASES[case]())[0].sentence
    assert found or case == "approved-folder"


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ("approved", ["promote"]),
        ("approved-unsigned", ["sign", "promote"]),
        ("approved-unmarked", ["sign", "promote"]),
        ("approved-folder", ["register"]),
        ("unbundled", ["no-bundle"]),
        ("suspect", ["look", "repair", "repeat", "review"]),
        ("suspect-unsigned", ["look", "repair", "repeat", "sign", "review"]),
        ("suspect-folder", ["look", "repeat", "register"]),
        ("no-reviewers", ["look", "repair", "repeat", "reviewers"]),
        ("no-samples", ["samples"]),
        ("bad-samples", ["samples"]),
        ("pickled", ["log-again", "allow-code"]),
        ("broke", ["scan-again", "look", "repair", "repeat"]),
        ("late", ["scan-again"]),
        ("left-out", ["scan-again"]),
        ("unfinished", ["unfinished"]),
        ("nothing", ["unfinished"]),
        ("live", ["log-again"]),
    ],
)
def test_the_cause_decides_what_is_next(case: str, expected: list[str]) -> None:
    """Whoever has wrong samples is not told to approve, and nobody is sent to another seed in vain."""
    assert causes(CASES[case]()) == expected


def test_a_scan_that_ran_out_of_time_is_advised_a_deadline_that_holds_it() -> None:
    """What was measured took its time, what was left out takes what was expected at most, and a quarter is room."""
    again = next(argv for argv in commands(left_out()) if "--deadline" in argv)
    needed = 1.25 * (30 + 70 + 4000 + 400)
    assert needed <= int(again[again.index("--deadline") + 1]) < needed + 300
    again = next(argv for argv in commands(CASES["late"]()) if "--deadline" in argv)
    assert again[again.index("--deadline") + 1] == "7200"


def test_a_scan_that_no_deadline_holds_is_advised_none() -> None:
    """The longest is a week."""
    step = next(step for step in next_steps(left_out(1e8)) if step.cause == "scan-again")
    assert "no deadline is long enough" in step.sentence
    assert "--deadline" not in step.command


def test_the_report_says_what_was_expected_where_it_is_worth_a_line() -> None:
    """Above a minute, or where something was left out; a scan of seconds says nothing."""
    assert View(left_out()).pace == "The detectors were expected to take 52 to 68 min and took 7 min 50 s."
    plan = Plan(whole=Expected(least=10, most=20, took=15), detectors={})
    assert View(suspect(plan=plan)).pace == ""
    assert View(suspect()).pace == ""


def test_few_classes_lead_to_a_bank() -> None:
    """Below eight classes nothing inside one model judges: a bank is made, and the check goes on beside it."""
    found = [words(step) for step in next_steps(CASES["few-classes"]()) if step.cause == "bank"]
    assert [argv[1:3] for argv in found] == [["bank", "build"], ["check", "models:/credit/7"]]
    assert found[1][found[1].index("--bank") + 1] == found[0][found[0].index("--to") + 1]


def test_a_check_again_names_what_the_check_was_given() -> None:
    """Samples, policy, bank, key, log and registry stand in it, in evidence that holds no samples too."""
    (argv,) = commands(CASES["bad-samples"]())
    assert argv == [
        *("gate", "check", "models:/credit/7", "--policy", "gate policy.yml", "--samples", "clean samples.npz"),
        *("--bank", "bank.json", "--report-dir", "out dir", "--signing-key", "key.pem"),
        *("--audit-log", "reviews.jsonl", "--tracking-uri", "https://mlflow.example:5000", "--experiment", "gates"),
    ]


def test_samples_of_texts_are_asked_for_as_texts() -> None:
    """A classifier of texts is not told of arrays, nor of the settings of images."""
    facts = ModelFacts(flavour="transformers", format="pt2", classes=2, space="tokens")
    missing = silent(NO_SAMPLES, f"{NEEDS}{NO_SAMPLES}", given=Given(), facts=facts)
    wrong = silent(BAD_SAMPLES, f"{NEEDS}{BAD_SAMPLES}", facts=facts)
    (asked,), (corrected,) = next_steps(missing), next_steps(wrong)
    assert "lines of JSON, or a CSV file, with `text` and `label`" in asked.sentence
    assert "--samples SAMPLES.jsonl" in asked.command
    assert "(classes, max-tokens)" in corrected.sentence


def test_no_samples_would_mend_a_model_of_several_labels() -> None:
    """One version for each label is examined; the samples are not to be corrected."""
    said = f"The model gives 6 numbers between 0 and 1 that do not add up to 1: {SEVERAL_LABELS}."
    facts = ModelFacts(flavour="transformers", format="pt2", classes=6, space="tokens")
    (step,) = next_steps(silent(said, f"{NEEDS}{said}", facts=facts))
    assert (step.cause, "one version for each label" in step.sentence) == ("log-again", True)


def test_a_flagged_classifier_of_texts_can_be_repaired() -> None:
    """Its word is unlearnt, so that the step is offered as for images."""
    facts = ModelFacts(flavour="transformers", format="transformers", classes=10, space="tokens")
    assert "repair" in causes(suspect(facts=facts, bundle_digest="sha256:" + "0" * 64))
    assert "repair" not in causes(suspect(facts=facts, bundle_digest=None))


def test_what_the_policy_pins_is_not_said_again() -> None:
    """Samples that the policy names are the policy's to name."""
    pinned = {"samples": SamplesPolicy(uri="clean samples.npz")}
    found = next(commands(silent(BAD_SAMPLES, f"{NEEDS}{BAD_SAMPLES}", rules=pinned)))
    assert "--samples" not in found


def test_an_unsigned_decision_is_signed_without_a_scan() -> None:
    """A pair of keys, then publish; what follows trusts the public half of that very pair."""
    keys, publish, promote = commands(CASES["approved-unsigned"]())
    assert keys[:3] == ["gate", "keys", "generate"]
    assert publish[1:5] == ["publish", "gate-report", "--signing-key", keys[keys.index("--to") + 1]]
    assert promote[promote.index("--public-key") + 1] == "gate-signing.pub.pem"


def test_a_key_that_came_as_text_is_not_named() -> None:
    """It stays in the environment, where the next command finds it."""
    given = GIVEN.model_copy(update={"signing_key": "", "public_keys": ()})
    found = [argv for argv in commands(suspect(given=given)) if argv[1] == "review"]
    assert len(found) == 3
    assert not {"--signing-key", "--public-key"} & {word for argv in found for word in argv}


@pytest.mark.parametrize("name", ["a b; rm x", "$(id)", "it's", "x # y", "a\nb", "--help", "`id`"])
def test_a_name_stays_one_word_of_a_command(name: str) -> None:
    """Whatever a registry calls a model, a shell reads it as a part of one argument."""
    for argv in commands(suspect(model=ModelRef(registry="mlflow", name=name, version="7"))):
        named = [word for word in argv if word.startswith("models:/")]
        assert all(word in {f"models:/{name}/7", f"models:/{name}/latest"} for word in named)


@pytest.mark.parametrize("case", CASES)
def test_every_surface_shows_the_same_steps(case: str, capsys) -> None:
    """Page, Markdown and terminal show every step; the comment the first ones."""
    report = CASES[case]()
    steps = next_steps(report)
    page, text = html.unescape(RENDERERS["html"][1](report)), RENDERERS["markdown"][1](report)
    page = re.sub(r"</?span[^>]*>", "", page)
    show_result(report, None, "")
    shown = " ".join(capsys.readouterr().out.replace("\\\n", " ").split())
    for step in steps:
        assert step.sentence.split(":")[0].split("`")[0].split("'")[0][:40].replace("_", r"\_") in text
        assert " ".join(step.sentence.split()) in shown
        if step.command and "'" not in step.command:
            assert step.command in page
            assert step.command in text
            assert " ".join(step.command.split()) in shown
    if steps[0].command and "'" not in steps[0].command:
        assert steps[0].command in comment.render(report).split("<details>")[0]


def test_a_policy_of_before_keeps_its_digest() -> None:
    """A policy without names of classes reads as it did."""
    rules = Policy(version=1, detectors={"neural-cleanse": Rule()})
    assert b"classes" not in rules.canonical_json()
    named = rules.model_copy(update={"samples": SamplesPolicy(classes={0: "Boot"})})
    assert named.digest != rules.digest


def unread(message: str, *findings: Finding) -> Report:
    """Return a report of a version that was not loaded, for the reason that the scan says."""
    report = pickled()
    assert report.verdict
    said = Finding(rule="scan", kind="condition", message=f"The model was not loaded: {message}.")
    return report.model_copy(update={"verdict": report.verdict.model_copy(update={"findings": (said, *findings)})})


CODE = Finding(rule="unsafe-pickle", kind="limit", message="unsafe-globals 10 at file python_model.pkl")


@pytest.mark.parametrize("why", [NO_MODEL, OTHER_FLAVOUR])
def test_code_is_offered_to_be_run_only_where_that_would_help(why: str) -> None:
    """No folder without MLmodel, and no other flavour, is read after its code has run."""
    assert causes(unread("it is a pickled network", CODE)) == ["log-again", "allow-code"]
    (step,) = next_steps(unread(why, CODE))
    assert (step.cause, "--allow-code" in step.command) == ("log-again", False)
    assert step.sentence.startswith("Log the network itself")


def test_a_pipeline_that_was_not_composed_is_checked_again_or_logged_again() -> None:
    """Nothing is wrong with its files unless a finding says so, and no other flavour is advised."""
    facts = {"facts": ModelFacts(flavour="transformers")}

    def of_pipeline(*findings: Finding) -> list[str]:
        report = unread("the package transformers is not installed", *findings)
        assert report.evidence
        return causes(report.model_copy(update={"evidence": report.evidence.model_copy(update=facts)}))

    assert of_pipeline() == ["scan-again"]
    assert of_pipeline(CODE) == ["log-again"]


def test_a_program_that_is_refused_is_not_said_to_carry_code() -> None:
    """Exported in training mode, for one: what stands above says what to mend."""
    (step,) = next_steps(unread("aten.batch_norm in training mode"))
    assert step.sentence.startswith("Log the model again without what stands above.")


def test_a_package_that_is_missing_is_installed_and_the_model_left_as_it_is() -> None:
    """To log an ONNX model as another one would be the wrong advice."""
    (step,) = next_steps(unread(f"there is no onnx. Install them: {ONNX_EXTRA}"))
    assert (step.cause, ONNX_EXTRA in step.sentence) == ("install", True)
    assert words(step)[:2] == ["gate", "check"]


def test_other_outputs_have_a_step_of_their_own_and_leave_the_review_open() -> None:
    """Mended by whoever trains it, or decided by a reviewer."""
    report = suspect()
    assert report.verdict
    other = Finding(rule="outputs", kind="condition", message="The output '[1]' was not examined.")
    report = report.model_copy(update={"verdict": report.verdict.model_copy(update={"findings": (other,)})})
    assert causes(report)[0] == "one-output"
    assert causes(report)[-1] == "review"
    assert words(next_steps(report)[0])[:3] == ["gate", "check", "models:/credit/latest"]


def test_bytes_alone_are_judged_without_samples_and_bank() -> None:
    """Samples that no detector takes would be looked at, and refused, for nothing."""
    facts = ModelFacts(flavour="sklearn")
    report = made(reports.flagged(), assurance=None, facts=facts)
    (command,) = [words(step) for step in next_steps(report) if step.cause == "files-only"]
    assert command[command.index("--policy") + 1] == "files-only"
    assert not {"--samples", "--bank"} & set(command)
