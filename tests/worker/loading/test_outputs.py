"""Every output is judged, shown to give the judged decision, or flagged, whatever container and order it comes in."""

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from gate.judging.conditions import of_conditions
from gate.programs import read_program
from gate.programs.dataflow.graph import Graph
from gate.programs.writer.write import export_module, write_program
from gate.records.artifact import ModelRef
from gate.records.errors import UnexaminableError
from gate.records.evidence import Evidence
from gate.records.facts import ModelFacts
from gate.records.policy import Policy, Rule
from gate.records.sample_settings import SampleSettings, SamplesPolicy
from gate.spaces.image.preprocessing import Preprocessing
from gate.spaces.image.stored import RawSamples
from gate.spaces.subject import Samples
from gate.worker.loading.head import head_of_program
from gate.worker.loading.judged import judged_alone
from gate.worker.loading.model import Model
from gate.worker.loading.module_classifier import ModuleClassifier
from gate.worker.loading.program_classifier import ProgramClassifier
from tests.worker.loading.several_outputs import BACKDOOR, Bands, Several, both, images, stamped

BOUNDS = (0.0, 1.0)


def parts(x, a, b):
    """Return what an output may be, by name; of those that end in `-b` a trigger decides."""
    clean, planted = a(x), b(x)
    features = x.flatten(1)
    return {
        "clean": clean,
        "planted": planted,
        "features": features * 2,
        "choice": planted.argmax(1),
        "choice_as_float": planted.argmax(1).float(),
        "map": planted[:, :, None, None],
        "certainty": planted.softmax(1).amax(1),
        "turned": planted.transpose(0, 1),
        "summed": planted.sum(),
        "shifted": torch.sigmoid(clean + planted - clean),
    }


def container(kind, names):
    """Return a function that yields these outputs as a tuple, list, dict or dict within a dict."""

    def returns(x, a, b):
        found = parts(x, a, b)
        chosen = [found[name] for name in names]
        return {
            "tuple": lambda: tuple(chosen),
            "list": lambda: chosen,
            "dict": lambda: dict(zip(names, chosen, strict=True)),
            "nested": lambda: {"outer": dict(zip(names, chosen, strict=True))},
        }[kind]()

    return returns


def judged(module, tmp_path, *, stated=None, labels=True):
    """Return what is judged of an exported module, and the records of its outputs."""
    torch.set_num_threads(1)
    inputs, wanted = images()
    program = export_module(module, inputs[:2], tmp_path / "model.pt2")
    model = Model(program, "A", ModelFacts(), Graph())
    raw = RawSamples(inputs.numpy(), wanted.numpy() if labels else None, "bands")
    return judged_alone(model, raw, Samples(inputs, None, "bands"), Preprocessing(), BOUNDS, stated)


def found(records, **settings):
    """Return what a policy with these settings of samples finds about the outputs."""
    evidence = Evidence(
        gate_version="0",
        model=ModelRef(registry="mlflow", name="bands", version="1"),
        manifest_digest="sha256:" + "a" * 64,
        assurance="A",
        isolation="full",
        device="cpu",
        seed=0,
        facts=ModelFacts(outputs=records),
        outcomes={},
    )
    policy = Policy(version=1, detectors={"graph-structure": Rule()}, samples=SamplesPolicy(**settings))
    return [finding for finding in of_conditions(evidence, policy) if finding.rule == "outputs"]


def answers(module, x):
    """Return the classes that a module chooses."""
    with torch.no_grad():
        return module(x).argmax(1)


OTHERS = ["planted", "features", "choice", "choice_as_float", "map", "certainty", "turned", "summed", "shifted"]
MATRIX = [
    (kind, order)
    for kind, others in {"tuple": OTHERS[:3], "dict": OTHERS, "list": OTHERS[:1], "nested": OTHERS[:1]}.items()
    for other in others
    for order in (("clean", other), (other, "clean"))
] + [(kind, order) for kind in ("tuple", "dict") for order in itertools.permutations(("clean", "planted", "features"))]


@pytest.mark.parametrize(("kind", "names"), MATRIX)
def test_no_output_is_approved_without_being_examined(kind, names, tmp_path):
    """Each other output that may carry a decision is a finding that names it; as good a one is refused by name."""
    paths = [{"dict": name, "nested": f"outer.{name}"}.get(kind, f"[{index}]") for index, name in enumerate(names)]
    said = None
    try:
        _, records = judged(both(container(kind, names)), tmp_path)
    except UnexaminableError as refused:
        said = str(refused)
    else:
        assert [record.name for record in records] == paths
        roles = {name: record.role for name, record in zip(names, records, strict=True)}
        assert roles == {"clean": "judged"} | dict.fromkeys(set(names) - {"clean"}, "not-examined")
        others = [path for path, name in zip(paths, names, strict=True) if name != "clean"]
        messages = [finding.message for finding in found(records)]
        assert all(f"The output '{path}' (" in message for path, message in zip(others, messages, strict=True))
    if said is not None:
        alike = [path for path, name in zip(paths, names, strict=True) if name != "features"]
        assert "several outputs of class scores" in said
        assert all(f"'{path}' (3" in said for path in alike)


