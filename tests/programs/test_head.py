import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import final_linear, logits_name, read_program

HEADS = {
    "lenet": "fc2.weight", "resnet": "fc.weight", "vgg": "12.weight", "mobilenet": "head.1.weight",
    "squeeze-excite": "head.weight", "vit": "head.weight", "unet": "head.weight", "mlp": "6.weight",
    "convnext": "head.weight", "lstm": "head.weight", "normalising": "head.weight",
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_the_final_linear_layer_maps_its_features_to_the_logits(family, tmp_path):
    """Weight, bias and features that were found give the logits by one matrix product, softmax or not."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    head = final_linear(program)
    assert head.weight == HEADS[family]
    logits = logits_name(program)
    _, taps = program.run(samples(shape, 3), taps={head.features, logits})
    weight = program.parameters[head.weight].reshape(head.num_classes, head.num_features)
    expected = taps[head.features].flatten(1) @ weight.T + program.parameters[head.bias]
    torch.testing.assert_close(taps[logits], expected)


@pytest.mark.filterwarnings("ignore:.*LeafSpec.*:FutureWarning")  # torch's own, inside its decompositions
def test_a_decomposed_export_has_the_same_head(tmp_path):
    """After torch's own decompositions (addmm of a transposed weight) the layer and its shape are still found."""
    model, shape = make("resnet")
    exported = torch.export.export(model, (samples(shape, 2),)).run_decompositions()
    torch.export.save(exported, tmp_path / "model.pt2")
    program = read_program(tmp_path / "model.pt2")
    x = samples(shape, 2)
    torch.testing.assert_close(program(x), model(x), rtol=1e-4, atol=1e-5)
    head = final_linear(program)
    assert (head.weight, head.bias, head.num_classes, head.num_features) == ("fc.weight", "fc.bias", 10, 128)


def test_an_output_that_is_no_linear_layer_has_no_head(tmp_path):
    """A network that ends in an activation is not given features that it does not have."""
    model = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    assert final_linear(read_program(export(model, (4,), tmp_path / "model.pt2"))) is None


def test_scores_averaged_over_positions_are_said_to_be(tmp_path):
    """A fully convolutional head is found before the pooling that follows it."""
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ).eval()
    head = final_linear(read_program(export(model, (3, 8, 8), tmp_path / "model.pt2")))
    assert (head.convolution, head.averaged, head.num_classes) == (True, True, 5)
