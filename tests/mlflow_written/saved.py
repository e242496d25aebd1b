"""Ways of saving with `mlflow.pytorch.save_model`: its options, and the kinds of network that it takes."""

import pickle
from pathlib import Path

import desk as desks
import mlflow
import torch
from desk import OPTIONS, PINNED, Desk, importing
from ways import BOTH, BROUGHT, CODE, EXTRA, way


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
    """An array and parameters of prediction as input example, and a signature with params."""
    with torch.no_grad():
        scores = desk.network(*desk.inputs).numpy()
    params = {"device": "cpu"}
    said = mlflow.models.infer_signature(desk.arrays[0], scores, params=params)
    desk.save(input_example=(desk.arrays[0], params), signature=said)


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


@way("pt2")
def lightning_exported(desk: Desk):
    """A LightningModule, exported."""
    desk.network = desks.own("lightning_network")
    desk.save()