@pytest.mark.parametrize("order", [("clean", "features"), ("features", "clean")])
def test_the_scores_are_judged_whatever_stands_first(order, tmp_path):
    """A dict that begins with features is read by its shapes against the labels."""
    model, records = judged(both(container("dict", order)), tmp_path)
    assert {record.name: record.role for record in records} == {"clean": "judged", "features": "not-examined"}
    inputs, labels = images()
    classifier = ProgramClassifier.of(model.body, inputs[:4], Preprocessing(), BOUNDS)
    assert (classifier.output, classifier.num_classes) == ("clean", 3)
    assert torch.equal(classifier.logits(inputs).argmax(1), labels)
    torch.testing.assert_close(classifier.logits(inputs), Bands()(inputs))


def test_the_layer_before_the_judged_output_is_the_head(tmp_path):
    """Not the one before the first output."""
    layers = {"a": nn.Sequential(nn.Flatten(), nn.Linear(36, 5)), "b": nn.Sequential(nn.Flatten(), nn.Linear(36, 3))}
    model, _ = judged(Several(lambda x, a, b: (a(x), b(x).softmax(1)), **layers).eval(), tmp_path)
    assert head_of_program(model.body).layer == "parts.b.1.weight"
    inputs, _ = images()
    classifier = ProgramClassifier.of(model.body, inputs[:4], Preprocessing(), BOUNDS)
    logits, features = classifier.activations(inputs)
    torch.testing.assert_close(logits, layers["b"](inputs))
    torch.testing.assert_close(features, inputs.flatten(1))


TWINS = {
    "softmax": lambda z: z.softmax(1),
    "log-softmax": lambda z: z.log_softmax(-1),
    "argmax": lambda z: z.argmax(1),
    "argmax kept": lambda z: z.softmax(1).argmax(-1, keepdim=True),
    "max": lambda z: z.max(1).indices,
    "topk": lambda z: z.topk(2).indices,
    "topk sorted": lambda z: z.topk(2, dim=1, largest=True, sorted=True).indices,
    "copy": lambda z: z.detach().clone(),
    "view": lambda z: z.unsqueeze(-1).unsqueeze(-1),
    "narrow choice": lambda z: z.argmax(1).to(torch.int32),
    "double": lambda z: z.double(),
}
STRANGERS = {
    "constant added": lambda z: z + torch.tensor([0.0, 0.0, 5.0]),
    "scaled": lambda z: z * torch.tensor([1.0, 1.0, 9.0]),
    "least": lambda z: z.argmin(1),
    "least of topk": lambda z: z.topk(2, largest=False).indices,
    "values of topk": lambda z: z.topk(2).values,
    "over samples": lambda z: z.softmax(0),
    "of all": lambda z: z.argmax(),
    "over samples chosen": lambda z: z.argmax(0),
    "choice of choices": lambda z: z.topk(2).indices.float().argmax(1),
    "softmax of choices": lambda z: z.topk(3).indices.float().softmax(1),
    "saturated": lambda z: (z + 100).sigmoid(),
    "halved": lambda z: z.half(),
    "cut": lambda z: z[:, :2],
    "turned": lambda z: z.flip(1),
    "small choice": lambda z: z.argmax(1).to(torch.uint8),
    "masked": lambda z: z.masked_fill(z > 0, 1.0),
}


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("twin", TWINS)
def test_an_output_of_the_same_decision_is_no_finding(twin, turned, tmp_path):
    """What the graph computes from the judged scores alone, keeping their order, is examined with them."""

    def returns(x, b):
        scores = b(x)
        pair = (scores, TWINS[twin](scores))
        return pair[::-1] if turned else pair

    _, records = judged(Several(returns, b=Bands(planted=True)).eval(), tmp_path)
    assert sorted(record.role for record in records) == ["judged", "same-decision"]
    assert found(records) == []


@pytest.mark.parametrize("stranger", STRANGERS)
def test_an_output_that_may_decide_otherwise_is_a_finding(stranger, tmp_path):
    """The list is closed: what is not on it is not the same decision, though it comes from the judged scores."""

    def returns(x, b):
        scores = b(x)
        return {"logits": scores, "other": STRANGERS[stranger](scores)}

    _, records = judged(Several(returns, b=Bands(planted=True)).eval(), tmp_path, stated="logits")
    assert [record.role for record in records] == ["judged", "not-examined"]
    (finding,) = found(records)
    assert "'other'" in finding.message
    assert "'logits' was judged" in finding.message


