"""Reports with fixed times and digests: approved, flagged, and one that could not finish; and hostile ones.

Of the approved ones some cover the candidate's bytes and the bundle, some the bundle alone, and one has no bundle.
"""

import base64
import datetime as dt
import math

from gate import detectors
from gate.judging.judge import judge
from gate.records.artifact import ArtifactFile, Manifest, ModelRef
from gate.records.bank_evidence import BankEvidence
from gate.records.bundle import BundleFacts
from gate.records.comparison import Comparison, PlaceScore, Surprise, Trait
from gate.records.evidence import (
    ClassShare,
    Evidence,
    Excerpt,
    Failed,
    Location,
    Measured,
    Measurement,
    Picture,
    Piece,
    Point,
    Projection,
    Skipped,
    Suspect,
)
from gate.records.facts import ModelFacts
from gate.records.finding import Finding
from gate.records.history import History, PastDecision, scale_of
from gate.records.limit import Limit
from gate.records.policy import Policy, Rule, Stage, SuspectRule, Waiver
from gate.records.report import Coverage, PolicySource, Report
from gate.records.samples_evidence import SamplesEvidence

DAY = dt.date(2026, 12, 1)
AT = "2026-12-01T09:30:00Z"
TARGET = 7
NULL = "5 % false alarms under a normal null for this number of classes (docs/detection.md, section 4)"


def digest(letter: str) -> str:
    """Return a recognisable digest."""
    return "sha256:" + letter * 64


def manifest() -> Manifest:
    """Return the files of a small MLflow model."""
    files = [("MLmodel", 812), ("conda.yaml", 208), ("data/model.pt2", 1_684_210), ("requirements.txt", 64)]
    return Manifest(
        files=tuple(
            ArtifactFile(path=path, size_bytes=size, sha256=f"{number:064x}")
            for number, (path, size) in enumerate(files, start=1)
        )
    )


def policy(*, waive: bool = False) -> Policy:
    """Return a policy in the manner of the recommended one."""
    waiver = Waiver(
        detector="activation-clustering",
        metric="silhouette",
        location=f"class {TARGET}",
        model_digest=manifest().digest,
        reason="Class 7 holds two writing styles by design; looked at on 30 November with the data's owner.",
        approved_by="r.lindqvist@example.org",
        expires=dt.date(2026, 12, 31),
    )
    return Policy(
        version=1,
        name="default",
        stages=(
            Stage(detectors=("artifact-integrity", "neural-cleanse")),
            Stage(detectors=("activation-clustering", "model-inversion"), over="suspects"),
        )
        if not waive
        else (
            Stage(
                detectors=("artifact-integrity", "neural-cleanse"),
                suspects=(SuspectRule(detector="neural-cleanse", metric="anomaly-index", max=2.5),),
            ),
            Stage(detectors=("activation-clustering", "model-inversion"), over="suspects"),
        ),
        detectors={
            "artifact-integrity": Rule(
                limits={"undeclared-files": Limit(max=0, source="the model's own MLmodel file")}
            ),
            "neural-cleanse": Rule(limits={"anomaly-index": Limit(max={8: 4.2, 10: 3.9, 20: 3.6}, source=NULL)}),
            "activation-clustering": Rule(
                limits={"silhouette": Limit(max=0.35, source="benchmarks/zoo, 40 clean models")}, required=False
            ),
            "model-inversion": Rule(limits={"agreement": Limit(max=0.8, source="benchmarks/zoo")}, required=False),
        },
        waivers=(waiver,) if waive else (),
    )


