"""Outputs in a computed shape: with another number of samples it is another one, and so is what is chosen along it."""

import torch
from exported_families import export
from hostile_archives import edited, graph
from torch import nn

from gate.programs import read_program
from gate.programs.decisions import Chains

SAMPLES, CLASSES = 2, 5


class _Chosen(nn.Module):
    """Returns class scores, and the choice of the same scores in another form."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x):
        """Return scores and choice."""
        scores = self.fc(x)
        return scores, scores.view(x.shape[0], -1).argmax(1)


def _same(path):
    program = read_program(path)
    with torch.no_grad():
        _, values = program.run(torch.rand(SAMPLES, 4), taps=Chains.names(program))
    return Chains(program, values, SAMPLES).same(*program.output_names)


def _node(name, target, *arguments):
    return {
        "target": target,
        "inputs": [{"name": key, "arg": value, "kind": 1} for key, value in zip("ab", arguments, strict=True)],
        "outputs": [{"as_sym_int": {"as_name": name}}],
        "metadata": {},
        "is_hop_single_tensor_return": None,
        "name": name,
    }


def test_a_choice_in_a_computed_shape_is_not_the_same_decision(tmp_path):
    """Two samples are laid in two rows, one in as many as there are classes: whose first is always the first class."""
    good = export(_Chosen().eval(), (4,), tmp_path / "good.pt2")
    assert _same(good)

    def edit(document):
        nodes = graph(document)["nodes"]
        place = next(index for index, node in enumerate(nodes) if ".view." in node["target"])
        size = next(given for given in nodes[place]["inputs"] if given["name"] == "size")["arg"]["as_sym_ints"][0]
        counted = {"as_sym_int": {"as_name": size["as_name"]}}
        size["as_name"] = "rows"
        odd = {"as_sym_int": {"as_name": "odd"}}
        more = {"as_sym_int": {"as_name": "more"}}
        nodes[place:place] = [
            _node("odd", "_operator.mod", counted, {"as_int": SAMPLES}),
            _node("more", "_operator.mul", odd, {"as_int": CLASSES - 1}),
            _node("rows", "_operator.add", counted, more),
        ]
        graph(document)["sym_int_values"].update({name: {"as_int": SAMPLES} for name in ("odd", "more", "rows")})

    hostile = edited(good, tmp_path / "hostile.pt2", edit)
    scores, chosen = read_program(hostile)(torch.rand(1, 4))
    assert chosen.tolist() == [0] * CLASSES
    assert scores.shape == (1, CLASSES)
    assert not _same(hostile)
