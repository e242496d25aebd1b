"""What writing the bundle costs beside the scan that measures it: processor time of each worker of one check.

    python -m benchmarks.bundle_cost [--seed 0] [--threads 1] [--subset] [--large]

The demo's clean model, as MLflow writes it (pt2) and as a pickle of library layers, scanned by the packaged default
policy in jailed workers; with `--subset` also the committed models of the zoo. Each scan is one run of the scan step's
own code. The cost is the writer's time and that of the second look at bytes; the scan is all the rest. Passes count
samples through forward, or forward and backward; the writer makes some only where layers have to be compared.

With `--large` a ResNet-18 for images of 224 × 224, with random weights, is written and looked at in such workers. Its
scan would take hours on one thread; its time is that of one pass, forward and backward, times the passes of the demo's.
"""

import argparse
import os
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gate.check import workers as launch
from gate.check.evidence import ScanRequest, ScanSettings
from gate.check.files import CheckFiles, private_directory
from gate.check.pull import PullRequest, pull
from gate.check.scan import scan
from gate.check.workers import Progress
from gate.jail.launch import WorkerExit
from gate.policies.packaged import DEFAULT
from gate.policies.read import read_policy
from gate.records.clock import today
from gate.records.evidence import Measured
from gate.records.job import ScanJob
from gate.records.policy import Policy
from gate.registries.directory import DirectoryRegistry

SUBSET = Path(__file__).resolve().parents[1] / "tests" / "zoo_subset"
_COMPARED = 64
_BATCH = 16


def demo_models(folder: Path, seed: int) -> tuple[dict[str, Path], Path]:
    """Train the demo's clean model and save it in both forms; return the folders and its samples."""
    import mlflow.pytorch
    import torch

    from demo.models import load_digits, train
    from demo.registry import save_samples

    torch.set_num_threads(1)
    digits = load_digits(seed)
    network = train(digits, seed, poisoned=False).model
    forms = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for form in ("pt2", "pickle"):
            forms[f"demo, {form}"] = folder / form
            mlflow.pytorch.save_model(
                network,
                folder / form,
                input_example=digits.test_x[:1].numpy(),
                pip_requirements=["torch", "mlflow"],
                serialization_format=form,
            )
    return forms, save_samples(digits, folder / "clean.npz")