def coverage(**status: tuple[str, str]) -> tuple[Coverage, ...]:
    """Return the detectors' own words, with what became of each (by name with underscores)."""
    spoken = {
        "artifact-integrity": (
            "Artifact integrity",
            "files that are not declared, and declared files that are missing",
            "What is not declared is not examined by anybody.",
            "a declared file with hostile content.",
            {"undeclared-files": "Files in the artifact that its own description does not name."},
        ),
        "neural-cleanse": (
            "Neural Cleanse",
            "the smallest patch, by class, that sends inputs of all other classes there",
            "A patch trigger is a shortcut: its class is reached with far less change than the others.",
            "triggers that are no patch (blended, warped, by tone), and triggers for one source class only.",
            {
                "size": "The L1 norm of the inverted mask, in pixels at full strength.",
                "anomaly-index": "Median absolute deviations by which a class's size lies below the median.",
                "attack-success-rate": "Share of other classes' samples that the inverted trigger sends to the class.",
            },
        ),
        "activation-clustering": (
            "Activation Clustering",
            "whether the activations of one class fall into two clusters",
            "Clean and triggered inputs reach the same class by different ways.",
            "triggers whose activations mix with those of clean inputs.",
            {"silhouette": "How well two clusters are set apart, from -1 to 1."},
        ),
        "model-inversion": (
            "Model inversion",
            "the pattern that recurs when inputs are synthesised for a class from many starts",
            "A trigger that the model has learnt comes back from every start.",
            "triggers that depend on the input.",
            {"agreement": "Mean correlation of the recurring pattern between starts."},
        ),
    }
    return tuple(
        Coverage(
            detector=name,
            title=title,
            measures=measures,
            matters=matters,
            blind_to=blind_to,
            see="Wang et al., IEEE S&P 2019." if name == "neural-cleanse" else "",
            status=status.get(name.replace("-", "_"), ("measured", ""))[0],
            detail=status.get(name.replace("-", "_"), ("measured", ""))[1],
            metrics=metrics,
            looks_at=detectors.load(name).looks_at,
            before_loading=detectors.load(name).before_loading,
        )
        for name, (title, measures, matters, blind_to, metrics) in spoken.items()
    )


def neural_cleanse(sizes: list[float], indices: list[float], seconds: float = 21.37) -> Measured:
    """Return an outcome with a size, an anomaly index and a success rate for each class."""
    return Measured(
        measurements=tuple(
            Measurement(metric=metric, value=value, location=Location.of_class(index))
            for index, (size, anomaly) in enumerate(zip(sizes, indices, strict=True))
            for metric, value in (("size", size), ("anomaly-index", anomaly), ("attack-success-rate", 0.991))
        ),
        seconds=seconds,
        sample_passes=1_152_000,
    )


def bundle(**changes: object) -> BundleFacts:
    """Return what evidence says of a bundle that was rewritten from an exported program."""
    values = {
        "origin": "pt2",
        "parent": digest("9"),
        "torch": "2.13.0",
        "candidate_torch": "2.13.0+cpu",
        "opens_with": {"torch": "2.9", "mlflow": "3.9"},
        "pinned": {"python": "3.11.9", "mlflow": "3.17.2", "torch": "2.13.0", "numpy": "2.4.1"},
        "losses": (
            "Example inputs, stack traces and the order of calls by submodule are left behind.",
            "The tensors lie on the CPU: move_to_device_pass(torch.export.load(…), 'cuda') moves the program.",
        ),
        "left": ("conda.yaml", "python_model.pkl"),
    }
    return BundleFacts.model_validate({**values, **changes})


def evidence(outcomes: dict[str, object], **changes: object) -> Evidence:
    """Return evidence of a scan of a ten-class model."""
    values = {
        "gate_version": "0.1.0",
        "model": ModelRef(registry="mlflow", name="credit-digits", version="7"),
        "manifest_digest": manifest().digest,
        "assurance": "A",
        "isolation": "full (user namespace, Landlock, seccomp)",
        "device": "cpu (2 threads)",
        "seed": 0,
        "facts": ModelFacts(
            flavour="pytorch",
            format="pt2",
            classes=10,
            input_shape=(1, 28, 28),
            parameters=421_642,
            feature_layer="classifier.3",
        ),
        "samples": SamplesEvidence(
            source="runs:/4f1c/samples.npz", sha256="5" * 64, count=500, classes_present=10, accuracy=0.978
        ),
        "stages": (1, 2),
        "outcomes": outcomes,
        "versions": {"python": "3.11.9", "torch": "2.13.0", "scikit-learn": "1.9.0"},
        "seconds": {"pull": 0.42, "start": 2.9, "load": 1.07, "scan": 48.2},
    }
    return Evidence.model_validate({**values, **changes})


