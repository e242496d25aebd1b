"""What every detector promises, checked alike for all of them: whoever adds a file to the folder is held to it."""

import json
import math
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from torch import nn

from gate import detectors
from gate.detectors.contract import PARTS, Detector, Need, parts
from gate.programs.dataflow.build import graph_of
from gate.programs.dataflow.graph import Graph
from gate.programs.writer.write import export_module
from gate.records.artifact import Artifact, ModelRef, build_manifest
from gate.records.declarations import Options
from gate.records.errors import UnexaminableError
from gate.records.evidence import Failed, Location, Measured, Measurement, Skipped, Unmeasured
from gate.records.passes import Passes
from gate.records.policy import Policy, Rule
from gate.records.run import Run
from gate.search.families import FamilySearch
from gate.search.options import TriggerSearch
from gate.spaces.contract import EVERY
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.triggers.patch import FAMILY
from gate.spaces.subject import Head, Previous, Samples, Subject, Trigger, Version
from gate.statistics.subsets import passed
from gate.worker.loading.fingerprint import fingerprint
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier
from gate.worker.loop import Scanned, Scope, scan
from tests.adapters.small_language import networks
from tests.adapters.written import Draft, base_tensors, subject_of, write_base
from tests.quick import quick
from tests.stand_ins.standing_in import stand_in_for_modelaudit
from tests.words.nets import Bag
from tests.words.tasks import classifier, sentences

NAMES = detectors.names()
QUICK = {
    "steps": 4, "starts": 2, "batch": 4, "clean_samples": 30, "samples_per_class": 16, "triggers": 4, "probes": 100,
    "most": 1, "selecting": 4, "held_out": 6, "screened": 1, "rare_words": 5, "kept": 3, "ranked": 4, "beam": 2,
    "longer": 2, "screened_prompts": 1, "most_tokens": 2, "forced": 2, "confirmed": 1, "random_tokens": 1,
    "continued": 2,
}  # fmt: skip
"""Options that make a detector quick; one that has none of them runs with its defaults."""
CLASSES, SHAPE = 3, (1, 6, 6)
EVERYWHERE = tuple(Location.of_class(index) for index in range(CLASSES))


@pytest.fixture(autouse=True)
def _optional_packages(monkeypatch):
    """Hold the detectors of optional extras to the same promises, whether the extra is installed or not."""
    stand_in_for_modelaudit(monkeypatch)


def net():
    """Return a small net with a parameter, a buffer and a mode, whose class is the brightest pair of rows."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = nn.Sequential(
            nn.Flatten(), nn.Linear(36, 12), nn.BatchNorm1d(12), nn.ReLU(), nn.Linear(12, CLASSES)
        ).eval()
    with torch.no_grad():
        for index in range(CLASSES):
            module[1].weight[index] = (torch.arange(36) // 12 == index).float()
            module[4].weight[:, index] = 3 * (torch.arange(CLASSES) == index).float()
    return module


def clean():
    """Return random images with one pair of rows brighter than the others, labelled by which."""
    labels = torch.arange(60) % CLASSES
    inputs = 0.5 * torch.rand(60, *SHAPE, generator=torch.Generator().manual_seed(0))
    bright = (torch.arange(6) // 2).view(1, 1, 6, 1) == labels.view(-1, 1, 1, 1)
    return Samples(inputs + 0.5 * bright, labels, "random")


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Return the net as the strict reader reads it from an archive of the gate's own writer."""
    torch.set_num_threads(1)
    return export_module(net(), clean().inputs[:4], tmp_path_factory.mktemp("net") / "model.pt2")


@pytest.fixture(scope="module")
def spare(tmp_path_factory):
    """Return an adapter, language models and their base, made once: what detectors of images and tokens leave alone."""
    return beside_base(tmp_path_factory)


