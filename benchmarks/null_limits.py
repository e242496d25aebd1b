"""The in-model limits of `gate/policies/default.yml` by number of classes: 5 % false alarms under a stated null.

    python -m benchmarks.null_limits [--draws 200000] [--seed 0]

anomaly-index  the largest low-side index of K independent normal values. The index does not change with their mean or
               spread, so one table holds for all.
size-ratio     the smallest of K independent log-normal values over their median, with log-standard-deviation SIGMA. It
               does change with the spread: SIGMA is chosen above what the clean models of the demo show (printed by
               `python -m benchmarks.demo_seeds`), so that the rate is at most 5 % for all less spread.

Neither null is a model of real trigger sizes, whose tails are heavier; docs/explanation/detection.md says what was
measured.
"""

import argparse

import numpy as np

from gate.statistics.outliers import CONSISTENCY

CLASSES = (8, 9, 10, 12, 15, 20, 26, 30, 43, 62, 100, 200, 500, 1000)
SIGMA = 0.45
LEVEL = 0.05


def anomaly_index_limit(classes: int, draws: int, rng: np.random.Generator) -> float:
    """Return the (1 - LEVEL) quantile of the largest low-side index of `classes` normal values."""
    values = rng.standard_normal((draws, classes))
    median = np.median(values, axis=1, keepdims=True)
    mad = np.median(np.abs(values - median), axis=1)
    return float(np.quantile((median[:, 0] - values.min(axis=1)) / (CONSISTENCY * mad), 1 - LEVEL))


def size_ratio_limit(classes: int, draws: int, rng: np.random.Generator) -> float:
    """Return the LEVEL quantile of the smallest of `classes` log-normal values over their median."""
    values = np.exp(SIGMA * rng.standard_normal((draws, classes)))
    return float(np.quantile(values.min(axis=1) / np.median(values, axis=1), LEVEL))


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description="In-model limits at 5 % under the null, by number of classes.")
    parser.add_argument("--draws", type=int, default=200_000, help="draws per ten classes")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(f"draws {arguments.draws} at ten classes, seed {arguments.seed}, level {LEVEL}, log-sd {SIGMA}")
    print(f"{'classes':>8} {'anomaly-index max':>18} {'size-ratio min':>15}")
    for classes in CLASSES:
        rng = np.random.default_rng([arguments.seed, classes])
        draws = max(2000, arguments.draws * 10 // classes)
        index, ratio = anomaly_index_limit(classes, draws, rng), size_ratio_limit(classes, draws, rng)
        print(f"{classes:>8} {index:>18.2f} {ratio:>15.3f}")


if __name__ == "__main__":
    main()
