"""The consumer's story: a bundle is opened by every loader, with the outputs of the network that was exported."""

import json

import numpy as np
import pytest
import torch

from gate.records.runtime import Runtime
from tests.check.bundle.composing import compose, pictures, pictures_network, rows, rows_network
from tests.mlflow_written.test_mlflow_written import found_in

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own imports and remarks

BATCHES = (1, 2, 64)


@pytest.fixture
def bundle(tmp_path):
    """Return a bundle of a network of pictures, with the signature that MLflow infers."""
    from mlflow.models import infer_signature

    network, example = pictures_network(), pictures(3)
    signature = infer_signature(example.numpy(), network(example).detach().numpy())
    return compose(tmp_path / "bundle", network, example, signature)


@pytest.fixture
def table(tmp_path):
    """Return a bundle of a network of rows, with the signature of a data frame of named columns."""
    import pandas as pd
    from mlflow.models import infer_signature

    frame = pd.DataFrame(rows(3).numpy(), columns=["age", "income in €", "d'état", "rate", "n"])
    return compose(tmp_path / "table", rows_network(), rows(3), infer_signature(frame)), frame


def expected(network, x):
    """Return a network's outputs as an array."""
    with torch.no_grad():
        return network(x).numpy()


@pytest.mark.parametrize("count", BATCHES)
def test_every_loader_gives_the_networks_outputs(bundle, count):
    """`mlflow.pyfunc`, `mlflow.pytorch` and torch alone, at every size of a batch."""
    import mlflow

    network, x = pictures_network(), pictures(count)
    root = str(bundle.root)
    with torch.no_grad():
        outputs = {
            "pyfunc": mlflow.pyfunc.load_model(root).predict(x.numpy()),
            "pytorch": mlflow.pytorch.load_model(root)(x).numpy(),
            "torch": torch.export.load(bundle.root / "data" / "model.pt2").module()(x).numpy(),
        }
    for loader, got in outputs.items():
        np.testing.assert_allclose(got, expected(network, x), rtol=1e-5, atol=1e-6, err_msg=loader)


def test_the_gate_itself_finds_nothing_in_a_bundle(bundle, table, tmp_path):
    """Its own readers of bytes, names, keys and requirements take a bundle as they take MLflow's folders."""
    assert found_in(bundle.root) == {}
    assert found_in(table[0].root) == {}


def test_the_input_example_is_zeros_that_can_be_predicted(bundle):
    """By every way that MLflow reads it, of the program's number type, and by its scoring server's parser."""
    import mlflow
    from mlflow.models import Model
    from mlflow.pyfunc.scoring_server import invocations

    root = str(bundle.root)
    model = mlflow.pyfunc.load_model(root)
    zeros = np.zeros((1, 1, 8, 8), dtype=np.float32)
    scores = expected(pictures_network(), torch.zeros(1, 1, 8, 8))
    for example in (model.input_example, Model.load(root).load_input_example(root)):
        assert example.dtype == np.float32
        np.testing.assert_array_equal(example, zeros)
    np.testing.assert_allclose(model.predict(model.input_example), scores, rtol=1e-5, atol=1e-6)
    served = invocations(
        Model.load(root).get_serving_input(root), "application/json", model, model.metadata.get_input_schema()
    )
    assert served.status == 200
    np.testing.assert_allclose(json.loads(served.response)["predictions"], scores, rtol=1e-5, atol=1e-6)


def test_a_table_keeps_its_columns(table):
    """Names and order of the candidate's columns, in the signature, in the example, and by the scoring server."""
    import mlflow
    from mlflow.pyfunc.scoring_server import invocations

    composed, frame = table
    root = str(composed.root)
    model = mlflow.pyfunc.load_model(root)
    assert model.metadata.signature.inputs.input_names() == list(frame.columns)
    example = model.input_example
    assert list(example.columns) == list(frame.columns)
    assert example.shape == (1, 5)
    assert not example.to_numpy().any()
    turned = frame[list(reversed(frame.columns))]
    np.testing.assert_allclose(model.predict(turned).to_numpy(), expected(rows_network(), rows(3)), atol=1e-6)
    served = invocations(
        model.metadata.get_serving_input(root), "application/json", model, model.metadata.get_input_schema()
    )
    assert served.status == 200