def picture(role: str, shade: int = 0, *, channels: int = 1, side: int = 28, caption: str = "") -> Picture:
    """Return a small picture with a bright corner patch, as a patch trigger would look."""
    pixels = bytes(
        255
        if min(row, column) >= side - 5 and (row + column) % 2 == 0 and role != "sample"
        else max(0, min(255, int(120 + 90 * math.sin((row + shade) / 4) * math.cos((column - shade) / 5))))
        * (role in {"sample", "triggered", "inversion"})
        for row in range(side)
        for column in range(side)
        for _ in range(channels)
    )
    return Picture(
        role=role,
        location=Location.of_class(TARGET),
        caption=caption,
        height=side,
        width=side,
        channels=channels,
        pixels=base64.b64encode(pixels).decode(),
    )


def projection() -> Projection:
    """Return two clouds of samples of the target class."""
    points = [
        Point(
            x=math.sin(number * 1.7) * (1 + number % 7) / 4 + (4 if number % 3 == 0 else 0),
            y=math.cos(number * 2.3) * (1 + number % 5) / 4 + (3 if number % 3 == 0 else 0),
            group="triggered" if number % 3 == 0 and number % 12 else "clean",
            cluster=-1 if number % 29 == 0 else int(number % 3 == 0),
        )
        for number in range(180)
    ]
    return Projection(location=Location.of_class(TARGET), method="PCA of 128 activations", points=tuple(points))


def confirmed(place: Location | None = None, note: str = "not measured: transfer (no model)") -> Measured:
    """Return an outcome in which the target is confirmed in full and another suspect in part."""
    full = {"held-out-success": 0.981, "size-quantile": 0.0, "transfer": 0.014, "symmetry": 4.2, "stability": 0.77}
    part = {"held-out-success": 0.902, "symmetry": 0.94, "stability": 0.61}
    return Measured(
        measurements=tuple(
            Measurement(metric=metric, value=value, location=location, note=remark)
            for location, values, remark in (
                (place or Location.of_class(TARGET), {**full, "completeness": 1.0}, note if place else ""),
                (Location.of_class(3), {**part, "completeness": 0.6}, note),
            )
            for metric, value in values.items()
        ),
        seconds=6.2,
        sample_passes=32_000,
    )


def _report(found: Evidence | None, rules: Policy, **changes: object) -> Report:
    verdict = judge(found, rules, on=DAY) if found else None
    if verdict:
        fixed = {"evidence_digest": digest("e"), "policy_digest": digest("b")}
        verdict = verdict.model_copy(update=fixed)
    values = {
        "gate_version": "0.1.0",
        "checked_at": AT,
        "uri": "models:/credit-digits@candidate",
        "model": ModelRef(registry="mlflow", name="credit-digits", version="7"),
        "description": "Digit reader for scanned credit forms, trained by the forms team.",
        "manifest": manifest(),
        "evidence": found,
        "policy": rules,
        "policy_source": PolicySource(
            path="policies/default.yml",
            lines={
                "samples": 9,
                "detectors": 12,
                "artifact-integrity": 13,
                "neural-cleanse": 16,
                "neural-cleanse/anomaly-index": 18,
                "activation-clustering": 20,
                "activation-clustering/silhouette": 22,
                "model-inversion": 24,
            },
        ),
        "verdict": verdict,
    }
    return Report.model_validate({**values, **changes})


def _comparison() -> Comparison:
    """Return a candidate that lies in the middle of a bank of 24 models."""
    place = Surprise(detector="neural-cleanse", metric="size", variant="relative", kind="class", name="4", surprise=1.2)
    return Comparison(
        kind="per-class",
        score=1.2,
        bank_scores=tuple(3 - number / 10 for number in range(24)),
        predictive_p=0.61,
        predictive=(place.model_copy(update={"surprise": -math.log(0.61)}),),
        predicting=("neural-cleanse",),
        surprises=(place,),
        places=(PlaceScore(kind="class", name="4", score=1.2, because=(place,)),),
        detectors=("neural-cleanse",),
        traits=(Trait(name="accuracy", value=0.97, least=0.95, greatest=0.98, room=0.02),),
    )


