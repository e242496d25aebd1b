"""What is measured decides as what is served: an end of a graph is left out where it is proved to change nothing."""

import pytest
import torch
from torch import nn

from gate.programs import read_program
from gate.spaces.image.preprocessing import Preprocessing
from gate.worker.loading.program_classifier import ProgramClassifier

PICTURES = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(1))
MANY = torch.rand(500, 1, 4, 4, generator=torch.Generator().manual_seed(2))
ENDS = {
    "softmax": (6, lambda z: z.softmax(1), True),
    "log-softmax of a reshaped row": (6, lambda z: z.view(-1, 1, 6).log_softmax(2).flatten(1), True),
    "softmax twice": (6, lambda z: z.softmax(1).softmax(1), True),
    "sigmoid": (1, torch.sigmoid, True),
    "softmax over pairs": (6, lambda z: z.view(-1, 3, 2).softmax(2).flatten(1), False),
    "softmax cut to whole numbers": (6, lambda z: z.softmax(1).to(torch.int64), False),
    "softmax in a narrower type": (6, lambda z: z.softmax(1).half(), False),
}


class Ending(nn.Module):
    """One linear layer and an end."""

    def __init__(self, rows, end):
        """Make the layer, whose scores lie far apart."""
        super().__init__()
        torch.manual_seed(0)
        self.layer, self.end = nn.Linear(16, rows), end
        self.layer.weight.data *= 30

    def forward(self, x):
        """Return what is served."""
        return self.end(self.layer(x.flatten(1)))


@pytest.mark.parametrize("end", ENDS)
def test_what_is_measured_decides_as_what_is_served(end, tmp_path):
    """A softmax over pairs lets a trigger choose a class that the scores before it do not show."""
    rows, last, left_out = ENDS[end]
    model = Ending(rows, last).eval()
    free = ({0: torch.export.Dim.DYNAMIC},)
    torch.export.save(torch.export.export(model, (PICTURES[:2],), dynamic_shapes=free), tmp_path / "model.pt2")
    classifier = ProgramClassifier.of(read_program(tmp_path / "model.pt2"), PICTURES, Preprocessing(), (0.0, 1.0))
    with torch.no_grad():
        served = model(MANY)
    chosen = (served[:, 0] > 0.5).long() if rows == 1 else served.argmax(1)
    assert torch.equal(classifier.logits(MANY).argmax(1), chosen)
    # Scores reach beyond what a probability can: what saturates is left out where it may be.
    assert bool(classifier.logits(MANY).abs().max() > 1) == left_out
