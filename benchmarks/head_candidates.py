"""Which statistics of a last linear layer tell backdoored models of the zoo's fit split from clean ones, and which not.

    python -m benchmarks.head_candidates

Reads weights alone, so it takes seconds. A model's statistic is the largest robust deviation of a class from the median
of the classes, upwards and downwards; `hit` is how often that class is a target, over models with one or some targets.
What the detector `head-indicators` uses was chosen from this table; the others are the ones that it does without.
"""

from collections.abc import Callable

import torch

from benchmarks.fit_models import auc, fit_entries, subject_of
from benchmarks.zoo.store import Store
from gate.statistics.heads import indicators, leads, probe_shares
from gate.statistics.outliers import high_side_anomaly_indices

Weights = tuple[torch.Tensor, torch.Tensor]


def _centred(weight: torch.Tensor) -> torch.Tensor:
    return weight - weight.mean(dim=0)


def _cosines(weight: torch.Tensor) -> torch.Tensor:
    """Return the cosine of each row to each other row, (K, K - 1)."""
    unit = torch.nn.functional.normalize(_centred(weight), dim=1)
    count = len(unit)
    return (unit @ unit.T)[~torch.eye(count, dtype=torch.bool)].view(count, count - 1)


def _moment(weight: torch.Tensor, order: int) -> torch.Tensor:
    rows = weight - weight.mean(dim=1, keepdim=True)
    return torch.pow(rows, order).mean(dim=1) / torch.pow(rows.square().mean(dim=1).clamp_min(1e-12), order / 2)


def _top_energy(weight: torch.Tensor) -> torch.Tensor:
    """Return the share of each row's energy that lies along the layer's first singular direction."""
    centred = _centred(weight)
    direction: torch.Tensor = torch.linalg.svd(centred, full_matrices=False)[2][0]
    return (centred @ direction).square() / centred.square().sum(dim=1).clamp_min(1e-12)


def _shares(head: Weights) -> torch.Tensor:
    shares = probe_shares(*head, probes=10_000, generator=torch.Generator().manual_seed(0))
    return (shares + 1e-4).log()


CANDIDATES: dict[str, Callable[[Weights], torch.Tensor]] = {
    "row L2": lambda head: head[0].norm(dim=1),
    "row L2, centred": lambda head: _centred(head[0]).norm(dim=1),
    "row mean": lambda head: head[0].mean(dim=1),
    "bias": lambda head: head[1],
    "largest cosine": lambda head: _cosines(head[0]).amax(dim=1),
    "mean cosine": lambda head: _cosines(head[0]).mean(dim=1),
    "skew": lambda head: _moment(_centred(head[0]), 3),
    "kurtosis": lambda head: _moment(_centred(head[0]), 4),
    "top singular energy": lambda head: _top_energy(head[0]),
    "log probe share": _shares,
    "nearest lead": lambda head: leads(head[0]).nearest,
    "mean lead": lambda head: leads(head[0]).mean,
}


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    store, found = Store.at(), []
    for entry in fit_entries(store):
        head = subject_of(entry, store).head
        if head is not None:
            found.append((entry.recipe.row.attack, entry.facts.get("targets", []), (head.weight, head.bias)))
    clean = sum(attack == "clean" for attack, _, _ in found)
    print(f"{clean} clean and {len(found) - clean} backdoored models with a last linear layer")
    print(f"{'statistic':24}{'AUC up':>8}{'hit up':>8}{'AUC down':>10}{'hit down':>10}")
    for name, of in CANDIDATES.items():
        values = [(attack, targets, of(head).tolist()) for attack, targets, head in found]
        up = _told([(a, t, high_side_anomaly_indices(v, v)) for a, t, v in values])
        down = _told([(a, t, [-one for one in high_side_anomaly_indices(v, v)]) for a, t, v in values])
        print(f"{name:24}{up[0]:>8.2f}{up[1]:>8.2f}{down[0]:>10.2f}{down[1]:>10.2f}")
    shipped = _told([(a, t, indicators(leads(head[0]))) for a, t, head in found])
    print(f"{'indicator':24}{shipped[0]:>8.2f}{shipped[1]:>8.2f}")


def _told(values: list[tuple[str, list[int], list[float]]]) -> tuple[float, float]:
    """Return the area under the curve, and how often the largest is a target."""
    worst = [(attack == "clean", max(indices)) for attack, _, indices in values]
    named = [(targets, indices) for _, targets, indices in values if 0 < len(targets) < len(indices)]
    hits = [indices.index(max(indices)) in targets for targets, indices in named]
    above = auc([value for is_clean, value in worst if not is_clean], [value for is_clean, value in worst if is_clean])
    return above, sum(hits) / len(hits)


if __name__ == "__main__":
    main()
