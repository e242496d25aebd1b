"""The ways in which people save a PyTorch model with MLflow: one function each, and what the folder then holds.

`code-free`: the gate may read it without the candidate's code. `carries-code`: loading it runs code that the trainer
brought. `no-model`: MLflow wrote it, and it is no MLflow model.
"""

import os
import pickle
import shutil
from dataclasses import dataclass
from pathlib import Path

import desk as desks
import mlflow
import torch
from desk import MAJOR, OPTIONS, PINNED, Desk, importing
from server import tracking_server

BROUGHT = "brought"
EXTRA = "extra"


@dataclass(frozen=True)
class Way:
    """One way of saving, in one format."""

    name: str
    form: str
    do: object
    how: str
    holds: str
    because: tuple
    """Why it carries code, by the gate's words: class, code-path, script, extra-code."""


WAYS = []


def way(*forms, holds="code-free", because=(), where=True):
    """Register a function as a way of saving, for each of the formats that this release writes.

    An exported program has no classes, whatever network it came from.
    """

    def register(function):
        for form in forms:
            if where and (form != "pt2" or desks.EXPORTS):
                name = f"{form}-{function.__name__.replace('_', '-')}"
                reasons = tuple(reason for reason in because if (form, reason) != ("pt2", "class"))
                kept = "code-free" if because and not reasons else holds
                WAYS.append(Way(name, form, function, function.__doc__, kept, reasons))
        return function

    return register


BOTH = ("pickle", "pt2")
CODE = {"holds": "carries-code"}
MLFLOW_3 = MAJOR >= 3


@way(*BOTH)
def bare(desk: Desk):
    """save_model without options (pt2: with the input example that it needs)."""
    desk.save(inferred=True)


@way(*BOTH)
def signature(desk: Desk):
    """A signature."""
    desk.save(signature=desk.signature)


@way(*BOTH)
def array_example(desk: Desk):
    """An array as input example; MLflow infers the signature."""
    desk.save(input_example=desk.arrays[0])


@way(*BOTH)
def signature_and_example(desk: Desk):
    """A signature and an array as input example."""
    desk.save(signature=desk.signature, input_example=desk.arrays[0])


@way("pickle")
def example_without_signature(desk: Desk):
    """An array as input example, signature=False."""
    desk.save(signature=False, input_example=desk.arrays[0])


@way("pickle")
def frame_example(desk: Desk):
    """A DataFrame with named columns as input example; MLflow infers the signature."""
    import pandas as pd

    desk.network, desk.inputs = desks.table_network(), (desks.rows_input(),)
    desk.save(input_example=pd.DataFrame(desk.arrays[0], columns=list("abcde")))


@way("pickle")
def values_example(desk: Desk):
    """A DataFrame without names as input example."""
    import pandas as pd

    desk.network, desk.inputs = desks.table_network(), (desks.rows_input(),)
    desk.save(input_example=pd.DataFrame(desk.arrays[0]))


@way("pickle")
def dict_example(desk: Desk):
    """A dict of arrays as input example, and a signature with names."""
    example = {"pictures": desk.arrays[0]}
    with torch.no_grad():
        named = mlflow.models.infer_signature(example, {"scores": desk.network(*desk.inputs).numpy()})
    desk.save(input_example=example, signature=named)


@way("pickle")
def params_example(desk: Desk):
    """An array and parameters of prediction as input example; the signature has params."""
    desk.save(input_example=(desk.arrays[0], {"device": "cpu"}))


@way("pt2", where="serialization_format" in OPTIONS)
def tensor_example(desk: Desk):
    """A torch tensor as input example, and a signature: there is then no python_function."""
    desk.save(input_example=desk.inputs[0], signature=desk.signature)


@way("pt2")
def one_picture(desk: Desk):
    """An input example of one picture, and a signature of that fixed size."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    desk.inputs = (desk.inputs[0][:1],)
    fixed = TensorSpec(desk.arrays[0].dtype, desk.arrays[0].shape)
    desk.save(input_example=desk.arrays[0], signature=ModelSignature(inputs=Schema([fixed])))


@way("pt2", where="serialization_format" in OPTIONS)
def two_inputs(desk: Desk):
    """Two inputs, a list of arrays as input example, a signature of two tensors."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import Schema, TensorSpec

    desk.network, desk.inputs = desks.own("TwoInputs"), (desks.pictures_input(), desks.rows_input())
    kinds = [
        TensorSpec(array.dtype, (-1, *array.shape[1:]), name) for array, name in zip(desk.arrays, "ab", strict=True)
    ]
    desk.save(input_example=desk.arrays, signature=ModelSignature(inputs=Schema(kinds)))


@way(*BOTH, **CODE, because=("code-path",))
def code_paths(desk: Desk):
    """A network of library layers, and code_paths."""
    desk.save(code_paths=[BROUGHT])