def subset_models(folder: Path) -> dict[str, Path]:
    """Put the committed programs of the zoo into folders as MLflow has them."""
    forms = {}
    for program in sorted(SUBSET.glob("*.pt2")):
        root = forms[f"zoo, {program.stem}"] = folder / program.stem
        (root / "data").mkdir(parents=True)
        (root / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n")
        (root / "data" / "model.pt2").write_bytes(program.read_bytes())
    return forms


def large_model(folder: Path, seed: int) -> tuple[Path, Path, float]:
    """Save a ResNet-18 with random weights and some samples; return both, and the seconds of one pass of a sample."""
    import numpy as np
    import torch

    from benchmarks.nets.resnet import Config, build

    torch.manual_seed(seed)
    network = build(Config(classes=10, stem="large")).eval()
    images = np.random.default_rng(seed).integers(0, 256, (_BATCH, 3, 224, 224), dtype=np.uint8)
    samples = folder / "large.npz"
    np.savez(samples, x=images, y=np.arange(_BATCH) % 10)
    x = torch.from_numpy(images).float().div(255).requires_grad_()
    root = folder / "large"
    (root / "data").mkdir(parents=True)
    (root / "MLmodel").write_text("flavors:\n  pytorch:\n    model_data: data\n    pytorch_version: 2.13.0\n")
    shapes = ({0: torch.export.Dim("batch")},)
    torch.export.save(
        torch.export.export(network, (x[:2].detach(),), dynamic_shapes=shapes), root / "data" / "model.pt2"
    )
    network.requires_grad_(requires_grad=False)
    before = time.process_time()
    network(x).logsumexp(dim=1).sum().backward()
    return root, samples, (time.process_time() - before) / _BATCH


def bytes_only(policy: Policy) -> Policy:
    """Return the policy's first stage alone: what is looked at before anything is loaded."""
    first = policy.stages[0]
    rules = {name: policy.detectors[name] for name in first.detectors}
    return policy.model_copy(update={"stages": (first,), "detectors": rules})


@dataclass(frozen=True)
class Cost:
    """What one check's workers spent, in seconds of processor time."""

    candidate: int
    bundle: int
    passes: int
    compared: int
    scanning: float
    writing: float
    not_start: float
    second: float

    def row(self, scanning: float | None = None, passes: int | None = None) -> str:
        """Return a row of the table, for a scan that takes as long as stated where one is stated."""
        scan = self.scanning if scanning is None else scanning
        cells = (
            f"{self.candidate / 1e3:,.0f} kB",
            f"{self.bundle / 1e3:,.0f} kB",
            f"{self.passes if passes is None else passes:,}",
            str(self.compared),
            f"{scan:,.1f} s" if scanning is None else f"{scan:,.0f} s, estimated",
            f"{self.writing:.2f} s, of which {self.not_start:.2f} s are not start",
            f"{self.second:.2f} s",
            f"{(self.writing + self.second) / scan:.2%}",
        )
        return " | ".join(cells)


@contextmanager
def worker_seconds() -> Iterator[dict[str, list[float]]]:
    """Yield the processor seconds of each worker that ends meanwhile, by role, in their order."""
    spent: dict[str, list[float]] = defaultdict(list)
    own = launch.run_in_scratch

    def timed(job: ScanJob, scratch: Path, progress: Progress) -> tuple[WorkerExit, str]:
        before = os.times()
        try:
            return own(job, scratch, progress)
        finally:
            after = os.times()
            children = after.children_user + after.children_system - before.children_user - before.children_system
            spent[job.role].append(children)

    launch.run_in_scratch = timed
    try:
        yield spent
    finally:
        launch.run_in_scratch = own


def measured(model: Path, samples: Path, policy: Policy, options: argparse.Namespace) -> Cost:
    """Scan a model and return what its workers spent."""
    with worker_seconds() as spent:
        registry = DirectoryRegistry()
        with private_directory() as private:
            files = CheckFiles.create(private / "out")
            ref = registry.resolve(str(model))
            pulled = pull(registry, PullRequest(str(model), policy, samples=str(samples)), files, private, ref)
            settings = ScanSettings(device="cpu", threads=options.threads, seed=options.seed)
            scanned = scan(ScanRequest(pulled, private, policy, settings), lambda *_: None)
    evidence, bundle = scanned.evidence, scanned.bundle
    assert bundle is not None, evidence.unbundled
    passes = sum(one.sample_passes for one in evidence.outcomes.values() if isinstance(one, Measured))
    compared = 2 * _COMPARED if evidence.bundle is not None and evidence.bundle.origin != "pt2" else 0
    first, second = spent["inspector"]
    return Cost(
        candidate=pulled.manifest.size_bytes,
        bundle=bundle.manifest.size_bytes,
        passes=passes,
        compared=compared,
        scanning=first + sum(spent["scan"]),
        writing=sum(spent["writer"]),
        not_start=evidence.seconds["write"],
        second=second,
    )


def main() -> None:
    """Print a table, a row for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--subset", action="store_true", help="also the committed models of the zoo")
    parser.add_argument("--large", action="store_true", help="also a ResNet-18, whose scan is estimated")
    options = parser.parse_args()
    policy = read_policy(DEFAULT, on=today())
    print("| model | candidate | bundle | passes, scan | writer | CPU, scan | writer | second look | share |")
    print("|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="gate-cost-") as name:
        folder = Path(name)
        forms, samples = demo_models(folder, options.seed)
        passes = 0
        for model, path in forms.items():
            cost = measured(path, samples, policy, options)
            passes = passes or cost.passes
            print(f"| {model} | {cost.row()} |", flush=True)
        for model, path in (subset_models(folder) if options.subset else {}).items():
            cost = measured(path, SUBSET / "digits-scan.npz", policy, options)
            print(f"| {model} | {cost.row()} |", flush=True)
        if options.large:
            path, images, one_pass = large_model(folder, options.seed)
            cost = measured(path, images, bytes_only(policy), options)
            print(f"| ResNet-18 | {cost.row(scanning=passes * one_pass, passes=passes)} |")


if __name__ == "__main__":
    main()
