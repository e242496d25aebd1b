"""Whole language models by their files: which are its own, and weights that two loaders would read apart."""

import json

import pytest
import yaml
from safetensors.numpy import save_file

from gate.formats.adapters.adapter import mlmodel_of
from gate.formats.language.places import FLAVOUR, LOGGED, is_logged, surplus_alone
from gate.formats.language.whole import language_faults, read_whole
from gate.formats.mlflow_folder import unexpected_files
from gate.formats.other_flavours import foreign_to
from gate.formats.source import UnreadableError
from tests.adapters.written import Draft, base_tensors, write_base

INDEX = "model.safetensors.index.json"


def paths_of(root):
    """Return the files below a folder."""
    return [str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()]


def read(root):
    """Return the language model in a folder."""
    return read_whole(root, paths_of(root))


def in_parts(root, changes=lambda _index: None):
    """Write the weights into two files with their index."""
    folder, tensors = root / "model", base_tensors()
    (folder / "model.safetensors").unlink()
    names = sorted(tensors)
    halves = {"model-00001-of-00002.safetensors": names[::2], "model-00002-of-00002.safetensors": names[1::2]}
    for file, held in halves.items():
        save_file({name: tensors[name] for name in held}, folder / file)
    index = {"metadata": {}, "weight_map": {name: file for file, held in halves.items() for name in held}}
    changes(index["weight_map"])
    (folder / INDEX).write_text(json.dumps(index))
    return root


def test_a_logged_model_is_read_with_its_facts(tmp_path):
    """Its class, its tensors and their type; MLmodel holds no key and the folder no file that is not MLflow's."""
    root = write_base(tmp_path / "m")
    found = read(root)
    assert found.facts.network == "LlamaForCausalLM"
    assert (found.facts.tensors, found.facts.number_types) == (len(base_tensors()), ("F32",))
    declared = mlmodel_of(root)
    assert is_logged(declared)
    assert list(foreign_to(declared, FLAVOUR)) == []
    assert list(unexpected_files(paths_of(root), declared, FLAVOUR)) == []


ELSEWHERE = {
    "local_base_model_path": "/srv/other",
    "source_model_revision": "0" * 40,
    "tokenizer_name": "somebody/other",
    "tokenizer_revision": "0" * 40,
}


@pytest.mark.parametrize("key", ELSEWHERE)
def test_a_key_by_which_a_loader_looks_elsewhere_is_told(tmp_path, key):
    """MLflow writes these where it saves no weights, and then loads none of the artifact's."""
    root = write_base(tmp_path)
    written = yaml.safe_load((root / "MLmodel").read_text())
    written["flavors"]["transformers"][key] = ELSEWHERE[key]
    (root / "MLmodel").write_text(yaml.safe_dump(written))
    (told,) = foreign_to(mlmodel_of(root), FLAVOUR)
    assert told.key == f"transformers.{key}"


def test_every_key_by_which_mlflow_looks_elsewhere_is_known():
    """Beside the release that the grammar was taken from."""
    keys = pytest.importorskip("mlflow.transformers.flavor_config").FlavorKey
    names = {keys.MODEL_REVISION, keys.MODEL_LOCAL_BASE}
    names |= {pattern.format("tokenizer") for pattern in (keys.COMPONENT_NAME, keys.COMPONENT_REVISION)}
    assert names == set(ELSEWHERE)
    assert not names & set(FLAVOUR.keys)


def test_weights_in_parts_are_read_by_their_index(tmp_path):
    """As transformers loads them: each tensor from the file that the index names."""
    assert set(read(in_parts(write_base(tmp_path))).model.weights) == set(base_tensors())


def test_an_adapter_and_another_network_are_none(tmp_path):
    """An adapter has its own reader, and a network of another kind lies alone without being taken for one."""
    assert read(Draft().write(tmp_path / "adapter")) is None
    alone = tmp_path / "alone"
    alone.mkdir()
    save_file(base_tensors(), alone / "model.safetensors")
    (alone / "config.json").write_text(json.dumps({"architectures": ["ViTForImageClassification"]}))
    assert read(alone) is None
    (alone / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"]}))
    assert read(alone).place.is_alone
    assert list(surplus_alone(["config.json", "model.safetensors", "README.md"])) == []


SURPLUS = (
    ("model/adapter_model.safetensors", "transformers would put an adapter onto the model"),
    ("model/modeling_own.py", "code of the model's own is never run"),
    ("model/pytorch_model.bin", "it may be a pickle"),
    ("model/other.safetensors", "MLflow writes no such file"),
)


@pytest.mark.parametrize(("path", "why"), SURPLUS)
def test_files_that_a_loader_might_take_are_named(tmp_path, path, why):
    """A positive list of files: an adapter beside weights is put onto them as they are loaded."""
    root = write_base(tmp_path)
    ((where, said),) = unexpected_files([*paths_of(root), path], mlmodel_of(root), FLAVOUR)
    assert where == path
    assert why in said


def gone(weight_map):
    """Leave a tensor out of the index."""
    weight_map.pop(min(weight_map))


def swapped(weight_map):
    """Say of a tensor that it lies in the other file."""
    name = min(weight_map)
    weight_map[name] = "model-00002-of-00002.safetensors"


def elsewhere(weight_map):
    """Name a file that is not there."""
    weight_map["extra"] = "model-00003-of-00003.safetensors"


@pytest.mark.parametrize("changes", [gone, swapped, elsewhere])
def test_an_index_that_is_not_what_the_files_hold_is_a_fault(tmp_path, changes):
    """Two loaders could load other tensors."""
    root = in_parts(write_base(tmp_path), changes)
    with pytest.raises(UnreadableError, match=INDEX):
        read(root)


def test_one_file_beside_parts_is_a_fault(tmp_path):
    """Transformers loads the one file, and another loader may load the parts."""
    root = in_parts(write_base(tmp_path))
    save_file(base_tensors(), root / "model" / "model.safetensors")
    faults = dict(language_faults(root, LOGGED, paths_of(root)))
    assert len(faults) == 3
    assert all("is loaded in its place" in why for why in faults.values())


def test_another_class_in_mlmodel_is_a_fault(tmp_path):
    """MLflow's loader takes that one, and from a hub where transformers has none of the name."""
    root = write_base(tmp_path)
    text = (root / "MLmodel").read_text()
    (root / "MLmodel").write_text(text.replace("LlamaForCausalLM", "GemmaForCausalLM"))
    with pytest.raises(UnreadableError, match="pipeline_model_type is 'GemmaForCausalLM'"):
        read(root)


@pytest.mark.parametrize("config", [{}, {"architectures": ["LlamaForCausalLM", "Other"]}, {"architectures": "x"}])
def test_a_configuration_without_one_network_is_a_fault(tmp_path, config):
    """MLmodel says that it is a language model, and its configuration does not say which."""
    root = write_base(tmp_path)
    (root / "model" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UnreadableError, match="no single language model"):
        read(root)
