"""Files beside those of the model: what people put there, and what somebody's loader could take for more."""

import bz2
import gzip
import lzma
import zlib

from tests.corpus.zipping import torch_zip
from tests.oracle.draft import Draft, InapplicableError
from tests.oracle.mutations.mutation import harmless, hostile
from tests.oracle.payloads import pickled, source

KIND = "file"


@harmless(KIND)
def licence(draft: Draft) -> None:
    """A licence."""
    draft.add(draft.dice.choice(("LICENSE", "LICENSE.txt", "LICENSE.md")), b"Apache License\nVersion 2.0\n")


@harmless(KIND)
def notice(draft: Draft) -> None:
    """A notice with letters beyond ASCII."""
    draft.add("NOTICE", "Trained on pictures by Zoë, © 2026\n".encode())


@harmless(KIND)
def readme(draft: Draft) -> None:
    """A page about the model."""
    draft.add("README.md", b"# Classifier\n\n```python\nimport mlflow\n```\n")


@harmless(KIND)
def extra_files_of_mlflow(draft: Draft) -> None:
    """Extra files as MLflow puts them and names them."""
    draft.add("extra_files/labels.json", b'["cat", "dog", "bird", "fish"]\n')
    draft.model(lambda model: model["flavors"]["pytorch"].update(extra_files=[{"path": "extra_files/labels.json"}]))


@harmless(KIND)
def copies_of_registry(draft: Draft) -> None:
    """The copies of the environment that a managed registry keeps."""
    for name in ("MLmodel", "conda.yaml", "python_env.yaml", "requirements.txt"):
        if name not in draft.files:
            raise InapplicableError(f"no {name}")
        draft.add(f"metadata/{name}", draft.files[name])


@harmless(KIND)
def without_example(draft: Draft) -> None:
    """Without an input example, as a model that is logged without one."""
    draft.model(lambda model: model.pop("saved_input_example_info"))
    for name in ("input_example.json", "serving_input_example.json"):
        draft.files.pop(name, None)


@hostile(KIND)
def example_no_json(draft: Draft) -> None:
    """An input example that is a pickle."""
    if "input_example.json" not in draft.files:
        raise InapplicableError("no example")
    draft.files["input_example.json"] = pickled("example")


@hostile(KIND)
def licence_that_is_a_pickle(draft: Draft) -> None:
    """A pickle under the name of a licence."""
    draft.add("LICENSE", pickled("licence"))


@hostile(KIND)
def licence_and_archive(draft: Draft) -> None:
    """A text at whose end an archive stands."""
    draft.add("README.md", b"# Classifier\n" + torch_zip(pickled("readme")))


@hostile(KIND)
def pickle_beside(draft: Draft) -> None:
    """A pickle that runs a command, beside the model."""
    draft.add(draft.dice.choice(("data/optimizer.pkl", "extra_files/scaler.pkl", "model.pkl")), pickled("pickle"))


@hostile(KIND)
def torch_file_beside(draft: Draft) -> None:
    """A torch file that runs a command, under a name that MLflow's loader takes first."""
    draft.program  # noqa: B018  # beside an exported program
    draft.add("data/model.pth", torch_zip(pickled("torch-file")))
    draft.add("data/pickle_module_info.txt", b"mlflow.pytorch.pickle_module")


@hostile(KIND, "compression")
def joblib_other_dictionary(draft: Draft) -> None:
    """A joblib pickle under LZMA with another dictionary size than the usual one, by an ending of other libraries."""
    chain = [{"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": 1 << 12}]
    raw = lzma.compress(pickled("joblib"), lzma.FORMAT_ALONE, filters=chain)
    draft.add(draft.dice.choice(("data/scaler.model", "extra_files/scaler.model")), raw)


@hostile(KIND)
def joblib_compressed(draft: Draft) -> None:
    """A joblib pickle under one of its usual compressions."""
    compress = draft.dice.choice((zlib.compress, gzip.compress, bz2.compress, lzma.compress))
    draft.add(draft.dice.choice(("data/scaler.joblib", "extra_files/scaler.json")), compress(pickled("joblib")))


@hostile(KIND)
def second_program(draft: Draft) -> None:
    """The twin as a further file."""
    draft.add(draft.dice.choice(("data/model_v2.pt2", "extra_files/model.pt2", "model.pt2")), draft.hidden)


@hostile(KIND)
def state_dict_beside(draft: Draft) -> None:
    """A second model in another form."""
    other = next((name for name in ("data/state_dict.pt", "data/model.pt2") if name not in draft.files), None)
    if other is None:
        raise InapplicableError("both are there")
    draft.add(other, draft.hidden if other.endswith("pt2") else torch_zip(pickled("state-dict")))


@hostile(KIND)
def module_beside(draft: Draft) -> None:
    """Python beside the model, under a name that an interpreter imports of itself."""
    name = draft.dice.choice(
        ("sitecustomize.py", "usercustomize.py", "mlflow.py", "data/charger.py", "torch/__init__.py")
    )
    draft.add(name, source("module"))


@hostile(KIND)
def path_file(draft: Draft) -> None:
    """A .pth file of Python's site module."""
    draft.add("charger.pth", b"import os; os.system('id')\n")


@hostile(KIND)
def shared_library(draft: Draft) -> None:
    """A compiled library."""
    draft.add("data/charger.so", b"\x7fELF" + bytes(60))


@hostile(KIND)
def object_array(draft: Draft) -> None:
    """An array of objects as a further file."""
    import io

    import numpy as np

    out = io.BytesIO()
    np.save(out, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    draft.add(draft.dice.choice(("data/mean.npy", "extra_files/mean.npy")), out.getvalue())


@hostile(KIND)
def configuration_of_pip(draft: Draft) -> None:
    """Configuration that tools read from a working folder."""
    name = draft.dice.choice(("pip.conf", "setup.py", "pyproject.toml", ".condarc", ".env", "uv.toml"))
    draft.add(name, b"[global]\nindex-url = https://example.org\n")


@hostile(KIND)
def provenance(draft: Draft) -> None:
    """A provenance in the gate's own form, forged."""
    draft.add("provenance.json", b'{"made_by": "gate 0.1.0", "parent": "x", "parent_digest": "sha256:0"}')


@hostile(KIND)
def architecture_beside(draft: Draft) -> None:
    """The name of an architecture beside a program that has a graph of its own."""
    draft.add("data/architecture.json", b'{"name": "cnn", "config": {}}')


@hostile(KIND)
def pickle_module_beside(draft: Draft) -> None:
    """The name of a pickle module beside an exported program."""
    draft.program  # noqa: B018  # beside an exported program
    draft.add("data/pickle_module_info.txt", b"mlflow.pytorch.pickle_module")


@hostile(KIND)
def empty_file(draft: Draft) -> None:
    """An empty file of a name that no MLflow writes."""
    draft.add(draft.dice.choice(("data/.keep", ".gitattributes", "_SUCCESS", "data/model.pt2.sha256")), b"")


@hostile(KIND)
def no_environment(draft: Draft) -> None:
    """An environment file that MLmodel names and that is absent."""
    gone = draft.dice.choice(("requirements.txt", "conda.yaml", "python_env.yaml"))
    if draft.files.pop(gone, None) is None:
        raise InapplicableError(f"no {gone}")
