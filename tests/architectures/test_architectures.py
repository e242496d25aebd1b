"""What torchvision, timm and transformers export is read: by operator for all of them, whole for some.

The table and the graphs are written by `python -m benchmarks.architectures`; none of the libraries is needed here.
"""

import pytest
import torch

from gate.programs import batched, final_linear, read_program
from gate.programs.advice import of_operator
from gate.programs.operators import ARITHMETIC
from gate.programs.overloads import ASSERTIONS, OVERLOADS
from gate.programs.readers.pt2.inlining import AUTOCAST, NO_GRAD
from gate.programs.writer.write import write_program
from tests.architectures.drawn import TABLE, archive, graphs, operators, side

GRAPHS = graphs()
REFUSED: dict[str, str] = {}
"""Operators of the table that are not read, each with the reason; none today."""
NOT_EXPORTED = {
    "transformers/DinatForImageClassification": "needs the library natten, whose operators are its own",
    "transformers/ImageGPTForImageClassification": "takes whole numbers of a palette, no picture",
    "transformers/Siglip2ForImageClassification": "takes patches with their places, no picture",
}
"""Classifiers of the three libraries that torch did not export as classifiers of pictures."""
QUICK = {"torchvision/mobilenet_v3_small", "transformers/ViTForImageClassification"}
HEADLESS = {"torchvision/squeezenet1_0"}
"""A ReLU stands between the last layer and the scores, so that no layer yields these."""
ALONE = {"timm/eca_halonext26ts": "per-sample"}
"""Networks that take their samples one at a time, and the way in which they do: nothing proves them apart."""


def is_read(target):
    """Tell whether the reader takes an operator, some of its arguments at least."""
    if target in ASSERTIONS or target in ARITHMETIC or target in {NO_GRAD, AUTOCAST}:
        return True
    parts = target.split(".")
    return target.startswith("torch.ops.aten.") and parts[4] in OVERLOADS.get(parts[3], ())


@pytest.mark.parametrize("architecture", TABLE["architectures"])
def test_every_operator_of_an_image_classifier_is_read(architecture):
    """Or it stands in the list of refusals, with its reason."""
    assert [one for one in operators(architecture) if not is_read(one) and one not in REFUSED] == []


def test_the_table_states_its_versions_and_what_is_missing():
    """Whoever exports again finds with which releases, and which networks torch did not export."""
    assert TABLE["versions"].keys() == {"torch", "torchvision", "timm", "transformers"}
    assert {name.partition(" ")[0] for name in TABLE["not-exported"]} <= NOT_EXPORTED.keys()
    libraries = [name.partition("/")[0] for name in TABLE["architectures"]]
    assert libraries.count("torchvision") == 24
    assert libraries.count("timm") == 98
    assert libraries.count("transformers") == 42


@pytest.mark.parametrize("target", [one for one in TABLE["operators"] if is_read(one)])
def test_an_operator_that_is_read_is_told_as_nothing_else(target):
    """The advice for random, sparse or quantised operators must not fit one that is on the list."""
    if not target.startswith("torch.ops.higher_order."):
        assert of_operator(target)[0] == ""


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in GRAPHS]
)
def test_an_architecture_is_read_as_torch_reads_it(name, tmp_path):
    """The same numbers to the bit on one thread, from the archive and from its bundle, and a head is found."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        path = archive(GRAPHS[name], tmp_path / "model.pt2")
        pictures = torch.rand(2, *side(GRAPHS[name]), generator=torch.Generator().manual_seed(1))
        program = read_program(path)
        write_program(program, tmp_path / "bundle.pt2")
        given = pictures[: program.inputs[0].shape[0] or 2]
        with torch.no_grad():
            found = program(given)
            served = torch.export.load(tmp_path / "bundle.pt2").module()(given)
            if not program.returned:  # a class of transformers that this process has not registered opens no archive
                assert torch.equal(found, torch.export.load(path).module()(given))
        assert torch.equal(found, served)
        assert found.shape == (len(given), 10)
        assert torch.isfinite(found).all()
        assert batched(program, pictures).mode in {"direct", "relaxed", ALONE.get(name, "direct")}
        head = final_linear(program)
        assert (head is None) if name in HEADLESS else head.num_classes == 10
    finally:
        torch.set_num_threads(threads)