def test_the_signature_is_enforced(bundle, table):
    """Another number type, other sizes or a missing column never reach the program."""
    import mlflow
    from mlflow.exceptions import MlflowException

    model = mlflow.pyfunc.load_model(str(bundle.root))
    for wrong in (pictures(2).double().numpy(), np.zeros((2, 3, 8, 8), np.float32)):
        with pytest.raises(MlflowException, match="schema"):
            model.predict(wrong)
    composed, frame = table
    with pytest.raises(MlflowException, match="missing inputs"):
        mlflow.pyfunc.load_model(str(composed.root)).predict(frame.drop(columns="rate"))


def test_a_bundle_without_a_signature_opens_too(tmp_path):
    """It has no example, since MLflow would give one of another number type back; data frames go in as they did."""
    import mlflow
    import pandas as pd

    composed = compose(tmp_path / "bundle", rows_network(), rows(3))
    assert "input_example.json" not in composed.texts
    model = mlflow.pyfunc.load_model(str(composed.root))
    assert model.input_example is None
    got = model.predict(pd.DataFrame(rows(3).numpy()))
    np.testing.assert_allclose(got.to_numpy(), expected(rows_network(), rows(3)), atol=1e-6)


def test_parameters_of_a_signature_do_not_break_every_prediction(tmp_path):
    """MLflow passes defaults to the network as keywords, which no exported program takes: they are left out."""
    import mlflow
    from mlflow.models import infer_signature

    signature = infer_signature(rows(3).numpy(), None, {"device": "cpu", "temperature": 1.0})
    composed = compose(tmp_path / "bundle", rows_network(), rows(3), signature)
    model = mlflow.pyfunc.load_model(str(composed.root))
    assert model.metadata.signature.params is None
    np.testing.assert_allclose(model.predict(rows(3).numpy()), expected(rows_network(), rows(3)), atol=1e-6)
    only = compose(tmp_path / "only", rows_network(), rows(3), infer_signature(None, None, {"k": 1}))
    assert mlflow.pyfunc.load_model(str(only.root)).metadata.signature is None


def test_a_consumer_with_a_gpu_opens_it_with_pyfunc(bundle, monkeypatch):
    """MLflow would choose the GPU and then refuse tensors that lie on the CPU; the bundle says where they lie."""
    import mlflow

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    got = mlflow.pyfunc.load_model(str(bundle.root)).predict(pictures(2).numpy())
    np.testing.assert_allclose(got, expected(pictures_network(), pictures(2)), rtol=1e-5, atol=1e-6)


def test_a_consumer_that_unpickles_nothing_opens_it(bundle, monkeypatch):
    """MLflow then refuses every record that is no plain data and no raw tensor."""
    import mlflow

    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
    with torch.no_grad():
        got = mlflow.pytorch.load_model(str(bundle.root))(pictures(2)).numpy()
    np.testing.assert_allclose(got, expected(pictures_network(), pictures(2)), rtol=1e-5, atol=1e-6)


