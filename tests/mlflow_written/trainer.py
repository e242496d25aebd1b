"""What a trainer defines in the script itself: `make.py` runs it as `__main__`, so its classes are pickled whole."""

import torch
from torch import nn


class OwnNetwork(nn.Module):
    """A classifier of 8 × 8 pictures, of a class of the trainer's own."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(1, 4, 3)
        self.head = nn.Linear(4 * 6 * 6, 4)

    def forward(self, pictures):
        """Return the scores of four classes."""
        return self.head(torch.relu(self.features(pictures)).flatten(1))


class TwoInputs(nn.Module):
    """A classifier of a picture and a row of numbers."""

    def __init__(self):
        super().__init__()
        self.features = nn.Conv2d(1, 2, 3)
        self.head = nn.Linear(2 * 6 * 6 + 5, 4)

    def forward(self, pictures, rows):
        """Return the scores of four classes."""
        seen = torch.relu(self.features(pictures)).flatten(1)
        return self.head(torch.cat([seen, rows], dim=1))


def lightning_network():
    """Return a LightningModule of a class of the trainer's own; Lightning takes seconds to import."""
    import lightning.pytorch as lightning

    class OwnLightning(lightning.LightningModule):
        """The same classifier, for Lightning's trainer."""

        def __init__(self):
            super().__init__()
            self.network = OwnNetwork()

        def forward(self, pictures):
            """Return the scores of four classes."""
            return self.network(pictures)

        def training_step(self, batch, _index):
            """Return the loss of one batch."""
            pictures, labels = batch
            return nn.functional.cross_entropy(self(pictures), labels)

        def configure_optimizers(self):
            """Return the optimiser."""
            return torch.optim.SGD(self.parameters(), lr=0.01)

    return OwnLightning()
