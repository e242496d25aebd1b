"""What the detector of unsafe formats says, beyond the corpus: options, templates, data beside a model."""

import json

import pytest

from tests.corpus import formats
from tests.corpus.case import folder
from tests.corpus.measuring import measure, notes, total


def test_tensor_data_beside_the_model_are_no_reference_outside(tmp_path):
    """External data that lie in the artifact pass; the same model without them does not."""
    model = formats.onnx(location=b"weights.bin")
    folder(tmp_path, {"data/model.onnx": model, "data/weights.bin": b"\x00" * 8})
    assert total(measure(tmp_path, "unsafe-format"), "external-references") == 0
    (tmp_path / "data" / "weights.bin").unlink()
    found = notes(measure(tmp_path, "unsafe-format"), "external-references")
    assert found == {"data/model.onnx": "tensor data at 'weights.bin'"}


def test_a_policy_may_allow_an_operator_domain(tmp_path):
    """An allowed ONNX domain does not count."""
    folder(tmp_path, {"data/model.onnx": formats.onnx(domain=b"com.own")})
    assert notes(measure(tmp_path, "unsafe-format"), "code-constructs") == {"data/model.onnx": "operator com.own.PyOp"}
    assert total(measure(tmp_path, "unsafe-format", allowed_onnx_domains=("com.own",)), "code-constructs") == 0


def test_an_onnx_model_is_known_by_its_bytes(tmp_path):
    """A model under another ending is read all the same."""
    folder(tmp_path, {"data/model.bin": formats.onnx(domain=b"com.own")})
    assert total(measure(tmp_path, "unsafe-format"), "code-constructs") == 1


@pytest.mark.parametrize(
    ("path", "content", "what"),
    [
        ("data/model.bin", formats.gguf(formats.PLAIN_TEMPLATE), "a GGUF file"),
        ("data/model.gguf", b"anything", "a GGUF file"),
        ("data/weights.bin", formats.old_keras({"class_name": "ReLU", "config": {}}), "an HDF5 file"),
        ("data/model.h5", b"anything", "an HDF5 file"),
        ("data/saved_model.pb", b"anything", "a TensorFlow graph"),
        ("data/chat_template.jinja", formats.PLAIN_TEMPLATE.encode(), "a template"),
    ],
)
def test_a_format_that_the_gate_does_not_read_is_told_whatever_it_holds(tmp_path, path, content, what):
    """By its ending or its first bytes: what nobody looks into is never passed over in silence."""
    folder(tmp_path, {path: content})
    found = notes(measure(tmp_path, "unsafe-format"), "unreadable-files")
    assert found == {path: f"{what}, which the gate does not read"}


@pytest.mark.parametrize("template", [formats.PLAIN_TEMPLATE, "{{ x.__class__ }}"])
def test_a_chat_template_is_a_program(tmp_path, template):
    """It runs where a tokenizer is loaded, and the gate does not read it: its being there counts."""
    folder(tmp_path, {"data/tokenizer_config.json": json.dumps({"chat_template": template}).encode()})
    found = notes(measure(tmp_path, "unsafe-format"), "code-constructs")
    assert found == {"data/tokenizer_config.json": f"chat_template: {template[:100]}"}


@pytest.mark.parametrize("layer", ["Lambda", "Charger", "Dense"])
def test_weights_of_a_keras_archive_hold_no_configuration(tmp_path, layer):
    """Keras writes numbers there; what else stands in them could be built by a loader of the older form."""
    members = {
        "config.json": json.dumps(formats.keras_config(formats.RELU)).encode(),
        "model.weights.h5": b"\x89HDF" + bytes(99),
    }
    folder(tmp_path / "plain", {"data/model.keras": formats.zipped(members)})
    assert total(measure(tmp_path / "plain", "unsafe-format"), "code-constructs") == 0
    members["model.weights.h5"] = formats.old_keras({"class_name": layer, "config": {}})
    folder(tmp_path / "hidden", {"data/model.keras": formats.zipped(members)})
    found = notes(measure(tmp_path / "hidden", "unsafe-format"), "code-constructs")
    assert found == {"data/model.keras": "a configuration among the weights model.weights.h5"}


def test_examples_with_not_a_number_are_no_fault(tmp_path):
    """JSON that no loader interprets is not held against a stricter JSON."""
    folder(tmp_path, {"input_example.json": b"[NaN, 1]"})
    assert total(measure(tmp_path, "unsafe-format"), "unreadable-files") == 0


def test_a_configuration_that_says_one_key_twice_is_unreadable(tmp_path):
    """Two readers could take different ones."""
    folder(tmp_path, {"data/config.json": b'{"auto_map": null, "auto_map": {"A": "m.A"}}'})
    assert total(measure(tmp_path, "unsafe-format"), "unreadable-files") == 1


def test_a_deeply_nested_configuration_is_unreadable(tmp_path):
    """Depth is bounded before Python's own recursion is."""
    deep = '{"config":' * 400 + "1" + "}" * 400
    folder(tmp_path, {"data/model.keras": formats.zipped({"config.json": deep.encode()})})
    assert total(measure(tmp_path, "unsafe-format"), "unreadable-files") == 1


def test_each_construct_counts(tmp_path):
    """The value is the number of constructs in the file."""
    layers = [{"class_name": "Lambda", "config": {}} for _ in range(3)]
    config = json.dumps({"class_name": "Sequential", "config": {"layers": layers}}).encode()
    folder(tmp_path, {"data/model.keras": formats.zipped({"config.json": config})})
    assert total(measure(tmp_path, "unsafe-format"), "code-constructs") == 3


def test_templates_are_left_to_the_detector_that_reads_them(tmp_path):
    """By an option alone; without it, each counts."""
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "tokenizer_config.json").write_text('{"chat_template": "{{ messages }}"}')
    found = measure(tmp_path, "unsafe-format")
    assert (total(found, "unreadable-files"), total(found, "code-constructs")) == (1, 1)
    left = measure(tmp_path, "unsafe-format", chat_templates=True)
    assert (total(left, "unreadable-files"), total(left, "code-constructs")) == (0, 0)