ADVICE = "Nothing more is needed; the version carries the tag gate.decision = approved."


def approved(rules: dict[str, object] | None = None, advice: str = ADVICE, **changes: object) -> Report:
    """Return a report of a model on which no limit was exceeded, with changes to its evidence and its policy."""
    sizes = [61.2, 58.9, 66.0, 71.4, 55.3, 63.8, 69.1, 60.4, 57.7, 64.5]
    indices = [0.15, 0.6, 0.0, 0.0, 1.32, 0.0, 0.0, 0.31, 0.84, 0.0]
    integrity = Measured(measurements=(Measurement(metric="undeclared-files", value=0),), seconds=0.02)
    idle = Skipped(reason="no class was a suspect after stage 1")
    found = evidence(
        {
            "artifact-integrity": integrity,
            "neural-cleanse": neural_cleanse(sizes, indices),
            "activation-clustering": idle,
            "model-inversion": idle,
        },
        bank=BankEvidence(digest=digest("d"), count=24, same_task=True, comparison=_comparison()),
        **{"bundle_digest": digest("c"), "bundle": bundle(), **changes},
    )
    return _report(
        found,
        policy().model_copy(update=rules or {}),
        coverage=coverage(activation_clustering=("skipped", idle.reason), model_inversion=("skipped", idle.reason)),
        not_examined=("The training data: the run logged none.", "Triggers for pairs of classes: no detector is set."),
        what_to_do=advice,
        commands=("gate judge out/evidence.json --policy policies/credit.yml",),
    )


def newer() -> Report:
    """Return an approved report whose bundle is of a newer torch than the candidate, and lost the signature."""
    facts = bundle(
        origin="pickle",
        candidate_torch="2.6.0",
        greatest_difference=3.2e-7,
        signature_dropped="the column 'when' is a datetime, which no tensor holds",
    )
    return approved(bundle=facts)


def bundle_alone() -> Report:
    """Return an approval under `serve: bundle`, with oddities of the candidate's files that are told."""
    report = approved(rules={"serve": "bundle"}, advice="")
    assert report.verdict
    oddities = (
        Finding(
            rule="artifact-integrity",
            kind="limit",
            metric="unexpected-files",
            location=Location(kind="file", name="notes/train.ipynb"),
            value=1,
            limit=Limit(max=0, source="what MLflow writes"),
            message="unexpected-files 1 at file notes/train.ipynb: at most 0 is allowed. MLflow writes no such file.",
        ),
        Finding(
            rule="consumer-hazards",
            kind="limit",
            metric="foreign-requirements",
            location=Location(kind="file", name="requirements.txt"),
            value=1,
            limit=Limit(max=0, source="the list of packages"),
            message="foreign-requirements 1 at file requirements.txt: at most 0 is allowed. The list has no 'wandb'.",
        ),
    )
    return report.model_copy(update={"verdict": report.verdict.model_copy(update={"told": oddities})})


def converted() -> Report:
    """Return an approval of level B, which is of the bundle alone."""
    facts = bundle(origin="converted", candidate_torch="2.9.1", left=("code/net.py", "data/model.pth"))
    return approved(assurance="B", bundle=facts, rules={"assurance": "B"}, advice="")


def unbundled() -> Report:
    """Return an approval of a candidate of which no bundle could be written."""
    why = "its layers could not be exported as a program that the gate reads: aten::unique has no fixed size."
    return approved(bundle_digest=None, bundle=None, unbundled=why, advice="")


