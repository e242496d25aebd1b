"""What the detector of unsafe formats says, beyond the corpus: options, templates, data beside a model."""

import json

import pytest

from gate.formats.gguf import template_hazards
from tests.corpus import formats
from tests.corpus.case import folder
from tests.corpus.measuring import measure, notes, total

ESCAPES = (
    "{{ x.__class__ }}",
    "{{ x['__class__'] }}",
    "{{ x|attr('cl' ~ 'ass') }}",
    "{{ lipsum.x }}",
    "{% include '/etc/passwd' %}",
    "{{ x['\\x5f\\x5fclass'] }}",
    "{{ cycler.next }}",
    "{{ a.b.popen('x') }}",
    "{{ x | map(attribute='y') }}",
    "{{ x.__class__",
)
PLAIN = (
    formats.PLAIN_TEMPLATE,
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system, os. or import') }}{% endif %}",
    "{% set ns = namespace(found=false) %}{{ strftime_now('%d %b %Y') }}{{ tools | tojson(indent=4) }}",
    "text with __dunder__ outside of any expression",
)


@pytest.mark.parametrize("template", ESCAPES)
def test_a_template_that_reaches_objects_is_seen(template):
    """Dunders, attr filters, escapes, includes and Jinja's own openings count."""
    assert list(template_hazards(template)) != []


@pytest.mark.parametrize("template", PLAIN)
def test_a_template_that_formats_messages_is_not(template):
    """What chat templates of published models do is no construct."""
    assert list(template_hazards(template)) == []


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


def test_a_gguf_file_is_known_by_its_bytes(tmp_path):
    """Likewise for GGUF."""
    folder(tmp_path, {"data/model.bin": formats.gguf(ESCAPES[0])})
    assert total(measure(tmp_path, "unsafe-format"), "code-constructs") == 1


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