def test_several_inputs_have_the_one_flavour_that_takes_them(tmp_path):
    """As with MLflow's own: `mlflow.pyfunc` passes one input, so that flavour is not there."""
    import hashlib

    import mlflow
    from mlflow.models import infer_signature

    from gate.check.bundle.folder import PROGRAM, bundle_texts
    from gate.programs import read_program
    from gate.programs.writer.write import write_program
    from gate.records.signature import read_signature
    from gate.records.written_program import Written
    from tests.check.bundle.composing import PARENT, tensor_inputs

    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = torch.nn.Linear(5, 4), torch.nn.Linear(3, 4)

        def forward(self, a, b):
            return self.one(a) + self.two(b)

    network, inputs = Two().eval(), (rows(2), torch.ones(2, 3))
    root = tmp_path / "bundle"
    (root / "data").mkdir(parents=True)
    torch.export.save(torch.export.export(network, inputs), tmp_path / "draft.pt2")
    program = read_program(tmp_path / "draft.pt2")
    write_program(program, root / PROGRAM)
    signature = infer_signature({"a": inputs[0].numpy(), "b": inputs[1].numpy()})
    written = Written(
        format="pt2",
        origin="pt2",
        program_sha256=hashlib.sha256((root / PROGRAM).read_bytes()).hexdigest(),
        parent=PARENT,
        inputs=tensor_inputs(program),
        signature=read_signature(signature.to_dict()),
        greatest_difference=0,
    )
    for name, raw in bundle_texts(written, Runtime()).items():
        (root / name).write_bytes(raw)
    assert found_in(root) == {}
    assert list(mlflow.models.Model.load(str(root)).flavors) == ["pytorch"]
    example = mlflow.models.Model.load(str(root)).load_input_example(str(root))
    assert {name: value.shape for name, value in example.items()} == {"a": (2, 5), "b": (2, 3)}
    with torch.no_grad():
        torch.testing.assert_close(mlflow.pytorch.load_model(str(root))(*inputs), network(*inputs))


RUNTIMES = {
    "installed": Runtime(),
    "pinned": Runtime(python="3.12", packages={"torch": "2.12.1", "mlflow": "3.13.0", "pandas": "2.3.3"}),
}


@pytest.mark.parametrize("which", RUNTIMES)
def test_installers_read_the_pins(which, tmp_path):
    """The parsers of pip and MLflow, which reads both environment files, give one list of exact public versions."""
    import mlflow
    from mlflow.utils.environment import _PythonEnv
    from mlflow.utils.requirements_utils import _parse_requirements
    from packaging.requirements import Requirement
    from packaging.version import Version
    from pip._internal.network.session import PipSession
    from pip._internal.req import parse_requirements

    runtime = RUNTIMES[which]
    root = compose(tmp_path / "bundle", rows_network(), rows(3), runtime=runtime).root
    text = root / "requirements.txt"
    lines = text.read_text().splitlines()
    assert [one.req_str for one in _parse_requirements(str(text), is_constraint=False)] == lines
    assert [one.requirement for one in parse_requirements(str(text), session=PipSession())] == lines
    assert mlflow.pyfunc.get_model_dependencies(str(root)) == str(text)
    pinned = {one.name: str(one.specifier) for one in map(Requirement, lines)}
    assert lines[0].startswith("mlflow==")
    if runtime.packages:
        assert pinned == {name: f"=={version}" for name, version in runtime.packages.items()}
    else:
        assert set(pinned) == {"mlflow", "torch", "numpy", "pandas", "cloudpickle"}
        assert pinned["torch"] == f"=={Version(torch.__version__).public}"
    virtualenv = _PythonEnv.from_yaml(root / "python_env.yaml")
    conda = _PythonEnv.from_conda_yaml(root / "conda.yaml")
    assert virtualenv.dependencies == ["-r requirements.txt"]
    assert conda.dependencies == lines
    assert virtualenv.python == conda.python == (runtime.python or conda.python)
    assert virtualenv.build_dependencies == conda.build_dependencies == ["pip>=23.1"]


@pytest.mark.slow  # a new store runs all of its migrations
def test_a_registry_takes_a_bundle_and_serves_it(bundle, tmp_path):
    """Registered as a version of a real store, and loaded by the production alias."""
    import mlflow
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path / 'store.db'}"
    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    client.create_registered_model("digits")
    client.create_model_version("digits", source=str(bundle.root))
    client.set_registered_model_alias("digits", "production", "1")
    before = mlflow.get_registry_uri()
    mlflow.set_registry_uri(uri)
    try:
        got = mlflow.pyfunc.load_model("models:/digits@production").predict(pictures(2).numpy())
    finally:
        mlflow.set_registry_uri(before)
    np.testing.assert_allclose(got, expected(pictures_network(), pictures(2)), rtol=1e-5, atol=1e-6)
