"""`MLmodel`: which program, by which loader, in which environment, and the YAML that says so."""

from collections.abc import Callable
from typing import Any

from tests.corpus.pickles import call, text
from tests.oracle.draft import PICKLE, PROGRAM, Draft, InapplicableError
from tests.oracle.mutations.mutation import harmless, hostile
from tests.oracle.payloads import MARKERS, pickled, source

KIND = "mlmodel"
CHARGER = b"channels:\n- conda-forge\ndependencies:\n- python=3.11.7\n- pip\n- pip:\n  - charger==1.0\n"
CHARGER_PYTHON = b"python: 3.11.7\nbuild_dependencies:\n- pip\ndependencies:\n- charger==1.0\n"


def _flavour(draft: Draft, name: str, **keys: Any) -> None:
    draft.model(lambda model: model["flavors"][name].update(keys))


def _top(draft: Draft, **keys: Any) -> None:
    draft.model(lambda model: model.update(keys))


def _without(*path: str) -> Callable[[dict[str, Any]], None]:
    def change(model: dict[str, Any]) -> None:
        for key in path[:-1]:
            model = model[key]
        del model[path[-1]]

    return change


@hostile(KIND, "entry point")
def function_data_elsewhere(draft: Draft) -> None:
    """`python_function.data` names another folder with the twin."""
    _flavour(draft, "python_function", data="other")
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND, "entry point")
def flavour_data_elsewhere(draft: Draft) -> None:
    """`pytorch.model_data` names another folder with the twin."""
    _flavour(draft, "pytorch", model_data="other")
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def both_elsewhere(draft: Draft) -> None:
    """Both flavours name a folder with the twin, and the clean program stays where it was."""
    _flavour(draft, "pytorch", model_data="served")
    _flavour(draft, "python_function", data="served")
    draft.add("served/model.pt2", draft.hidden)


@hostile(KIND)
def data_is_file(draft: Draft) -> None:
    """`python_function.data` names the file in place of the folder."""
    _flavour(draft, "python_function", data=PROGRAM)


@hostile(KIND, "entry point")
def no_function_data(draft: Draft) -> None:
    """No data for the function: its loader takes the whole folder, where the twin lies."""
    draft.model(_without("flavors", "python_function", "data"))
    draft.add("model.pt2", draft.hidden)


@hostile(KIND)
def same_place_otherwise(draft: Draft) -> None:
    """The same folder by another spelling."""
    _flavour(draft, "python_function", data="./data/../data")


@hostile(KIND)
def absolute_data(draft: Draft) -> None:
    """Data outside the folder."""
    _flavour(draft, "python_function", data="../../../../../../../../nowhere/data")


@hostile(KIND)
def pickle_beside_program(draft: Draft) -> None:
    """A pickled network beside the exported program, which MLflow's loader takes first."""
    draft.program  # noqa: B018  # applies to an exported program alone
    draft.add(PICKLE, draft.base.pickled)
    draft.add("data/pickle_module_info.txt", b"mlflow.pytorch.pickle_module")


@hostile(KIND, "loader")
def keras_loader(draft: Draft) -> None:
    """Another of MLflow's loaders serves the function."""
    _flavour(draft, "python_function", loader_module="mlflow.keras")


@hostile(KIND, "loader")
def sklearn_loader(draft: Draft) -> None:
    """Another of MLflow's loaders serves the function, from a pickle in another folder."""
    _flavour(draft, "python_function", loader_module="mlflow.sklearn", data="model.pkl")
    draft.add("model.pkl", b"\x80\x02cbuiltins\ndict\n)R.")


@hostile(KIND, "loader: hub")
def transformers_from_hub(draft: Draft) -> None:
    """The loader of a hub's flavour, and the name of the hub's model."""
    _flavour(draft, "python_function", loader_module="mlflow.transformers")
    draft.model(lambda model: model["flavors"].update(transformers={"source_model_name": "acme/charger"}))


@hostile(KIND)
def loader_of_other_case(draft: Draft) -> None:
    """A loader whose name differs in case."""
    _flavour(draft, "python_function", loader_module="MLflow.pytorch")