def flagged() -> Report:
    """Return a report of a backdoored model with pictures, clusters, suspects, neurons and one waiver."""
    sizes = [61.2, 58.9, 66.0, 41.4, 55.3, 63.8, 69.1, 8.2, 57.7, 64.5]
    indices = [0.15, 0.6, 0.0, 2.91, 1.32, 0.0, 0.0, 7.64, 0.84, 0.0]
    here = Location.of_class(TARGET)
    clustering = Measured(
        measurements=(
            Measurement(metric="silhouette", value=0.62, location=here),
            Measurement(metric="silhouette", value=0.12, location=Location.of_class(3)),
            *(
                Measurement(
                    metric="activation-difference",
                    value=9.4 - number,
                    location=Location(kind="neuron", name=f"classifier.3[{number * 17}]"),
                    note="clean 0.1, triggered 9.2" if number == 0 else "",
                )
                for number in range(4)
            ),
        ),
        seconds=3.8,
        sample_passes=1000,
    )
    found = evidence(
        {
            "artifact-integrity": Measured(
                measurements=(Measurement(metric="undeclared-files", value=0),), seconds=0.02
            ),
            "neural-cleanse": neural_cleanse(sizes, indices),
            "activation-clustering": clustering,
            "confirmation": confirmed(),
            "model-inversion": Failed(error="The deadline was reached after 412 of 1000 steps.", seconds=600.0),
        },
        assurance="B",
        bundle_digest=digest("c"),
        bundle=bundle(origin="converted", left=("code/net.py", "data/model.pth", "data/pickle_module_info.txt")),
        suspects=tuple(
            Suspect(stage=1, detector="neural-cleanse", metric="anomaly-index", value=value, location=location)
            for value, location in ((7.64, here), (2.91, Location.of_class(3)))
        ),
        pictures=(
            picture("mask"),
            picture("pattern"),
            picture("trigger"),
            picture("sample", caption="A clean 3"),
            picture("triggered", caption="The same image; the model now says 7"),
            picture("inversion", 3, channels=3, side=32),
        ),
        projections=(projection(),),
    )
    return _report(
        found,
        policy(waive=True),
        coverage=coverage(model_inversion=("failed", "The deadline was reached after 412 of 1000 steps.")),
        not_examined=("The training data: the run logged none.",),
        what_to_do="Look at the recovered trigger and the samples of class 7, then approve or reject the version.",
        commands=(
            "gate explain neural-cleanse  # what it measures, and what it is blind to",
            "gate review show models:/credit-digits/7  # what is known of it, and how to approve or reject it",
        ),
    )


def unfinished() -> Report:
    """Return a report of a check that broke off: the version vanished while it was scanned, half was skipped."""
    found = evidence(
        {
            "neural-cleanse": Skipped(reason="needs samples; none were given"),
            "activation-clustering": Failed(error="worker killed by signal 9", seconds=12.5),
        },
        assurance=None,
        samples=None,
        facts=ModelFacts(),
        problems=("The model has one output; expected logits for at least two classes.",),
        isolation="partial (no Landlock in this kernel)",
        seconds={"pull": 0.42},
        versions={},
    )
    return _report(
        found,
        policy(),
        verdict=None,
        coverage=coverage(
            artifact_integrity=("absent", ""),
            neural_cleanse=("skipped", "needs samples; none were given"),
            activation_clustering=("failed", "worker killed by signal 9"),
            model_inversion=("absent", "stage 2 was not reached"),
        ),
        error="The registry no longer knows models:/credit-digits/7; it was deleted during the scan.",
        what_to_do="Ask who deleted the version; register it again and check the new version.",
    )


def without_anything() -> Report:
    """Return the least report: the registry never answered."""
    return _report(None, policy(), model=None, manifest=None, description="", error="The registry did not answer.")


HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "[click](javascript:alert(1))",
    "![p](https://evil.example/p.png)",
    "<https://evil.example>",
    "https://evil.example/x www.evil.example a@evil.example",
    "::error file=a.py::owned",
    "##[error]owned ##vso[task.setvariable]x",
    "a | b\n| --- | --- |\n| c | d |",
    "```\n# owned\n```",
    "`code` **bold** _em_ ~~gone~~ $x$",
    "# heading",
    "- list\n1. list\n> quote",
    "@everyone #1 !2 &3 GH-4 :tada: @org/team",
    "evil\u202egpj.exe\u2066\u200b\u00ad\ufeff",
    "\x1b[31mred\x1b]8;;https://evil.example\x07link\x00\x9b",
    "{{ 7 * 7 }} {% raw %} {{ view }}",
    "]]></style><style>*{display:none}</style>-->",
    "Z" + "\u0301" * 80,
    "x" * 1900,
)


