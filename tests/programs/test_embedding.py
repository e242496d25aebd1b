"""Programs of token ids split at their embedding: the same scores from embeddings on, and gradients in them."""

import pytest
import torch
from torch import nn

from gate.programs import RefusedError, batched, read_program
from gate.programs.embedding import split_at_embedding
from tests.texts.networks import NETWORKS, PADDING, VOCABULARY, Scores, export, network, tokens

QUICK = ("Bert", "Roberta", "DebertaV2")
EVERY = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in NETWORKS]


def exported(module, path, **settings):
    """Return the program of a module."""
    return read_program(export(module, path / "model.pt2", **settings))


@pytest.mark.parametrize("prefix", EVERY)
def test_both_ways_give_the_same_logits(prefix, tmp_path):
    """For any number and length of texts, padding included."""
    program = exported(Scores(network(prefix)), tmp_path)
    split = split_at_embedding(program, PADDING[prefix])
    assert split.matrix.shape[0] == VOCABULARY
    for count, length in ((3, 11), (1, 1), (4, 37)):
        ids, mask = tokens(count, length, PADDING[prefix])
        assert torch.equal(split.program(split.matrix[ids], mask), program(ids, mask))


def test_gradients_reach_tokens_and_no_padding(tmp_path):
    """The split program is differentiable and takes batches like any other."""
    split = split_at_embedding(exported(Scores(network("Bert")), tmp_path), 0)
    ids, mask = tokens(3, 9)
    embeddings = split.matrix[ids].requires_grad_()
    many = batched(split.program, embeddings.detach(), mask)
    assert many.mode == "direct"
    (slopes,) = torch.autograd.grad(many(embeddings, mask)[:, 0].sum(), embeddings)
    assert float(slopes[mask == 1].abs().amax(1).min()) > 0
    assert float(slopes[mask == 0].abs().max()) == 0


class Bag(nn.Module):
    """The mean of embeddings, of ids alone or with a mask; `looks` is what else it does with the ids."""

    def __init__(self, looks=lambda ids, rows: rows):
        super().__init__()
        torch.manual_seed(0)
        self.words, self.others = nn.Embedding(VOCABULARY, 8), nn.Embedding(VOCABULARY, 8)
        self.head = nn.Linear(8, 3)
        self.looks = looks

    def forward(self, input_ids):
        """Return class scores."""
        seen = (input_ids != 0).float()
        rows = self.looks(input_ids, self.words(input_ids)) * seen[..., None]
        return self.head(rows.sum(1) / seen.sum(1, keepdim=True).clamp(min=1))


def test_a_program_of_ids_alone_is_given_a_mask(tmp_path):
    """It finds the padding by its id, which a mask says without ids."""
    ids, mask = tokens(3, 9)
    program = exported(Bag(), tmp_path, given=(ids,))
    split = split_at_embedding(program, 0)
    assert len(split.program.inputs) == 2
    assert torch.equal(split.program(split.matrix[ids], mask), program(ids))


def test_ids_of_another_whole_type_are_followed(tmp_path):
    """A cast is no other use."""
    ids, mask = tokens(3, 9)
    bag = Bag()
    bag.looks = lambda given, rows: rows + 0 * (given.int() != 0)[..., None]
    program = exported(bag, tmp_path, given=(ids,))
    split = split_at_embedding(program, 0)
    assert torch.equal(split.program(split.matrix[ids], mask), program(ids))


LOOKING = {
    "a token by its id": lambda ids, rows: rows + (ids == 77).float()[..., None],
    "the ids as numbers": lambda ids, rows: rows + ids.float()[..., None],
    "another padding": lambda ids, rows: rows * (ids != 1)[..., None],
}


@pytest.mark.parametrize("way", LOOKING)
def test_a_graph_that_looks_at_ids_in_another_way_is_refused(way, tmp_path):
    """A trigger's id that is compared has no gradient: nothing may pass for a search that saw none."""
    program = exported(Bag(LOOKING[way]), tmp_path, given=(tokens(3, 9)[0],))
    with pytest.raises(RefusedError, match="looks at token ids beside their embedding") as told:
        split_at_embedding(program, 0)
    assert "attention mask" in told.value.sentence


def test_two_embeddings_of_the_ids_are_refused(tmp_path):
    """One of them would be left out of the search."""
    bag = Bag()
    bag.looks = lambda ids, rows: rows + bag.others(ids)
    program = exported(bag, tmp_path, given=(tokens(3, 9)[0],))
    with pytest.raises(RefusedError, match="looked up in 2 matrices"):
        split_at_embedding(program, 0)


@pytest.mark.parametrize("given", [torch.randn(3, 9), torch.randint(0, 9, (3, 9, 2))], ids=["floats", "three sizes"])
def test_what_takes_no_ids_is_refused(given, tmp_path):
    """With what it takes."""
    module = nn.Sequential(nn.Flatten(), nn.Linear(given[0].numel(), 3))
    program = exported(nn.Sequential(Cast(), module), tmp_path, given=(given,), free=False)
    with pytest.raises(RefusedError, match="the program takes"):
        split_at_embedding(program, 0)


class Cast(nn.Module):
    """Floating numbers of anything."""

    def forward(self, x):
        """Return them."""
        return x.float()