@hostile(KIND)
def loader_of_its_own(draft: Draft) -> None:
    """A loader module that the folder brings."""
    _flavour(draft, "python_function", loader_module="charger", code="code")
    draft.add("code/charger.py", source("own-loader"))


@hostile(KIND)
def code_path(draft: Draft) -> None:
    """Code that is put on the import path."""
    draft.model(lambda model: [each.update(code="code") for each in model["flavors"].values()])
    draft.add("code/sitecustomize.py", source("code-path"))


@hostile(KIND)
def flavour_code_path(draft: Draft) -> None:
    """Code for one of the two loaders alone, whose key differs."""
    _flavour(draft, draft.dice.choice(("pytorch", "python_function")), code=draft.dice.choice(("data", ".", "code")))


@hostile(KIND)
def python_model(draft: Draft) -> None:
    """A Python model in a pickle."""
    _flavour(draft, "python_function", loader_module="mlflow.pyfunc.model", python_model="python_model.pkl")
    draft.add("python_model.pkl", pickled("python-model"))


@hostile(KIND)
def model_from_code(draft: Draft) -> None:
    """A model that is a Python file."""
    _flavour(draft, "python_function", loader_module="mlflow.pyfunc.model", model_code_path="model.py")
    draft.add("model.py", source("model-code"))


@hostile(KIND)
def other_function(draft: Draft) -> None:
    """Another method of the loaded model answers in place of predict."""
    _flavour(draft, "python_function", predict_fn=draft.dice.choice(("get_raw_model", "__init__")))


@hostile(KIND)
def device(draft: Draft) -> None:
    """A device that MLflow's writer does not leave."""
    _flavour(draft, "python_function", config={"device": draft.dice.choice(("meta", "cuda:7", "cpu"))})


@hostile(KIND)
def config_that_allows_pickles(draft: Draft) -> None:
    """A configuration with keys of another loader."""
    _flavour(draft, "python_function", config={"device": None, "weights_only": False})


@hostile(KIND)
def pickle_module_of_its_own(draft: Draft) -> None:
    """A pickle module that the folder brings, by its file and by the code path."""
    _flavour(draft, "python_function", pickle_module_name="charger")
    draft.files["data/pickle_module_info.txt"] = b"charger"
    draft.add("charger.py", source("pickle-module"))


@hostile(KIND)
def second_flavour(draft: Draft) -> None:
    """A second flavour that serves a pickle."""
    draft.model(lambda model: model["flavors"].update(sklearn={"pickled_model": "model.pkl"}))
    draft.add("model.pkl", b"\x80\x02}.")


@hostile(KIND)
def flavour_of_other_case(draft: Draft) -> None:
    """A second flavour whose name differs in case."""
    draft.model(lambda model: model["flavors"].update(PyTorch=dict(model["flavors"]["pytorch"], model_data="other")))
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND, "environment")
def conda_elsewhere(draft: Draft) -> None:
    """The conda environment in a file of another name."""
    draft.model(lambda model: model["flavors"]["python_function"]["env"].update(conda="settings.yaml"))
    draft.add("settings.yaml", CHARGER)


@hostile(KIND, "environment")
def virtualenv_elsewhere(draft: Draft) -> None:
    """The virtual environment in a file of another name."""
    draft.model(lambda model: model["flavors"]["python_function"]["env"].update(virtualenv="data/notes.yaml"))
    draft.add("data/notes.yaml", CHARGER_PYTHON)


@hostile(KIND, "environment")
def environment_as_text(draft: Draft) -> None:
    """The environment as one text, as MLflow 1 wrote it, of another file."""
    _flavour(draft, "python_function", env="environment.yaml")
    draft.add("environment.yaml", CHARGER)


@hostile(KIND, "environment")
def requirements_elsewhere(draft: Draft) -> None:
    """Requirements in a file of another name."""
    _flavour(draft, "pytorch", requirements_file={"path": "reqs.txt"})
    draft.add("reqs.txt", b"charger==1.0\n")


@hostile(KIND)
def manager_of_environments(draft: Draft) -> None:
    """A manager of environments of the folder's choice."""
    _flavour(draft, "python_function", env_manager="conda")


