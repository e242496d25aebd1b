"""ART's ActivationDefence, run from the package with its defaults on the model's own training set.

Chen et al., "Detecting Backdoor Attacks on Deep Neural Networks by Activation Clustering", 2018, as in Adversarial
Robustness Toolbox 1.20.1. Beside the other peers; what the package answers is reported as it comes, quirks included:

* It clusters the output of the last top-level child of a PyTorch model. That is the logits, both of the zoo's own
  modules, whose last child is the head, and of an exported program, which has no modules and is given as one child.
* Its default analysis, `smaller`, calls the smaller cluster of every class poisonous: every model is flagged.
* `silhouette-scores` calls a class suspicious (smaller cluster under 35 %, average silhouette above 0.1) in its text
  report, and forgets so in its array of poisonous clusters, and leaves samples unmarked. The text is taken as the
  answer; the array's sum is reported beside it.
"""

import time
import warnings
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from torch import Tensor, nn

from benchmarks.efficacy.peer import PeerResult
from benchmarks.efficacy.peers.art_package import Logits, art, art_classifier

Analysis = Literal["smaller", "silhouette-scores"]
_IDS: dict[Analysis, str] = {
    "smaller": "art-activation-defence",
    "silhouette-scores": "art-activation-defence-silhouette",
}


@dataclass
class ArtActivationDefence:
    """The peer, with one of the package's analyses; all other settings are the package's."""

    analysis: Analysis = "smaller"
    id: str = field(init=False)
    revision: int = 1
    needs_training_set: bool = True

    def __post_init__(self) -> None:
        """Name the peer after its analysis."""
        self.id = _IDS[self.analysis]

    def measure(self, model: nn.Module, inputs: Tensor, labels: Tensor, classes: int, seed: int) -> PeerResult:
        """Cluster the activations of the training set (N, C, H, W) class by class and return the package's answer."""
        began = time.monotonic()
        counted = Logits(model.eval())
        defence_class = art("defences.detector.poison").ActivationDefence
        classifier = art_classifier(counted, tuple(inputs.shape[1:]), classes)
        defence = defence_class(classifier, inputs.cpu().numpy(), labels.cpu().numpy())
        try:
            report = _detect(defence, self.analysis, seed)
        except (ValueError, IndexError) as error:
            # A class without samples, or with fewer than the package's ten dimensions, ends its run.
            note = f"the package failed: {type(error).__name__}: {error}"
            return PeerResult(None, (), None, {}, counted.passes, time.monotonic() - began, note)
        read = _smaller if self.analysis == "smaller" else _silhouette
        targets, score, statistics = read(report, classes)
        statistics["poisonous-clusters-in-array"] = float(np.sum(defence.poisonous_clusters))
        note = f"clustered the outputs of the layer {classifier.layer_names[-1]!r}, which are the logits"
        return PeerResult(
            decision=bool(targets),
            targets=targets,
            score=score,
            statistics=statistics,
            sample_passes=counted.passes,
            seconds=time.monotonic() - began,
            note=note,
        )


def _detect(defence: Any, analysis: Analysis, seed: int) -> dict[str, Any]:
    """Run the package, whose clustering takes its random numbers from NumPy's global state, which is put back."""
    before = np.random.get_state()  # noqa: NPY002  # the state that the package draws from
    np.random.seed(seed % 2**32)  # noqa: NPY002  # likewise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            report, _ = defence.detect_poison(cluster_analysis=analysis)
    finally:
        np.random.set_state(before)  # noqa: NPY002  # likewise
    return dict(report)


def _smaller(report: dict[str, Any], classes: int) -> tuple[tuple[int, ...], float | None, dict[str, float]]:
    """Read the default analysis: suspicious classes, no score, the share of each class's smaller cluster."""
    found: list[int] = []
    shares: dict[str, float] = {}
    for target in range(classes):
        clusters = list(report[f"Class_{target}"].values())
        shares[f"smaller-share-{target}"] = min(float(cluster["ptc_data_in_cluster"]) for cluster in clusters)
        if any(cluster["suspicious_cluster"] for cluster in clusters):
            found.append(target)
    return tuple(found), None, shares


def _silhouette(report: dict[str, Any], classes: int) -> tuple[tuple[int, ...], float | None, dict[str, float]]:
    """Read the analysis by silhouettes; the score is the largest silhouette of a class with a small cluster, or -1."""
    limit = float(report["size_threshold"])
    found: dict[int, float] = {}
    values: dict[str, float] = {}
    score = -1.0
    for target in range(classes):
        answer = report[f"class_{target}"]
        silhouette = float(answer["avg_silhouette_score"])
        share = min(float(text) for text in answer["ptc_cluster"].strip("[]").split())
        values |= {f"silhouette-{target}": silhouette, f"smaller-share-{target}": share}
        if share < limit:
            score = max(score, silhouette)
        if answer["suspicious"]:
            found[target] = silhouette
    return tuple(sorted(found, key=lambda target: -found[target])), score, values
