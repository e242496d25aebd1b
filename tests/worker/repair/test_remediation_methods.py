import subprocess
import sys

import made_up_repairs as made_up
import pytest
import torch

from gate.programs.writer.write import write_program
from gate.records.errors import UsageError
from gate.worker import repair as remediation
from gate.worker.repair.attempt import repaired_by
from gate.worker.repair.tuning import divergence


def test_the_order_names_every_file_of_the_folder():
    """Each method's id is its file's name."""
    from pathlib import Path

    from gate.worker.repair import methods

    files = {path.stem for path in Path(methods.__file__).parent.glob("[a-z]*.py")}
    assert files == {name.replace("-", "_") for name in remediation.ORDER}
    assert [remediation.load(name).id for name in remediation.ORDER] == list(remediation.ORDER)


def test_a_method_is_described_without_torch():
    """A command lists methods and their options in a process that never imports torch."""
    code = (
        "import sys; from gate.worker.repair import ORDER, load; [load(n).options() for n in ORDER]; assert len(ORDER)"
    )
    code += "; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_method_is_a_usage_error_that_lists_the_known():
    """The user learns which ids there are."""
    with pytest.raises(UsageError, match="unknown repair method 'retrain'; expected one of trigger-unlearning"):
        remediation.load("retrain")


@pytest.mark.parametrize("name", remediation.for_space("images"))
def test_a_repair_is_a_function_of_its_seed_and_leaves_the_original_alone(name, zoo_model, zoo_images, tmp_path):
    """Twice the same gives the same finite tensors on the same graph, which can be written; the parent stays."""
    method = remediation.load(name)
    options = method.options.model_validate(made_up.QUICK[name])
    material = made_up.material(zoo_model("blended"), zoo_images("scan"))
    before = {key: tensor.clone() for key, tensor in material.program.tensors.items()}
    one, two = (repaired_by(method, material, options, made_up.RUN) for _ in range(2))
    assert all(torch.equal(material.program.tensors[key], tensor) for key, tensor in before.items())
    assert all(torch.equal(one.program.tensors[key], two.program.tensors[key]) for key in before)
    assert any(not torch.equal(one.program.tensors[key], tensor) for key, tensor in before.items())
    assert all(torch.isfinite(one.program.tensors[key]).all() for key in before)
    assert one.program.nodes is material.program.nodes
    assert one.changed
    write_program(one.program, tmp_path / "repaired.pt2")
    assert (tmp_path / "repaired.pt2").stat().st_size > 0


def test_a_model_that_was_exported_for_one_image_is_tuned_in_batches(zoo_model, zoo_images):
    """The baked batch size is made free for the repair, and the graph that comes back is the parent's own."""
    method = remediation.load("sharpness-aware-tuning")
    model = zoo_model("all-to-all")
    material = made_up.material(model, zoo_images("scan"), triggers={})
    assert material.program.inputs[0].shape[0] == 1
    repaired = method.repair(material, method.options(steps=1), made_up.RUN)
    assert repaired.program.nodes is material.program.nodes
    assert repaired.program(zoo_images("scan").inputs[:1]).shape == (1, 10)


def test_a_divergence_is_nought_at_the_teachers_answers_and_grows_away_from_them():
    """Logits count up to a constant, and a temperature's square keeps the scale of gradients."""
    taught = torch.tensor([[2.0, 0.0, -1.0], [0.0, 1.0, 0.0]])
    assert float(divergence(taught + 3, taught, 2.0)) == pytest.approx(0, abs=1e-6)
    near, far = (float(divergence(taught + step * torch.eye(2, 3), taught, 2.0)) for step in (0.5, 2.0))
    assert 0 < near < far
    hot = float(divergence(taught + 0.01 * torch.eye(2, 3), taught, 50.0))
    assert hot == pytest.approx(0.01**2 / 2 * (1 / 3 - 1 / 9), rel=0.05)
