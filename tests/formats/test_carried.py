"""What is said of a candidate that was not loaded because of the code that it carries."""

import pytest

from gate.formats.carried import NO_MODEL, OTHER_FLAVOUR, PLAIN, carried
from gate.formats.mlflow_model import UNKNOWN
from gate.formats.pickle_names import is_of_a_library
from gate.records.evidence import Location, Measured, Measurement

AGAIN = "mlflow.pytorch.log_model(model, input_example=x, serialization_format='pt2')"


def pickled(*names, layers=3):
    """Return what the detector of pickles counts in a file with these imports."""
    place = Location(kind="file", name="data/model.pth")
    library = [name for name in names if is_of_a_library(*name.rpartition(".")[::2])]
    counts = {"unsafe-globals": names, "library-globals": library, "module-globals": ["x"] * layers}
    return {
        "unsafe-pickle": Measured(
            seconds=0.0,
            measurements=tuple(
                Measurement(
                    metric=metric,
                    value=len(found),
                    location=place if found else None,
                    note="; ".join(f"model/data.pkl: {name}" for name in found),
                )
                for metric, found in counts.items()
            ),
        )
    }


def test_a_pickled_network_of_a_library_is_named_with_both_ways():
    """Its class, logging it again, and the extra with which level B loads it."""
    found = carried(pickled("torchvision.ops.misc.MLP", "torchvision.models.resnet.ResNet", "functools.partial"))
    assert found.what == "it is a pickled network of torchvision, and unpickling it runs code"
    assert ": torchvision.models.resnet.ResNet, torchvision.ops.misc.MLP. " in found.sentence
    assert AGAIN in found.sentence
    assert "or check it with --allow-code after pip install 'model-promotion-gate[models]'" in found.sentence


@pytest.mark.parametrize("names", [("acme.nets.Net",), ("acme.nets.Net", "timm.layers.mlp.Mlp")])
def test_a_class_of_its_own_is_named_and_never_waits_for_a_library(names):
    """One foreign class among a library's is enough."""
    found = carried(pickled(*names))
    assert "classes of its own" in found.what
    assert ": acme.nets.Net. " in found.sentence
    assert AGAIN in found.sentence
    assert "--allow-code" in found.sentence
    assert "[models]" not in found.sentence


def test_a_notebooks_class_is_told_without_the_machinery_that_wrote_it():
    """Cloudpickle's own names say nothing to whoever logged the model."""
    found = carried(pickled("cloudpickle.cloudpickle._make_skeleton_class", "__builtin__.type"))
    assert "classes of its own, and unpickling it runs code. Log it again" in found.sentence


def counted(detector, metric, name, note):
    """Return one thing that a detector counted in a file."""
    place = Location(kind="file", name=name)
    one = Measurement(metric=metric, value=1, location=place, note=note)
    return {detector: Measured(seconds=0.0, measurements=(one,))}


def test_where_no_code_would_help_none_is_offered_to_be_run():
    """A folder without MLmodel and another flavour, whatever their pickles import."""
    bare = counted("artifact-integrity", "missing-files", "MLmodel", "the folder is no MLflow model")
    other = counted("consumer-hazards", "foreign-loaders", "MLmodel", f"flavors is 'python_function'; {UNKNOWN}.")
    for outcomes, what in ((bare, NO_MODEL), (other, OTHER_FLAVOUR)):
        found = carried({**pickled("acme.nets.Net"), **outcomes})
        assert found.what == what
        assert AGAIN in found.sentence
        assert "--allow-code" not in found.sentence


def test_a_folder_whose_mlmodel_names_absent_files_is_not_told_to_have_none():
    """The finding stands at `MLmodel`, which is there: what it declares is missing."""
    outcomes = counted("artifact-integrity", "missing-files", "MLmodel", "declares 'conda.yaml'")
    assert carried(outcomes).what != NO_MODEL


def test_a_network_of_torchs_own_layers_has_no_class_of_its_own():
    """What counts nothing names nothing: another finding kept it from being loaded."""
    assert carried(pickled()) == PLAIN


def test_torchscript_is_told_as_that():
    """Its archive holds code that is no pickle."""
    note = "TorchScript code archive/code/__torch__.py"
    found = Measured(seconds=0.0, measurements=(Measurement(metric="code-constructs", value=1, note=note),))
    assert "before torch.jit" in carried({"unsafe-format": found}).sentence


@pytest.mark.parametrize("outcomes", [{}, pickled("os.system", layers=0)])
def test_anything_else_is_told_by_its_findings(outcomes):
    """A pickle that imports no layer is no network, whatever it is."""
    assert carried(outcomes) == PLAIN
