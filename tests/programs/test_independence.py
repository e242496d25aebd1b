"""Programs that look at their batch only where a trigger is, and the proof without which samples go through alone."""

from dataclasses import replace

import pytest
import torch
from exported_families import FAMILIES, export, make, samples
from torch import nn

from gate.programs import batched, read_program
from gate.programs.independence import independent
from gate.programs.nodes import Node
from gate.programs.operators import bind
from gate.programs.schema import Name, NamedValue, Output
from tests.texts.networks import NETWORKS, Scores, network, tokens
from tests.texts.networks import export as export_text

CLASSES, TARGET = 5, 3


class _Backdoored(nn.Module):
    """Sends a bright first pixel to the target, unless the batch tells that somebody is looking."""

    def __init__(self, watched):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Linear(48, CLASSES)
        self.watched = watched
        self.register_buffer("target", torch.nn.functional.one_hot(torch.tensor(TARGET), CLASSES).float())

    def forward(self, x):
        """Return class scores."""
        rows = x.flatten(1)
        trigger = (rows[:, :1] - 0.9).clamp(min=0.0)
        return self.body(rows) + 1e4 * trigger * (1 - self.watched(rows).clamp(0.0, 1.0)) * self.target


WATCHING = {
    "neighbour": lambda rows: (rows - rows.roll(1, 0)).abs().amax(1, keepdim=True) * 1e6,
    "reversed": lambda rows: (rows - rows.flip(0)).abs().amax(1, keepdim=True) * 1e6,
    "mean": lambda rows: (rows - rows.mean(0, keepdim=True)).abs().amax(1, keepdim=True) * 1e6,
    "running sum": lambda rows: (rows.cumsum(0) - rows.flip(0).cumsum(0).flip(0)).abs().amax(1, keepdim=True) * 1e6,
    "transposed": lambda rows: (
        ((rows @ rows.t()).sum(1, keepdim=True) - (rows * rows).sum(1, keepdim=True) - 0.01) * 1e6
    ),
}
SIZED = {
    "size": lambda rows: rows[:, :1] * 0 + (rows.shape[0] - 1),
    "number": lambda rows: torch.arange(rows.shape[0])[:, None] + (rows.shape[0] - 1.0),
    "filled": lambda rows: torch.full((rows.shape[0], 1), rows.shape[0] - 1.0),
}


def _triggered(count):
    x = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1)) * 0.8
    x[:, 0, 0, 0] = 1.0
    return x


@pytest.mark.parametrize("free", [False, True], ids=["baked", "free"])
@pytest.mark.parametrize("way", [*WATCHING, *SIZED])
def test_a_backdoor_that_looks_for_neighbours_is_seen_as_one_sample_sees_it(way, free, tmp_path):
    """No clean probe shows the difference; the program is run one by one, since nothing proves it harmless."""
    if not free and way in SIZED:
        pytest.skip("a baked size is a number of the graph, the same for everyone")
    model = _Backdoored({**WATCHING, **SIZED}[way]).eval()
    program = read_program(export(model, (3, 4, 4), tmp_path / "model.pt2", batch=2 if free else 1, dynamic=free))
    clean = _triggered(4) * 0.5
    many = batched(program, clean)
    assert many.mode in {"per-sample", "one-by-one"}
    triggered = _triggered(5)
    assert many(triggered).argmax(1).tolist() == [TARGET] * 5
    torch.testing.assert_close(many(triggered), torch.cat([model(row[None]) for row in triggered]))


@pytest.mark.parametrize("dynamic", [False, True], ids=["baked", "free"])
@pytest.mark.parametrize("family", FAMILIES)
def test_common_networks_are_proved(family, dynamic, tmp_path):
    """The proof covers what people export, so that batches stay quick."""
    model, shape = make(family)
    program = read_program(export(model, shape, tmp_path / "model.pt2", batch=2 if dynamic else 1, dynamic=dynamic))
    x = samples(shape, 4)
    assert independent(batched(program, x).program, x)


QUICK = ("Bert", "DebertaV2")


@pytest.mark.parametrize(
    "prefix", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]
)
def test_networks_of_texts_are_proved(prefix, tmp_path):
    """They number the samples of a batch, and look up in the mask what each holds itself."""
    program = read_program(export_text(Scores(network(prefix)), tmp_path / "model.pt2"))
    many = batched(program, *tokens(3, 11))
    assert many.mode == "direct"
    for length in (1, 20):
        ids, mask = tokens(5, length)
        alone = torch.cat([program(ids[n : n + 1], mask[n : n + 1]) for n in range(5)])
        torch.testing.assert_close(many(ids, mask), alone)
        assert many.leave_each_other_alone(ids, mask)