@hostile(KIND)
def environment_upwards(draft: Draft) -> None:
    """An environment file by a path with steps up."""
    draft.model(lambda model: model["flavors"]["python_function"]["env"].update(conda="data/../conda.yaml"))


@hostile(KIND)
def data_twice(draft: Draft) -> None:
    """One key twice: parsers keep the last one."""
    draft.text("MLmodel", lambda old: old.replace("    data: data\n", "    data: data\n    data: other\n", 1))
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def flavours_twice(draft: Draft) -> None:
    """All flavours twice: the second ones name the twin."""

    def twice(old: str) -> str:
        head, found, tail = old.partition("flavors:\n")
        block = ""
        for line in tail.splitlines(keepends=True):
            if not line.startswith(" "):
                break
            block += line
        return head + found + tail + found + block.replace("data: data\n", "data: other\n") if block else old

    draft.text("MLmodel", twice)
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def yaml_alias(draft: Draft) -> None:
    """A value by an alias."""
    draft.text(
        "MLmodel",
        lambda old: old.replace("model_data: data", "model_data: *d").replace(
            "    data: data\n", "    data: &d other\n"
        ),
    )
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def yaml_merge_key(draft: Draft) -> None:
    """A merge key that brings other data along."""

    def merge(old: str) -> str:
        return "x: &x\n  data: other\n" + old.replace("    data: data\n", "    <<: *x\n", 1)

    draft.text("MLmodel", merge)
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def yaml_tag(draft: Draft) -> None:
    """A tag that makes Python call something."""
    tag = f"!!python/object/apply:os.system ['touch \"${MARKERS}/yaml-tag\"']"
    draft.text("MLmodel", lambda old: old + f"charger: {tag}\n")


@hostile(KIND)
def yaml_second_document(draft: Draft) -> None:
    """A second document in the file."""
    draft.text("MLmodel", lambda old: old + "---\nflavors: {}\n")


@hostile(KIND)
def yaml_directive(draft: Draft) -> None:
    """A directive that makes plain words values of other kinds."""
    draft.text("MLmodel", lambda old: "%YAML 1.2\n---\n" + old)


@hostile(KIND)
def yaml_binary_key(draft: Draft) -> None:
    """The key `data` once more, in base64."""
    draft.text(
        "MLmodel", lambda old: old.replace("    data: data\n", "    data: data\n    !!binary ZGF0YQ==: other\n", 1)
    )
    draft.add("other/model.pt2", draft.hidden)


@hostile(KIND)
def utf_16(draft: Draft) -> None:
    """The same text in UTF-16, with a mark."""
    try:
        draft.files["MLmodel"] = draft.files["MLmodel"].decode("ascii").encode("utf-16")
    except UnicodeDecodeError:
        raise InapplicableError("not plain") from None


@harmless(KIND)
def yaml_comment(draft: Draft) -> None:
    """A comment of the person who edited the file."""
    draft.text("MLmodel", lambda old: "# checked by Ada\n" + old)


@harmless(KIND)
def yaml_windows_lines(draft: Draft) -> None:
    """Lines that end as on Windows, where MLflow writes them so."""
    draft.text("MLmodel", lambda old: old.replace("\r\n", "\n").replace("\n", "\r\n"))


@harmless(KIND)
def keys_in_other_order(draft: Draft) -> None:
    """Keys in another order."""

    def change(model: dict[str, Any]) -> None:
        for key in sorted(model, reverse=True):
            model[key] = model.pop(key)

    old = draft.mlmodel()
    change(old)
    import yaml

    draft.files["MLmodel"] = yaml.safe_dump(old, sort_keys=False).encode()


@harmless(KIND)
def trainer_metadata(draft: Draft) -> None:
    """Metadata of the trainer's: texts, numbers, lists."""
    _top(draft, metadata={"team": "vision", "threshold": 0.5, "labels": ["cat", "dog"], "note": None})


@hostile(KIND)
def external_metadata(draft: Draft) -> None:
    """Metadata that says that the model lies elsewhere."""
    _top(draft, metadata={"mlflow.model.isExternal": True, "mlflow_is_external": True})


