import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import RefusedError, read_program, trainable


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"vgg", "normalising", "resnet"}))
def test_a_fresh_program_learns(family, tmp_path):
    """Every parameter gets a gradient, and a few steps on fixed labels lower the loss well below its start."""
    model, shape = make(family)
    module = trainable(read_program(export(model, shape, tmp_path / "model.pt2")), seed=3)
    x, labels = samples(shape, 16), torch.arange(16) % 4
    optimiser = torch.optim.Adam(module.parameters(), 3e-3)
    losses = []
    for _ in range(25):
        loss = nn.functional.cross_entropy(module(x), labels)
        optimiser.zero_grad()
        loss.backward()
        assert all(parameter.grad is not None for parameter in module.parameters())
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    module.eval()
    torch.testing.assert_close(module(x), module.to_program()(x))


def test_fresh_values_depend_on_the_seed_alone_and_not_on_the_candidate(tmp_path):
    """The candidate's weights leave no trace: other weights and the same seed give the same start."""
    first, shape = make("mobilenet", seed=1)
    second, _ = make("mobilenet", seed=2)
    programs = [
        read_program(export(model, shape, tmp_path / f"{seed}.pt2")) for seed, model in enumerate((first, second))
    ]
    one, two = (trainable(program, seed=5) for program in programs)
    for (name, left), (_, right) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        torch.testing.assert_close(left, right, msg=name)
    other = trainable(programs[0], seed=6)
    assert any(not torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_norms_start_at_one_and_batch_statistics_learn_in_training_mode_only(tmp_path):
    """Scale is one, shift zero, running statistics start anew, move while training, and rest in eval mode."""
    model, shape = make("mlp")
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    module = trainable(program, seed=0)
    by_name = {entry.qualified_name: getattr(module, module.places[entry.name]) for entry in program.state}
    assert torch.equal(by_name["1.weight"].detach(), torch.ones(32))
    assert torch.equal(by_name["1.bias"].detach(), torch.zeros(32))
    mean = by_name["1.running_mean"]
    assert torch.equal(mean, torch.zeros(32))
    x = samples(shape, 8)
    assert not torch.equal(module(x), module(x)), "dropout should drop in training mode"
    assert mean.abs().sum() > 0
    module.eval()
    before = mean.clone()
    torch.testing.assert_close(module(x), module(x))
    assert torch.equal(mean, before)


def test_a_program_without_parameters_cannot_be_trained(tmp_path):
    """There is nothing to give a fresh value to, and the refusal says so."""
    with pytest.raises(RefusedError, match="none that could be trained"):
        trainable(read_program(export(nn.ReLU(), (4,), tmp_path / "model.pt2")), seed=0)


def test_kept_values_are_copies_that_train_while_the_program_stays(tmp_path):
    """With `keep` a module gives what its program gives, and a step changes the module alone."""
    model, shape = make("mlp")
    program = read_program(export(model, shape, tmp_path / "model.pt2"))
    before = {name: tensor.clone() for name, tensor in program.tensors.items()}
    module = trainable(program, seed=0, keep=True).eval()
    x, labels = samples(shape, 8), torch.arange(8) % 4
    torch.testing.assert_close(module(x), program(x))
    module.train()
    nn.functional.cross_entropy(module(x), labels).backward()
    torch.optim.SGD(module.parameters(), 0.1).step()
    trained = module.to_program()
    assert all(torch.equal(program.tensors[name], tensor) for name, tensor in before.items())
    assert any(not torch.equal(trained.tensors[name], tensor) for name, tensor in before.items())
    assert trained.nodes is program.nodes