@pytest.fixture(params=["program", "module"])
def subject(request, program, spare, tmp_path, tmp_path_factory):
    """Return a subject with everything that a detector can need, over a program and over a module.

    A detector of tokens gets a network of words.
    """
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    language = spare if name is None or not of_language(name) else beside_base(tmp_path_factory)
    if name and "images" not in detectors.load(name).spaces:
        return of_tokens(tmp_path, language["beside"])
    samples = clean()
    seam = (samples.inputs[:4], Preprocessing(), (0.0, 1.0))
    images = ProgramClassifier.of(program, *seam) if request.param == "program" else ModuleClassifier.of(net(), *seam)
    (tmp_path / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n")
    artifact = Artifact(ModelRef(registry="directory", name="net"), tmp_path, build_manifest(tmp_path)[0])
    mask = torch.zeros(1, 6, 6)
    mask[:, 3:, 3:] = 1
    parts = {"mask": mask, "pattern": torch.ones(SHAPE)}
    triggers = {place: Trigger(place, 0.9, FAMILY.applying(parts, (0.0, 1.0)), parts) for place in EVERYWHERE}
    # One of them can be searched for again, as those of an earlier stage can.
    options = TriggerSearch(steps=3, batch=4, pair_steps=3)
    search = FamilySearch(images, FAMILY, options, samples, torch.arange(40))
    triggers[EVERYWHERE[1]] = search.again((EVERYWHERE[1],), torch.arange(40), Run(seed=0))[0]
    return Subject(
        artifact=artifact,
        weights=dict(net().state_dict()),
        head=Head(net()[4].weight.detach(), net()[4].bias.detach(), "4.weight"),
        graph=graph_of(program) if request.param == "program" else Graph(composed="by torch alone"),
        classifier=images,
        samples=samples,
        training_set=samples,
        triggers=triggers,
        references=(ModuleClassifier.of(net(), *seam),),
        previous=beside(images, program, seam),
        **language,
    )


def of_language(name):
    """Tell whether a detector looks at adapters or language models, which are then made for each test."""
    detector = detectors.load(name)
    return bool((detector.needs | detector.uses) & (Need.ADAPTER | Need.LANGUAGE | Need.BESIDE))


def beside_base(folders):
    """Return an adapter, a whole language model and their base, for detectors of these."""
    folder = folders.mktemp("adapter")
    made = subject_of(Draft().write(folder / "adapter"), write_base(folder / "base"))
    whole = subject_of(write_base(folder / "whole", base_tensors(seed=2)))
    return {"adapter": made.adapter, "language": whole.language, "base": made.base, "beside": networks(folder)}


def of_tokens(folder, beside=None):
    """Return a subject of tokens with what a detector of them, or one for every space, can need."""
    found = classifier(Bag, None, CLASSES)
    rows = sentences(45, CLASSES, seed=3)
    texts, labels = tuple(text for text, _ in rows), torch.tensor([label for _, label in rows])
    samples = Samples(found.tokens(texts), labels, "words", texts)
    head = found.network.module.head
    return Subject(
        artifact=Artifact(ModelRef(registry="directory", name="words"), folder, build_manifest(folder)[0]),
        space="tokens",
        weights=found.network.state(),
        head=Head(head.weight.detach(), head.bias.detach(), "head.weight"),
        classifier=found,
        samples=samples,
        training_set=samples,
        beside=beside or networks(folder),
    )


def beside(images, program, seam):
    """Return the candidate, and as the version before it and two approved ones a program of other weights."""
    tensors = {name: 0.9 * one if one.is_floating_point() else one for name, one in program.tensors.items()}
    other = ProgramClassifier.of(replace(program, tensors=tensors), *seam)

    def version(one):
        body = one.body.program if isinstance(one, ProgramClassifier) else None
        return Version(one, body, None, one.values if body else lambda _inputs, _names: {})

    serving = version(other)
    earlier = version(ProgramClassifier.of(program, *seam))
    return Previous(version(images), serving, (lambda: earlier, lambda: serving))


def outcome(name, subject, *, run=None, options=None):
    """Return the outcome of one detector in a scan of its own."""
    rule = Rule(options=quick(name, **QUICK) if options is None else options)
    scope = Scope(
        runs=lambda _detector: True,
        absence="it is not there",
        classes=CLASSES,
        fingerprint=lambda: fingerprint(subject.classifier) if subject.classifier else "",
    )
    policy = Policy(version=1, detectors={name: rule})
    return scan(subject, policy, run or Run(seed=0), scope, Scanned()).outcomes[name]


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_is_named_after_its_file(name):
    """The id is the file's name, in the policy, the report and here."""
    detector = detectors.load(name)
    assert isinstance(detector, Detector)
    assert detector.id == name
    assert sys.modules[detector.module].DETECTOR is detector
    assert detector.module == f"gate.detectors.{name.replace('-', '_')}"
    assert detector.title


@pytest.mark.parametrize("name", NAMES)
def test_what_forbids_loading_looks_at_bytes_alone(name):
    """Nothing else is known before the model is loaded."""
    detector = detectors.load(name)
    assert detector.looks_at == "bytes" or not detector.before_loading
    assert (detector.looks_at == "bytes") == (detector.needs == Need.FILES)


@pytest.mark.parametrize("name", NAMES)
def test_the_docstring_has_its_parts_and_its_length(name):
    """Four parts, each metric explained, in 60 to 170 words."""
    module = detectors.load(name).module
    text = sys.modules[module].__doc__
    assert 60 <= len(text.split()) <= 170
    assert tuple(parts(module)) == PARTS


@pytest.mark.parametrize("name", NAMES)
def test_metrics_are_declared_once_with_a_meaning(name):
    """Ids are kebab-case and unique, and each says in a sentence what it is."""
    metrics = detectors.load(name).metrics
    assert len({metric.id for metric in metrics}) == len(metrics) > 0
    for metric in metrics:
        Measurement(metric=metric.id, value=0)
        assert metric.meaning.endswith(".")
        assert metric.unit
        assert metric.compared is None or metric.worse != "neither"


@pytest.mark.parametrize("name", NAMES)
def test_options_have_defaults_are_frozen_and_survive_json(name):
    """A policy may state nothing; what it states is kebab-case, and an unknown option is refused."""
    kind = detectors.load(name).options
    options = kind()
    assert issubclass(kind, Options)
    assert kind.from_json(options.canonical_json()) == options
    stated = json.loads(options.canonical_json())
    assert not [key for key in stated if "_" in key]
    with pytest.raises(ValueError, match="frozen"):
        setattr(options, next(iter(kind.model_fields)), None)
    with pytest.raises(ValueError, match="Extra inputs"):
        kind.model_validate({"no-such-option": 1})


@pytest.mark.parametrize("name", NAMES)
def test_only_declared_finite_numbers_come_back(name, subject):
    """Each measurement is of a declared metric, finite and, where it has a place, of the model or its files."""
    found = outcome(name, subject)
    assert isinstance(found, Measured), found
    assert found.measurements
    declared = {metric.id: metric for metric in detectors.load(name).metrics}
    for measurement in found.measurements:
        assert measurement.metric in declared
        assert math.isfinite(measurement.value)
        # A number that cannot be as bad as it likes says how bad it could have been, and no other does.
        assert (measurement.reach is not None) == declared[measurement.metric].bounded


def test_what_could_not_be_measured_comes_back_with_its_reason_and_only_of_a_declared_metric(subject, monkeypatch):
    """A gap is evidence as a number is; one that the detector does not declare is its failure."""
    declared = detectors.load("neural-cleanse")
    for metric, kind in (("untargeted-ratio", Measured), ("no-such-metric", Failed)):
        gap = Unmeasured(metric=metric, reason="too few samples")
        made_up = replace(declared, measure=lambda *_given, gap=gap: iter([gap]))
        monkeypatch.setattr(detectors, "load", lambda _name, made_up=made_up: made_up)
        found = outcome("neural-cleanse", subject)
        assert isinstance(found, kind), found
        assert not isinstance(found, Measured) or gap in found.unmeasured


FORMS = {
    "with every search": {"untargeted_starts": 2, "exits": True, "pairs": "all", "pair_steps": 3, "pair_batch": 4},
    "to the end": {"settled_after": None, "hopeless_after": None},
    "leaving early": {"steps": 30, "settled_after": 2, "hopeless_after": 3},
}
"""Options beyond the quick ones, by what they ask of a search."""
RUNNING = [name for name in NAMES if detectors.load(name).needs & (Need.MODEL | Need.BESIDE)]


@pytest.mark.parametrize(
    ("name", "labelled", "over", "form"),
    [(name, labelled, over, {}) for name in RUNNING for labelled, over in ((True, None), (False, EVERYWHERE[1:]))]
    + [
        (one.id, labelled, None, form)
        for one in detectors.by_inversion()[:1]
        for form in FORMS.values()
        for labelled in (True, False)
    ],
)
def test_the_passes_are_known_before_they_are_made(name, labelled, over, form, subject):
    """What a detector says of its passes holds what it makes, and it says so unless they are few."""
    detector, asked = detectors.load(name), quick(name, **QUICK | form)
    samples = subject.samples if labelled else replace(subject.samples, labels=None)
    subject, run = replace(subject, samples=samples, suspects=over), Run(seed=0)
    found = outcome(name, subject, options=asked)
    assert isinstance(found, Measured), found
    said = detector.passes(subject, detector.options.model_validate(asked), run) if detector.passes else Passes()
    in_tokens = subject.space == "tokens" or Need.BESIDE in detector.needs
    made = found.token_passes if in_tokens else found.sample_passes
    assert said.samples.least <= made <= max(said.samples.most, passed(samples, len(samples.inputs)).most)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_evidence(name, subject):
    """Nothing but the run's seed is random, whatever the global generators did."""
    first = outcome(name, subject, run=Run(seed=5))
    torch.rand(3)
    second = outcome(name, subject, run=Run(seed=5))
    assert isinstance(first, Measured), first
    assert first.measurements == second.measurements


@pytest.mark.parametrize("name", NAMES)
def test_the_model_and_the_samples_are_left_as_they_were(name, subject):
    """Parameters, buffers, modes, hooks, gradients and inputs are untouched, and so is the global generator."""
    before, inputs, state = fingerprint(subject.classifier), subject.samples.inputs.clone(), torch.get_rng_state()
    assert isinstance(outcome(name, subject), Measured)
    assert fingerprint(subject.classifier) == before
    assert torch.equal(subject.samples.inputs, inputs)
    assert torch.equal(torch.get_rng_state(), state)
    assert subject.samples.inputs.grad is None


@pytest.mark.parametrize("name", NAMES)
def test_what_a_detector_needs_and_has_not_is_a_skip_with_a_reason(name, subject):
    """Without model, weights, samples or training set a detector is skipped in words, and never fails."""
    needs = detectors.load(name).needs
    lacking = {
        Need.MODEL: ("classifier", "needs the model, which could not be examined: it is not there"),
        Need.WEIGHTS: ("weights", "needs the weights, which could not be read: it is not there"),
        Need.GRAPH: ("graph", "needs the graph, which could not be read: it is not there"),
        Need.SAMPLES: ("samples", "needs clean samples; none were given"),
        Need.TRAINING_SET: ("training_set", "needs the training set; the run logged none"),
        Need.REFERENCES: (
            "references",
            "needs reference models; no bank with models of this task stood beside the scan",
        ),
        Need.PREVIOUS: ("previous", "needs a version to compare with; none was given"),
        Need.ADAPTER: ("adapter", "needs an adapter of low rank; the artifact is none"),
        Need.LANGUAGE: ("language", "needs a whole language model; the artifact is none"),
        Need.BESIDE: ("beside", "needs a language model and its base, to be run; the artifact is none"),
    }
    for need, (field, reason) in lacking.items():
        found = outcome(name, replace(subject, **{field: () if field == "references" else None}))
        if need in needs:
            assert isinstance(found, Skipped)
            assert found.reason == reason
        else:
            assert isinstance(found, Measured), found


@pytest.mark.parametrize("name", NAMES)
def test_a_model_of_another_space_is_a_skip_that_says_what_it_takes(name, subject):
    """A detector declares what it is for; on another kind of model it is silent with that reason, and never fails."""
    spaces = detectors.load(name).spaces
    for space in sorted(EVERY - spaces):
        found = outcome(name, replace(subject, space=space))
        assert isinstance(found, Skipped)
        assert found.reason == f"is for {' and '.join(sorted(spaces))}; this model takes {space}"


OF_EVERY = [one.id for one in map(detectors.load, NAMES) if one.spaces == EVERY and not one.on_files]


@pytest.mark.parametrize("name", OF_EVERY)
def test_what_is_for_every_space_measures_tokens_too(name, tmp_path):
    """It reads neither shape nor bounds, and its passes are known in tokens."""
    subject, detector = of_tokens(tmp_path), detectors.load(name)
    found = outcome(name, subject)
    assert isinstance(found, Measured), found
    assert found.measurements
    if detector.passes:
        said = detector.passes(subject, detector.options.model_validate(quick(name, **QUICK)), Run(seed=0)).samples
        assert said.least <= found.token_passes <= said.most


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_at_bytes_or_weights_is_for_every_space(name):
    """They look at nothing that depends on the input."""
    detector = detectors.load(name)
    assert detector.spaces
    assert detector.spaces <= EVERY
    assert detector.looks_at not in {"bytes", "weights"} or detector.spaces == EVERY


@pytest.mark.parametrize("name", NAMES)
def test_the_deadline_is_honoured(name, subject, monkeypatch):
    """Time that runs out under way ends the detector soon, as a skip that says so."""
    detector = detectors.load(name)
    subject = replace(subject, suspects=EVERYWHERE)
    ticks = iter([True, True])  # the scan's own look at the clock, and its check before the detector begins
    monkeypatch.setattr("gate.records.run.time.monotonic", lambda: 0.0 if next(ticks, False) else 1e9)
    found = outcome(name, subject, run=Run(seed=0, deadline=1e8))
    monkeypatch.undo()
    assert isinstance(found, Skipped), (detector.id, found)
    assert found.reason == "the deadline was reached"


@pytest.mark.parametrize("name", NAMES)
def test_a_model_that_cannot_be_examined_is_a_reasoned_skip_and_not_the_end(name, subject):
    """A model's refusal becomes the detector's skip with its reason; detectors on bytes do not touch the model."""

    class Broken:
        num_classes, input_shape, bounds, feature_layer = CLASSES, SHAPE, (0.0, 1.0), ""
        sample_passes, gradient_passes = 0, 0

        arithmetic = ""
        embeddings = torch.zeros(2, 2)

        def quick_logits(self, x):
            return self.logits(x)

        def logits(self, _x):
            raise UnexaminableError("the model broke")

        activations = logits

    broken = replace(subject, classifier=Broken())
    scope = Scope(runs=lambda _detector: True, absence="", classes=CLASSES)
    policy = Policy(version=1, detectors={name: Rule(options=quick(name, **QUICK))})
    found = scan(broken, policy, Run(seed=0), scope, Scanned()).outcomes[name]
    if Need.MODEL in detectors.load(name).needs:
        assert isinstance(found, Skipped)
        assert found.reason == "the model broke"
    else:
        assert isinstance(found, Measured)


def test_importing_the_specs_imports_no_framework():
    """Policies are checked and detectors explained in a process that never loads torch, NumPy or scikit-learn."""
    code = (
        "import sys; from gate import detectors; [detectors.load(name) for name in detectors.names()];"
        "print(sorted({'torch', 'numpy', 'sklearn', 'mlflow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"