def test_an_output_that_never_changes_is_told(tmp_path):
    """A constant beside the scores decides nothing."""
    module = Several(lambda x, a: (a(x), torch.ones(len(x), 3), a.layer.weight), a=Bands()).eval()
    _, records = judged(module, tmp_path)
    assert [record.role for record in records] == ["judged", "constant", "constant"]
    assert found(records) == []


def test_a_policy_accepts_an_output_by_its_name(tmp_path):
    """Features that production takes no decision from, for all models or for one; another name accepts nothing."""
    _, records = judged(both(container("dict", ("clean", "features"))), tmp_path)
    assert found(records, unexamined_outputs=("features",)) == []
    assert found(records, models={"bands": SampleSettings(unexamined_outputs=("features",))}) == []
    assert len(found(records, unexamined_outputs=("clean", "feature"))) == 1


@pytest.mark.parametrize("name", ["clean", "planted"])
def test_a_policy_states_which_output_is_used(name, tmp_path):
    """Then that one is judged, and the other one is still a finding."""
    model, records = judged(both(container("dict", ("clean", "planted"))), tmp_path, stated=name)
    assert {record.name for record in records if record.role == "judged"} == {name}
    assert len(found(records)) == 1
    x = stamped(images()[0])
    assert bool((model.body(x).argmax(1) == BACKDOOR).all()) == (name == "planted")


@pytest.mark.parametrize(
    ("stated", "said"), [("logit", "the model has 'clean'"), ("features", "does not hold one row")]
)
def test_a_name_that_cannot_be_judged_is_refused_with_those_that_there_are(stated, said, tmp_path):
    """A misspelt name, and one of something that holds no class scores."""

    def returns(x, a):
        return {"clean": a(x), "features": x.flatten(1)[:, None, :].expand(-1, 2, -1) * 1}

    with pytest.raises(UnexaminableError, match=said) as refused:
        judged(Several(returns, a=Bands()).eval(), tmp_path, stated=stated)
    assert "'features' (2 × 36, float32)" in str(refused.value)
    assert "'output' under 'samples'" in refused.value.what_to_do


def test_without_labels_nothing_tells_two_outputs_of_scores_apart(tmp_path):
    """They are refused by name; with labels the better one is judged, and the other one flagged."""

    def returns(x, a, b):
        return {"wrong": -a(x), "right": b(x)}

    with pytest.raises(
        UnexaminableError, match=r"several outputs of class scores.*'wrong' \(3, float32\), 'right'"
    ) as no:
        judged(both(returns), tmp_path, labels=False)
    assert "samples: {output: NAME}" in no.value.what_to_do
    (tmp_path / "model.pt2").unlink()
    _, records = judged(both(returns), tmp_path)
    assert [record.role for record in records] == ["not-examined", "judged"]


def test_as_many_classes_as_the_labels_have_decides_before_accuracy(tmp_path):
    """An output of five classes that is as good as that of three is not taken for it."""
    module = Several(lambda x, a, b: {"five": b(x), "three": a(x)}, a=Bands(), b=Bands(classes=5)).eval()
    _, records = judged(module, tmp_path)
    assert [record.role for record in records] == ["not-examined", "judged"]


@pytest.mark.parametrize(
    ("returns", "said"),
    [
        (lambda x, a: {"aux": a(x), "logits": a(x)}, "a dict of 'aux', 'logits'"),
        (lambda x, a: (a(x), a(x)), r"a tuple of \[0\], \[1\]"),
    ],
)
def test_a_module_that_returns_a_container_is_refused_with_the_names(returns, said):
    """And with the remedy."""
    with pytest.raises(UnexaminableError, match=said) as refused:
        ModuleClassifier.of(Several(returns, a=Bands()), images()[0][:2], Preprocessing(), BOUNDS)
    assert "small module" in refused.value.what_to_do


def test_a_bundle_keeps_every_output(tmp_path):
    """What was exported, read and written again has the names and values of all outputs."""
    module = both(container("nested", ("features", "planted", "clean")))
    program = export_module(module, images()[0][:2], tmp_path / "first.pt2")
    again = read_program(tmp_path / "first.pt2").with_output(1)
    assert again.output_paths == ("outer.planted",)
    write_program(again, tmp_path / "second.pt2")
    assert read_program(tmp_path / "second.pt2").output_paths == program.output_paths
    x = stamped(images()[0])
    loaded = torch.export.load(tmp_path / "second.pt2").module()(x)["outer"]
    assert list(loaded) == ["features", "planted", "clean"]
    np.testing.assert_allclose(loaded["planted"].detach(), program(x)[1])