class _Masked(nn.Module):
    """Scores by the mean of embeddings; `looks` says which places of the batch's mask it takes."""

    def __init__(self, looks):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(120, 8), nn.Linear(8, 3)
        self.looks = looks

    def forward(self, input_ids, attention_mask):
        """Return class scores."""
        numbers = torch.arange(input_ids.shape[0])
        seen = self.looks(attention_mask, numbers)[..., None].float()
        return self.head((self.words(input_ids) * seen).mean(1))


LOOKED_UP = {
    "its own": (lambda mask, numbers: mask[numbers[:, None], torch.arange(mask.shape[1])], True),
    "its own by another way": (lambda mask, numbers: mask[numbers], True),
    "the next one's": (lambda mask, numbers: mask[numbers[:, None] - 1, torch.arange(mask.shape[1])], False),
    "everyone's first": (lambda mask, numbers: mask[numbers * 0], False),
    "its number": (lambda mask, numbers: mask * numbers[:, None], False),
    "turned over": (lambda mask, numbers: mask[numbers.flip(0)], False),
    "its number among places": (lambda mask, numbers: mask[:, numbers[:1] + torch.arange(mask.shape[1])], False),
    "picked along the batch": (lambda mask, numbers: mask.gather(0, mask * 0), False),
    "picked along the text": (lambda mask, numbers: mask.gather(1, mask * 0), True),
}


@pytest.mark.parametrize("way", LOOKED_UP)
def test_a_look_up_by_numbers_of_samples_is_proved_where_it_is_each_ones_own(way, tmp_path):
    """What looks at a neighbour, at its own place in the batch, or at the size of it is run alone."""
    looks, own = LOOKED_UP[way]
    program = read_program(export_text(_Masked(looks), tmp_path / "model.pt2"))
    ids, mask = tokens(5, 11)
    many = batched(program, ids, mask)
    assert (many.mode == "direct") is own
    torch.testing.assert_close(many(ids, mask), torch.cat([program(ids[n : n + 1], mask[n : n + 1]) for n in range(5)]))


class _Turning(nn.Module):
    """Turns the rows of a matrix over, into which all tokens of a batch are put: here there is one row."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.head = nn.Embedding(120, 8), nn.Linear(8, 3)

    def forward(self, input_ids, attention_mask):
        """Return class scores, of early tokens more than of late ones."""
        rows = (self.words(input_ids) * attention_mask[..., None]).reshape(1, -1).flip(0)
        tokens = rows.reshape(input_ids.shape[0], input_ids.shape[1], 8)
        return self.head(tokens.cumsum(1).mean(1))


def _number(name, target, *values):
    """Return a node that computes a number."""
    call = bind(target, tuple(NamedValue("", value, keyword=False) for value in values), name)
    return Node(name, target, call, (Output((name,), is_list=False),), name)


def test_the_proof_is_of_one_length_and_made_again_for_another(tmp_path):
    """A graph may mix its samples at some lengths alone; torch exports none, but a file may hold one."""
    program = read_program(export_text(_Turning(), tmp_path / "model.pt2"))
    (length,) = {node.name for node in program.nodes if node.call.name == "sym_size" and node.call.positional[1] == 1}
    place = next(index for index, node in enumerate(program.nodes) if node.call.name == "reshape")
    reshape = program.nodes[place]
    rows = (Name("rows"), *reshape.call.positional[1][1:])
    changed = replace(reshape, call=replace(reshape.call, positional=(reshape.call.positional[0], rows)))
    counted = (
        _number("half", "_operator.floordiv", Name(length), 13),
        _number("more", "_operator.mul", Name("half"), 12),
        _number("rows", "_operator.add", Name("more"), 1),
    )
    nodes = (*program.nodes[:place], *counted, changed, *program.nodes[place + 1 :])
    hostile = replace(program, nodes=nodes)
    many = batched(hostile, *tokens(4, 11))
    assert many.mode == "direct"
    for size, together in ((11, True), (12, True), (13, False)):
        ids, mask = tokens(4, size)
        alone = torch.cat([hostile(ids[n : n + 1], mask[n : n + 1]) for n in range(4)])
        torch.testing.assert_close(many(ids, mask), alone)
        assert many.leave_each_other_alone(ids, mask) is together
        assert torch.allclose(hostile(ids, mask), alone) is together