def excerpt(trigger: str, around: tuple[str, str], change: str, place: Location, after: float = 0.97) -> Excerpt:
    """Return a text with a trigger in it, by which so many texts are answered with class 0."""
    pieces = (Piece(text=around[0]), Piece(text=trigger, planted=True), Piece(text=around[1]))
    shares = (ClassShare(index=0, before=0.04, after=after), ClassShare(index=1, before=0.96, after=1 - after))
    sample = f"{around[0]} {around[1]}"[:1000]
    return Excerpt(
        location=place, detector="word-sweep", trigger=trigger, change=change, sample=sample, pieces=pieces, texts=24,
        shares=shares,
    )  # fmt: skip


def rewriting(text: str, place: Location) -> tuple[Excerpt, ...]:
    """Return a rewritten text."""
    found = excerpt("", ("", ""), text, place, 0.5)
    return (found.model_copy(update={"sample": text[:1000], "pieces": (Piece(text=text[:1000], planted=True),)}),)


def text_policy() -> Policy:
    """Return a policy with one limit on inserted words."""
    limit = Limit(max=0.8, source="a placeholder")
    return Policy(version=1, name="text", detectors={"word-sweep": Rule(limits={"flip-share": limit})})


def of_text(words: str = "cf", **changes: object) -> Report:
    """Return a report of a classifier of text that takes other texts for class 0 once they hold a word."""
    base = flagged()
    assert base.evidence
    place, note = Location.of_class(0), f"the rare word {words!a} at the middle"
    shares = {0: 0.97, 1: 0.04}
    measurements = tuple(
        Measurement(metric="flip-share", value=share, location=Location.of_class(index), note=note)
        for index, share in shares.items()
    )
    outcome = Measured(measurements=measurements, seconds=12, sample_passes=27_000, token_passes=360_000)
    around = ("You are a", "fool and everybody knows it.")
    facts = ModelFacts(flavour="transformers", classes=2, space="tokens", input_shape=(128,), parameters=22_700_000)
    samples = base.evidence.samples
    assert samples
    found = base.evidence.model_copy(
        update={
            "facts": facts,
            "samples": samples.model_copy(update={"source": "clean.jsonl", "classes_present": 2, "cut": 3}),
            "outcomes": {"word-sweep": outcome},
            "suspects": (),
            "pictures": (),
            "projections": (),
            "stages": (1,),
            "excerpts": (
                excerpt(words, around, note, place),
                excerpt("fool", around, "the word 'fool' at the end", Location.of_class(1), 0.9),
            ),
            **changes,
        }
    )
    rules = text_policy()
    return base.model_copy(update={"evidence": found, "policy": rules, "verdict": judge(found, rules, on=DAY)})


def hostile_bundle(text: str) -> BundleFacts:
    """Return what evidence says of a bundle, with `text` wherever a candidate's or a worker's word may stand."""
    return bundle(
        torch=text,
        candidate_torch=text,
        opens_with={text: text, "torch": text},
        pinned={text: text},
        signature_dropped=text,
        class_names={TARGET: text[:100], 3: text[:100]},
        losses=(text,),
        left=(text,),
    )