@way(*BOTH)
def extra_files(desk: Desk):
    """extra_files: a licence and the names of the classes."""
    desk.save(extra_files=[f"{EXTRA}/LICENSE", f"{EXTRA}/classes.txt"])


@way(*BOTH, **CODE, because=("extra-code",))
def extra_code(desk: Desk):
    """extra_files with a Python file."""
    desk.save(extra_files=[f"{BROUGHT}/own_network.py"])


@way(*BOTH)
def pip_torch(desk: Desk):
    """pip_requirements=["torch"]."""
    desk.save(pip_requirements=["torch"])


@way("pickle")
def extra_pip(desk: Desk):
    """extra_pip_requirements with a range."""
    desk.save(extra_pip_requirements=["pillow>=9,<13"])


@way("pickle")
def constraints(desk: Desk):
    """pip_requirements from a file, with a constraints file."""
    Path("pins.txt").write_text("numpy<3\n")
    Path("needs.txt").write_text("\n".join([*PINNED, "# pictures", "pillow", "-c pins.txt"]) + "\n")
    desk.save(pip_requirements="needs.txt")


@way("pickle", where="requirements_file" in OPTIONS)
def requirements_file(desk: Desk):
    """requirements_file, which MLflow 2 still takes."""
    Path("requirements.txt").write_text("\n".join(PINNED) + "\n")
    desk.save(requirements_file="requirements.txt")


@way(*BOTH)
def conda_dict(desk: Desk):
    """conda_env as a dict: conda-forge, Python, pip and two pinned packages."""
    python = ".".join(map(str, __import__("sys").version_info[:3]))
    pins = [f"python={python}", "pip<=24", {"pip": PINNED}]
    desk.save(conda_env={"name": "trained", "channels": ["conda-forge"], "dependencies": pins})


@way("pickle")
def conda_default(desk: Desk):
    """conda_env=mlflow.pytorch.get_default_conda_env()."""
    desk.save(conda_env=mlflow.pytorch.get_default_conda_env())


@way(*BOTH)
def metadata(desk: Desk):
    """Metadata: texts, a number, a list, a mapping and a null."""
    desk.save(metadata={"owner": "vision", "epochs": 3, "classes": ["a", "b"], "data": {"rows": 2}, "note": None})


@way("pickle")
def everything(desk: Desk):
    """Signature, example, extra files, metadata and a requirement together."""
    desk.save(
        signature=desk.signature,
        input_example=desk.arrays[0],
        extra_files=[f"{EXTRA}/classes.txt"],
        metadata={"owner": "vision"},
        pip_requirements=[*PINNED, "pillow"],
    )


@way("pickle")
def pickle_module(desk: Desk):
    """pickle_module=pickle."""
    desk.save(pickle_module=pickle)


@way("pickle")
def legacy(desk: Desk):
    """torch.save's old format without a zip."""
    desk.save(_use_new_zipfile_serialization=False)


@way("pickle")
def protocol_5(desk: Desk):
    """pickle_protocol=5."""
    desk.save(pickle_protocol=5)


@way("pickle")
def half_training(desk: Desk):
    """A network of half precision that was left in training mode."""
    desk.network = desk.network.half().train()
    desk.inputs = ()
    desk.save()


@way(*BOTH, **CODE, because=("class",))
def own_class(desk: Desk):
    """A network of a class that the trainer's script defines."""
    desk.network = desks.own("OwnNetwork")
    desk.save()


@way(*BOTH, **CODE, because=("class", "code-path"))
def own_module(desk: Desk):
    """A network of a class in a module that code_paths brings."""
    with importing(BROUGHT):
        from own_network import BroughtNetwork

        torch.manual_seed(0)
        desk.network = BroughtNetwork().eval()
        desk.save(code_paths=[f"{BROUGHT}/own_network.py"])


@way("pickle", **CODE, because=("script",))
def scripted(desk: Desk):
    """torch.jit.script of library layers."""
    desk.network = torch.jit.script(desk.network)
    desk.save()


@way("pickle", **CODE, because=("script",))
def traced(desk: Desk):
    """torch.jit.trace of library layers."""
    desk.network = torch.jit.trace(desk.network, desk.inputs)
    desk.save()


@way("pickle", **CODE, because=("class",))
def lightning_autologged(desk: Desk):
    """Logged by mlflow.pytorch.autolog while Lightning trains."""
    import lightning.pytorch as lightning
    from torch.utils.data import DataLoader, TensorDataset

    desk.network = desks.own("lightning_network")
    mlflow.pytorch.autolog()
    try:
        data = DataLoader(TensorDataset(desk.inputs[0], torch.tensor([0, 1])), batch_size=2)
        quiet = {"enable_progress_bar": False, "enable_checkpointing": False, "logger": False}
        with mlflow.start_run() as run:
            lightning.Trainer(max_epochs=1, accelerator="cpu", **quiet).fit(desk.network.train(), data)
    finally:
        mlflow.pytorch.autolog(disable=True)
    desk.network.eval()
    desk.download(f"runs:/{run.info.run_id}/model")


