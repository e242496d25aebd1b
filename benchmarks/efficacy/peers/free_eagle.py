"""FreeEagle, from its paper: embeddings driven to each class in the middle of the net, and to which others they tend.

Fu et al., "FreeEagle: Detecting Complex Neural Trojans in Data-Free Cases", USENIX Security 2023, arXiv:2302.12500.
Beside the other peers; written anew. No samples are used. The net is cut in the middle (`halves`); for each class one
embedding is optimised until the second half answers with the class; T[s, t] is the posterior of class t at the
embedding of class s, for s other than t. An outlier among the means of the columns is a trigger that works on all
classes, one among the cells a trigger of one class: (largest - Q3) / (Q3 - Q1), the greater of the two is the model's.

As in the authors' code: Adam at 0.01 with weight decay 0.005, 1,000 steps, ReLU and clamp to [0, 999], the two numbers,
the factor T[s, t] / T[t, s] where it is above one. The limit 2 is that of a port. Not known of either, decided here:
* Where to cut. The paper names places in four families (after the second stage of a ResNet); here the graph decides.
* The start: uniform in [0, 1]. One embedding a class; all classes at once, which for Adam is the same as each alone.
* The range of a value that is no ReLU's: where it is negative on noise images, [-999, 999] without the ReLU.
* The factor is on the cells alone, and quartiles are of the cells without the diagonal.
With two classes both numbers are 0.5 whatever the cells are: the rule cannot flag them.
"""

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.efficacy.peer import PeerResult
from benchmarks.efficacy.peers.halves import SecondHalf, second_half
from benchmarks.efficacy.reading import Read, of_classes

LIMIT = 2.0
Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass
class FreeEagle:
    """The peer."""

    steps: int = 1000
    learning_rate: float = 1e-2
    weight_decay: float = 5e-3
    largest: float = 999.0
    id: str = "free-eagle"
    revision: int = 1
    needs_training_set: bool = False

    def measure(self, model: nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Look for an outlier among the tendencies; only the shape (C, H, W) of inputs is used."""
        del labels
        began = time.monotonic()
        if not isinstance(model, Read):
            raise TypeError("the model is cut on its graph: expected the reader's program")
        generator = torch.Generator().manual_seed(seed)
        noise = torch.rand((classes, *inputs.shape[1:]), generator=generator)
        half = second_half(model.body, noise.to(inputs.device))
        table = self._posteriors(half, classes, generator)
        return _result(half, table, classes * (self.steps + 1) + half.first_passes, began)

    def _posteriors(self, half: SecondHalf, classes: int, generator: torch.Generator) -> Array:
        """Drive one embedding to each class and return the posteriors (K, K) at the end, by class of the embedding."""
        start = torch.rand((classes, *half.seen.shape[1:]), generator=generator).to(half.seen)
        lowest = 0.0 if bool((half.seen >= 0).all()) else -self.largest
        embeddings, wanted = start.requires_grad_(), torch.arange(classes, device=start.device)
        adam = torch.optim.Adam([embeddings], lr=self.learning_rate, weight_decay=self.weight_decay)

        def logits() -> Tensor:
            found = of_classes(half.run(embeddings.clamp(lowest, self.largest)))
            if found.shape != (classes, classes):
                raise ValueError(f"expected logits {(classes, classes)}, got {tuple(found.shape)}")
            return found

        for _ in range(self.steps):
            adam.zero_grad()
            # Summed: each embedding has the gradient that it has alone.
            loss = functional.cross_entropy(logits(), wanted, reduction="sum")
            torch.autograd.backward(loss, inputs=[embeddings])
            adam.step()
        with torch.no_grad():
            return np.asarray(logits().double().softmax(dim=1).cpu())


def tendencies(posteriors: Array) -> Array:
    """Return the posteriors (K, K) with zeros on the diagonal."""
    return posteriors * (1 - np.eye(len(posteriors)))


def corrected(table: Array) -> Array:
    """Return T[s, t] · max(T[s, t] / T[t, s], 1): two classes that resemble each other tend both ways."""
    apart = ~np.eye(len(table), dtype=bool)
    with np.errstate(all="ignore"):
        factor = np.maximum(np.divide(table, table.T, out=np.ones_like(table), where=apart), 1)
    return table * factor


def outlier(values: Array) -> float:
    """Return (largest - Q3) / (Q3 - Q1), NaN or infinite where the quartiles are one or a value is not finite."""
    first, third = np.quantile(values, (0.25, 0.75))
    with np.errstate(all="ignore"):
        return float((values.max() - third) / (third - first))


def _result(half: SecondHalf, posteriors: Array, passes: int, began: float) -> PeerResult:
    table = tendencies(posteriors)
    columns, cells, apart = table.sum(axis=0) / (len(table) - 1), corrected(table), ~np.eye(len(table), dtype=bool)
    agnostic, specific = outlier(columns), outlier(cells[apart])
    source, target = divmod(int(np.argmax(cells)), len(cells))
    known = math.isfinite(agnostic) and math.isfinite(specific)
    score = max(agnostic, specific) if known else None
    decision = None if score is None else score > LIMIT
    named = int(np.argmax(columns)) if agnostic >= specific else target
    values = {
        **{f"column-{label}": float(mean) for label, mean in enumerate(columns)},
        "class-agnostic": agnostic,
        "class-specific": specific,
        "class-specific-without-factor": outlier(table[apart]),
        "source": float(source),
        "target": float(target),
        "least-own-posterior": float(posteriors.diagonal().min()),
        "cut-after-layers": float(half.cut.layers),
        "layers": float(half.of_layers),
        "cut-width": float(half.seen[0].numel()),
    }
    return PeerResult(
        decision=decision,
        targets=(named,) if decision else (),
        score=score,
        statistics={name: value for name, value in values.items() if math.isfinite(value)},
        sample_passes=passes,
        seconds=time.monotonic() - began,
        note="" if known else "the quartiles of the tendencies are equal, or a tendency is 0: no finite number",
    )