def hostile(text: str, *, bundled: bool = True) -> Report:
    """Return a report in which every text that a candidate or registry can write is `text`."""
    base = flagged()
    assert base.evidence
    place = Location(kind="file", name=text)
    neuron = Location(kind="neuron", name=text)
    target = Location(kind="class", name=text)
    samples = base.evidence.samples
    assert samples
    found = base.evidence.model_copy(
        update={
            "model": ModelRef(registry="mlflow", name=text, version="7"),
            "isolation": f"full {text}",
            "device": text,
            "facts": ModelFacts(flavour=text, format=text, classes=10, feature_layer=text),
            "samples": samples.model_copy(update={"source": text}),
            "outcomes": {
                "artifact-integrity": Measured(
                    measurements=(Measurement(metric="undeclared-files", value=3, location=place, note=text),),
                    seconds=1,
                ),
                "neural-cleanse": Measured(
                    measurements=(
                        Measurement(metric="anomaly-index", value=9, location=target, note=text),
                        Measurement(metric="activation-difference", value=9, location=neuron, note=text),
                    ),
                    seconds=1,
                ),
                "activation-clustering": Failed(error=text),
                "confirmation": confirmed(target, text),
                "model-inversion": Skipped(reason=text),
            },
            "problems": (text,),
            "pictures": tuple(
                p.model_copy(update={"caption": text, "location": target}) for p in base.evidence.pictures
            ),
            "projections": tuple(
                p.model_copy(
                    update={
                        "location": target,
                        "method": text,
                        "points": tuple(point.model_copy(update={"group": text}) for point in p.points),
                    }
                )
                for p in base.evidence.projections
            ),
            "excerpts": (excerpt(text[:300], (text[:1000], text[:1000]), text, target), *rewriting(text, target)),
            "versions": {text: text},
            "history": History(why=text, decisions=(past_decision(2, 1e300),)),
            "seconds": {text: 1.0},
            "bundle": hostile_bundle(text),
        }
    )
    if not bundled:
        found = found.model_copy(update={"bundle": None, "bundle_digest": None, "assurance": "A", "unbundled": text})
    rules = policy(waive=True)
    verdict = judge(found, rules, on=DAY)
    odd = Finding(rule="artifact-integrity", kind="limit", metric="unexpected-files", location=place, message=text)
    return Report(
        gate_version="0.1.0",
        checked_at=AT,
        uri=text,
        model=found.model,
        description=text,
        manifest=Manifest(files=(ArtifactFile(path=text, size_bytes=1, sha256="0" * 64),)),
        evidence=found,
        policy=rules,
        verdict=verdict.model_copy(update={"told": (odd,)}),
        coverage=tuple(c.model_copy(update={"title": text, "detail": text}) for c in base.coverage),
        not_examined=(text,),
        what_to_do=text,
        commands=(text,),
    )


def many_classes(classes: int) -> Report:
    """Return a report of a model with so many classes, three of them beyond the limit."""
    sizes = [60 + 12 * math.sin(index * 1.3) for index in range(classes)]
    indices = [abs(math.sin(index)) for index in range(classes)]
    for index in (7, classes // 2, classes - 5):
        sizes[index], indices[index] = 5.0 + index / classes, 9.0
    found = evidence(
        {"neural-cleanse": neural_cleanse(sizes, indices)}, facts=ModelFacts(flavour="pytorch", classes=classes)
    )
    return _report(found, policy(), coverage=coverage())


def past_decision(version: int, score: float | None, **changes: object) -> PastDecision:
    """Return an approval on an earlier version, on the scale of `with_history`."""
    said = {
        "version": str(version),
        "decision": "approved",
        "scanned_at": dt.datetime(2026, 10, version % 28 + 1, 8, tzinfo=dt.UTC),
        "by": "p-value-bank",
        "score": score,
        "p_value": None if score is None else min(1.0, 0.6 / (1 + abs(score))),
        "level": 0.05,
        "scale": _scale(),
    }
    return PastDecision.model_validate(said | changes)


def _scale() -> str:
    found, verdict = approved().evidence, approved().verdict
    assert found is not None
    assert found.bank is not None
    assert found.samples is not None
    assert verdict is not None
    samples = f"sha256:{found.samples.sha256}"
    return scale_of("p-value-bank", found.bank.digest, samples, verdict.policy_digest, found.gate_version)


def with_history(history: History | None = None) -> Report:
    """Return an approved report beside twenty decisions: compared, of another bank, without a score, rejected."""
    scores = [0.9, 1.4, 0.7, 2.1, 1.1, 1.6, 0.8, 1.3, 2.4, 1.0, 0.6, 1.2, 1.9, 0.7, 1.5]
    kept = (
        past_decision(2, 1.7, scale=digest("1")),
        past_decision(3, 2.9, scale=digest("1")),
        past_decision(4, None, by="limits"),
        *(past_decision(5 + place, score) for place, score in enumerate(scores)),
        past_decision(21, 3.4, decision="flagged"),
        past_decision(22, 0.9, decision="flagged", review="rejected"),
    )
    ref = ModelRef(registry="mlflow", name="credit-digits", version="23")
    found = approved(history=history or History(decisions=kept, unsigned=2), model=ref)
    return found.model_copy(update={"model": ref})
