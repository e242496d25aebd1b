"""One number a sample is a logit of two classes, or its sigmoid; whatever else it may be is refused with the reason."""

import pytest
import torch

from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.module_classifier import ModuleClassifier
from tests.few.scanning import SHAPE, OneNumber, images, trained

READ = ["column", "flat", "sigmoid", "flat sigmoid"]


def one(form):
    """Return the network of one logit in one of its forms."""
    return OneNumber(trained(1), form).eval()


@pytest.mark.parametrize("form", READ)
def test_one_number_is_read_as_two_classes(bench, form):
    """The scores are -z/2 and z/2, right on the samples, and the judged output says how it was read."""
    loaded, _ = bench.loaded(one(form), bench.samples(2))
    assert loaded.problems == ()
    assert (loaded.facts.classes, loaded.samples.accuracy) == (2, 1.0)
    (judged,) = loaded.facts.outputs
    assert (judged.name, judged.role) == ("output", "judged")
    assert judged.note.startswith("one probability" if "sigmoid" in form else "one logit")
    x = torch.tensor(images(2)[0][:6])
    with torch.no_grad():
        z = trained(1)(x)[:, 0]
        scores = loaded.subject.classifier.logits(x)
    assert torch.allclose(scores, torch.stack([-z / 2, z / 2], dim=1), atol=1e-5)
    assert torch.equal(scores.argmax(dim=1), (z > 0).long())


@pytest.mark.parametrize("form", READ)
def test_its_last_layer_has_a_row_for_each_class(bench, form):
    """Rows, biases and activations give the scores again, so that detectors of the last layer mean two classes."""
    subject = bench.loaded(one(form), bench.samples(2))[0].subject
    x = torch.tensor(images(2)[0][:6])
    with torch.no_grad():
        scores, features = subject.classifier.activations(x)
    again = features @ subject.head.weight.T + subject.head.bias
    assert again.shape == (6, 2)
    assert torch.allclose(again, scores, atol=1e-5)


@pytest.mark.parametrize("form", ["softmax", "clamped", "scaled"])
def test_a_number_between_nought_and_one_that_is_no_sigmoids_is_refused(bench, form):
    """Nothing shows from where on it means class 1: a softmax over one score is 1 for everything."""
    (problem,) = bench.loaded(one(form), bench.samples(2))[0].problems
    assert "does not end in a sigmoid" in problem
    assert "or two class scores" in problem


@pytest.mark.parametrize(
    ("classes", "labels", "found"),
    [(2, "none", "have no labels"), (2, "zeros", "are all of class 0"), (2, "from one", "subtract one"),
     (7, "own", "expected labels 0 and 1, both among them; got 0, 1, 2, 3 and 3 more.")],
)  # fmt: skip
def test_without_both_labels_it_may_be_a_regression(bench, classes, labels, found):
    """Two classes are shown by labels 0 and 1, or not at all."""
    (problem,) = bench.loaded(one("column"), bench.samples(classes, labels))[0].problems
    assert found in problem


class Both(torch.nn.Module):
    """A network whose outputs are made of one logit."""

    def __init__(self, body, returns):
        super().__init__()
        self.body, self.returns = body, returns

    def forward(self, x):
        """Return several outputs."""
        return self.returns(self.body(x), x.flatten(1))


@pytest.mark.parametrize(
    ("returns", "roles"),
    [
        (lambda z, x: {"logit": z, "features": x}, {"logit": "judged", "features": "not-examined"}),
        (lambda z, x: {"features": x, "p": z.sigmoid()}, {"features": "not-examined", "p": "judged"}),
        (lambda z, x: {"logit": z, "p": z.sigmoid()}, {"logit": "judged", "p": "same-decision"}),
        (lambda z, x: {"p": z.sigmoid(), "flat": z.squeeze(1)}, {"p": "judged", "flat": "same-decision"}),
        (lambda z, x: {"p": z.sigmoid(), "pp": z.sigmoid().sigmoid()}, None),
        (lambda z, x: {"logit": z, "moved": z + 9}, None),
    ],
)
def test_of_several_outputs_labels_of_two_classes_find_the_logit(bench, returns, roles):
    """What is proved to decide alike is the same logit or its sigmoid, and nothing with another threshold."""
    loaded, _ = bench.loaded(Both(trained(1), returns).eval(), bench.samples(2))
    assert loaded.problems == ()
    found = {output.name: output.role for output in loaded.facts.outputs}
    if roles is None:
        assert sorted(found.values()) == ["judged", "not-examined"]
    else:
        assert found == roles


def test_a_stated_output_may_be_one_logit(bench):
    """The policy's word names it as any other."""
    module = Both(trained(1), lambda z, x: {"z": z, "shifted": z + 0.25}).eval()
    loaded, _ = bench.loaded(module, bench.samples(2), output="shifted")
    assert {one.name: one.role for one in loaded.facts.outputs} == {"z": "not-examined", "shifted": "judged"}


@pytest.mark.parametrize("form", ["column", "flat"])
def test_a_module_that_is_measured_alive_is_read_likewise(form):
    """Level C never approves, and shows the same two scores."""
    x = torch.tensor(images(2)[0][:6])
    found = ModuleClassifier.of(one(form), x, Preprocessing(), (0.0, 1.0))
    assert (found.num_classes, found.input_shape, found.feature_layer) == (2, SHAPE, "body.3")
    with torch.no_grad():
        assert found.logits(x).shape == found.activations(x)[0].shape == (6, 2)
