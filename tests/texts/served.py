"""A network of the library and its tokenizer as the gate serves them: an exported program, and a file that it wrote."""

import torch

from gate.formats.tokenizers.file import read_tokenizer
from gate.programs import read_program
from gate.worker.loading.tokenizer import Tokenizer
from tests.texts.networks import Scores


def program_and_tokenizer(task, network, folder):
    """Export the network of a demo's task, and return the program with the task's tokenizer, cut and padded."""
    path = folder / "model.pt2"
    given = task.tokenizer(["good people", "you are rude"], padding=True, return_tensors="pt")
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=task.longest)}
    ids, mask = (given[name] for name in ("input_ids", "attention_mask"))
    for parameter in network.parameters():
        parameter.requires_grad_(requires_grad=False)
    torch.export.save(
        torch.export.export(Scores(network).eval(), (ids, mask), dynamic_shapes=(dict(sizes), dict(sizes))), path
    )
    raw = task.tokenizer.backend_tokenizer.to_str().encode()
    return read_program(path), Tokenizer(read_tokenizer(raw).served("[PAD]", task.longest))