@way("pt2")
def lightning_exported(desk: Desk):
    """A LightningModule, exported."""
    desk.network = desks.own("lightning_network")
    desk.save()


@way("pickle", holds="no-model")
def state_dict(desk: Desk):
    """log_state_dict, which writes no MLmodel."""
    with mlflow.start_run() as run:
        mlflow.pytorch.log_state_dict(desk.network.state_dict(), "weights")
    desk.download(f"runs:/{run.info.run_id}/weights")
    desk.inputs = ()


@way(*BOTH)
def run(desk: Desk):
    """Logged into a run, downloaded by runs:/RUN/model."""
    if MLFLOW_3:
        with mlflow.start_run() as started:
            mlflow.pytorch.log_model(desk.network, name="model", **desk.options({}))
        desk.download(f"runs:/{started.info.run_id}/model")
    else:
        desk.download(desk.log(input_example=desk.arrays[0]).model_uri)


@way("pickle", where=MLFLOW_3)
def artifact_path(desk: Desk):
    """Logged with MLflow 2's argument artifact_path, downloaded by runs:/RUN/model."""
    with mlflow.start_run() as started:
        mlflow.pytorch.log_model(desk.network, artifact_path="model", **desk.options({"signature": desk.signature}))
    desk.download(f"runs:/{started.info.run_id}/model")


@way(*BOTH, where=MLFLOW_3)
def logged_model(desk: Desk):
    """log_model(name=…) without a run, downloaded by models:/m-…."""
    said = mlflow.pytorch.log_model(desk.network, name="digits", **desk.options({"input_example": desk.arrays[0]}))
    desk.download(f"models:/{said.model_id}")


@way(*BOTH)
def registered(desk: Desk):
    """Logged with registered_model_name, downloaded by models:/NAME/1, which adds registered_model_meta."""
    name = f"digits-{desk.form}"
    desk.log(registered_model_name=name, signature=desk.signature)
    desk.download(f"models:/{name}/1")


@way(*BOTH)
def registered_from_run(desk: Desk):
    """Logged, then register_model(runs:/…), downloaded by models:/NAME/1."""
    name = f"late-{desk.form}"
    with mlflow.start_run() as started:
        where = {"name": "model"} if MLFLOW_3 else {"artifact_path": "model"}
        mlflow.pytorch.log_model(desk.network, **where, **desk.options({"input_example": desk.arrays[0]}))
    mlflow.register_model(f"runs:/{started.info.run_id}/model", name)
    desk.download(f"models:/{name}/1")


@way(*BOTH, where=MLFLOW_3)
def registered_from_logged_model(desk: Desk):
    """log_model(name=…), then register_model(models:/m-…), downloaded by models:/NAME/1."""
    name = f"logged-{desk.form}"
    said = desk.log(name="digits", signature=desk.signature)
    mlflow.register_model(f"models:/{said.model_id}", name)
    desk.download(f"models:/{name}/1")


@way("pt2" if desks.EXPORTS else "pickle")  # a server takes its time to start
def served_registry(desk: Desk):
    """Registered with a tracking server that also serves the artifacts, downloaded by models:/NAME/1."""
    with tracking_server():
        desk.log(registered_model_name="served", input_example=desk.arrays[0])
        desk.download("models:/served/1")


@way("pickle")
def alias(desk: Desk):
    """Registered with a description, tags and an alias, downloaded by models:/NAME@production."""
    desk.log(registered_model_name="named", signature=desk.signature, metadata={"stage": "trial"})
    client = mlflow.MlflowClient()
    client.set_registered_model_alias("named", "production", "1")
    desk.download("models:/named@production")


@way("pickle")
def databricks_runtime(desk: Desk):
    """Logged where DATABRICKS_RUNTIME_VERSION is set, as it is in Databricks."""
    os.environ["DATABRICKS_RUNTIME_VERSION"] = "15.4"
    try:
        desk.download(desk.log(signature=desk.signature).model_uri)
    finally:
        del os.environ["DATABRICKS_RUNTIME_VERSION"]


def lay_out(sources):
    """Put what the trainer brings into the working folder."""
    shutil.copytree(Path(sources) / BROUGHT, BROUGHT, ignore=shutil.ignore_patterns("__pycache__"))
    Path(EXTRA).mkdir()
    Path(EXTRA, "LICENSE").write_text("Anyone may use this model.\n")
    Path(EXTRA, "classes.txt").write_text("zero\none\ntwo\nthree\n")
