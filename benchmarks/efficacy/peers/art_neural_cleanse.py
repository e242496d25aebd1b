"""ART's Neural Cleanse, which takes Keras models only: shown by asking it for a PyTorch model, and reporting its words.

Beside the other peers. Adversarial Robustness Toolbox 1.20.1; no verdict is ever made up for it.
"""

import time
from dataclasses import dataclass

from torch import Tensor, nn

from benchmarks.efficacy.peer import PeerResult
from benchmarks.efficacy.peers.art_package import Logits, art, art_classifier
from gate.records.errors import CannotFinishError


@dataclass
class ArtNeuralCleanse:
    """The peer."""

    id: str = "art-neural-cleanse"
    revision: int = 1
    needs_training_set: bool = False

    def measure(self, model: nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Ask the package for its defence of a model of inputs (N, C, H, W), and return its refusal."""
        del labels, seed
        began = time.monotonic()
        classifier = art_classifier(Logits(model.eval()), tuple(inputs.shape[1:]), classes)
        try:
            art("defences.transformer.poisoning").NeuralCleanse(classifier)
        except NotImplementedError as error:
            note = f"does not run on PyTorch models: NotImplementedError: {error}"
            return PeerResult(None, (), None, {}, 0, time.monotonic() - began, note)
        raise CannotFinishError(
            "this version of adversarial-robustness-toolbox takes a PyTorch model for its Neural Cleanse; "
            "expected NotImplementedError as from 1.20.1",
            what_to_do="Install the version that benchmarks/peers.in names, or measure the new one.",
        )