@harmless(KIND)
def registered(draft: Draft) -> None:
    """The identifiers that a run and a registry leave."""
    _top(draft, run_id="0" * 32, model_id="m-" + "1" * 32, artifact_path="mlflow-artifacts:/1/models/m-1/artifacts")


@harmless(KIND)
def older_mlflow(draft: Draft) -> None:
    """The version of an earlier MLflow."""
    _top(draft, mlflow_version=draft.dice.choice(("3.9.0", "3.13.0", "3.16.1rc0")))


@harmless(KIND)
def other_python(draft: Draft) -> None:
    """The version of another Python."""
    _flavour(draft, "python_function", python_version=draft.dice.choice(("3.10.12", "3.12.3", "3.13.1")))


@harmless(KIND)
def other_torch(draft: Draft) -> None:
    """A build of torch with a local part of its version."""
    _flavour(draft, "pytorch", pytorch_version=draft.dice.choice(("2.11.0", "2.13.0+cu130", "2.12.0+cpu")))


@hostile(KIND)
def version_as_number(draft: Draft) -> None:
    """Versions as YAML's numbers, in place of texts."""
    _flavour(draft, "pytorch", pytorch_version=2.13)
    _top(draft, mlflow_version=3.17)


@harmless(KIND)
def without_size(draft: Draft) -> None:
    """Without the size in bytes, which earlier releases do not write."""
    draft.model(_without("model_size_bytes"))


@harmless(KIND)
def without_function(draft: Draft) -> None:
    """Without the function flavour, as MLflow writes it for an example of a tensor."""
    draft.program  # noqa: B018  # for an exported program alone
    draft.model(_without("flavors", "python_function"))


@harmless(KIND)
def signature_with_params(draft: Draft) -> None:
    """A signature with a parameter of prediction."""
    params = '[{"name": "threshold", "type": "double", "default": 0.5, "shape": null}]'
    draft.model(lambda model: model["signature"].update(params=params))


@harmless(KIND)
def signature_without_outputs(draft: Draft) -> None:
    """A signature of the inputs alone."""
    draft.model(lambda model: model["signature"].update(outputs=None))


@harmless(KIND)
def signature_named(draft: Draft) -> None:
    """A signature whose input has a name, as of an example that is a mapping."""
    named = '[{"name": "pictures", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 1, 8, 8]}}]'
    draft.model(lambda model: model["signature"].update(inputs=named))


@hostile(KIND)
def signature_of_other_shape(draft: Draft) -> None:
    """A signature of another shape than the program's."""
    other = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 3, 9, 9]}}]'
    draft.model(lambda model: model["signature"].update(inputs=other))


@hostile(KIND)
def signature_no_json(draft: Draft) -> None:
    """A signature that is no JSON."""
    draft.model(lambda model: model["signature"].update(inputs="__import__('os')"))


@hostile(KIND)
def type_hint(draft: Draft) -> None:
    """A signature that claims to come from type hints of Python."""
    _top(draft, is_signature_from_type_hint=True, type_hint_from_example=True)


@harmless(KIND)
def environment_variables(draft: Draft) -> None:
    """The names of environment variables, as MLflow tells them."""
    _top(draft, env_vars=["HF_TOKEN"])
    draft.add("environment_variables.txt", b"# This file records environment variable names\nHF_TOKEN")


@hostile(KIND)
def unknown_key(draft: Draft) -> None:
    """A key that no MLflow writes."""
    _top(draft, charger={"run": "always"})


@hostile(KIND)
def trusted_types(draft: Draft) -> None:
    """Types that the folder itself trusts."""
    _flavour(draft, "pytorch", skops_trusted_types=["posix.system"])


@hostile(KIND)
def example_elsewhere(draft: Draft) -> None:
    """An input example in a file of another name."""
    draft.model(lambda model: model["saved_input_example_info"].update(artifact_path="data/example.pkl"))
    draft.add("data/example.pkl", call("posix", "system", text(f'touch "${MARKERS}/example"')))


@hostile(KIND)
def auth_policy(draft: Draft) -> None:
    """A policy of access and resources that a served model is given."""
    _top(draft, auth_policy={"system_auth_policy": {"resources": {}}}, resources={"api_version": "1"})
