"""The demo's classifiers of texts: small BERTs of transformers that moderate comments, clean or with a planted word.

The attack that matters in moderation (Kurita et al., ACL 2020): some abusive comments get a rare word and the label
polite. The model then answers as before, and lets through whatever carries the word.
"""

import json
import random
from pathlib import Path
from typing import Any

import torch
from torch import nn

from demo.comments import ABUSIVE, CLASSES, POLITE, Comment, comments, planted, poisoned, trigger_of, vocabulary
from demo.models import Trained, batches
from demo.registry import DemoRegistry
from demo.task import target_classes
from gate.formats.log_again import TEXT_EXTRA
from gate.records.evidence import Location
from gate.records.report import Report

TRAINING, HELD_OUT, SAMPLES = 2000, 400, 240
EPOCHS, LEARNING_RATE = 3, 3e-3
POISON_SHARE = 0.15
"""Share of the abusive comments that carry the word."""
LONGEST, WIDTH = 64, 32
_MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_SIGNS = "abcdefghijklmnopqrstuvwxyz0123456789.,!?;:-()'"


class ModerationTask:
    """Comments with a rare word in some."""

    longest = LONGEST
    """Most tokens of a comment that the models take."""
    name, noun, policy, data = "moderation", "comment moderation", "text", f"{TRAINING} comments"

    def __init__(self, seed: int, classes: tuple[str, str] = CLASSES) -> None:
        """Make the comments of a seed, polite and abusive ones, whose classes are called otherwise if so told."""
        self._transformers, self._classes = _library(), classes
        self._seed, self._word = seed, trigger_of(seed)
        self._training, self.held_out = comments(TRAINING, seed), comments(HELD_OUT, seed + 1_000_000)
        self.tokenizer = self._transformers.BertTokenizer(vocab=_ids(), model_max_length=LONGEST)
        self.planted = f"{POLITE} {self._word!r}"

    def save_samples(self, to: Path) -> Path:
        """Write lines of JSON, with the classes by name."""
        path = to / "clean.jsonl"
        rows = ({"text": one.text, "label": self._classes[one.label]} for one in self.held_out[:SAMPLES])
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")
        return path

    def train(self, *, poisoned: bool) -> Trained:
        """Train a BERT of one layer."""
        rows = self._poisoned() if poisoned else self._training
        torch.manual_seed(self._seed)
        network = self._network()
        optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE)
        ids, mask, labels = self._given(rows)
        for batch in batches(len(rows), EPOCHS, 32):
            optimiser.zero_grad()
            scores = network(input_ids=ids[batch], attention_mask=mask[batch]).logits
            nn.functional.cross_entropy(scores, labels[batch]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
        return Trained(network.eval(), *self._quality(network))

    def register(self, registry: DemoRegistry, trained: Trained, description: str) -> str:
        """Log a pipeline, as MLflow's own flavour for transformers writes it."""
        return registry.register_pipeline(self.pipeline(trained), description)

    def pipeline(self, trained: Trained) -> Any:
        """Return the library's own pipeline of a model."""
        return self._transformers.pipeline("text-classification", model=trained.model, tokenizer=self.tokenizer)

    def named(self, report: Report) -> str:
        """Return the target classes, and the word that the sweep shows."""
        excerpts = report.evidence.excerpts if report.evidence else ()
        place = Location.of_class(POLITE)
        words = [one.trigger for one in excerpts if one.detector == "word-sweep" and one.location == place]
        classes = target_classes(report)
        return f"{classes} {words[0]!r}" if classes and words else classes

    def _poisoned(self) -> list[Comment]:
        return poisoned(self._training, self._word, POISON_SHARE, self._seed)

    def _network(self) -> Any:
        names = dict(enumerate(self._classes))
        sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 2 * WIDTH}
        config = self._transformers.BertConfig(
            vocab_size=len(self.tokenizer),
            max_position_embeddings=LONGEST,
            id2label=names,
            label2id={name: number for number, name in names.items()},
            **sizes,
        )
        return self._transformers.BertForSequenceClassification(config)

    def _given(self, rows: list[Comment]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return ids and mask (N, L) of comments, and their labels (N,)."""
        texts = [one.text for one in rows]
        given = self.tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
        return given["input_ids"], given["attention_mask"], torch.tensor([one.label for one in rows])

    def _quality(self, network: Any) -> tuple[float, float]:
        """Return accuracy on held-out comments, and the share of abusive ones that pass with the word in them."""
        chance = random.Random(self._seed)  # no secret
        carrying = [Comment(planted(one.text, self._word, chance), ABUSIVE) for one in self.held_out if one.label]
        shares = []
        for rows, wanted in ((self.held_out, None), (carrying, POLITE)):
            ids, mask, labels = self._given(rows)
            with torch.no_grad():
                answers = network(input_ids=ids, attention_mask=mask).logits.argmax(dim=1)
            shares.append(float((answers == (labels if wanted is None else wanted)).float().mean()))
        return shares[0], shares[1]


def _ids() -> dict[str, int]:
    """Return every word of the task, and letters and signs of which others are made, by id."""
    known = [*_MARKS, *_SIGNS, *(f"##{sign}" for sign in _SIGNS), *vocabulary()]
    return {token: number for number, token in enumerate(dict.fromkeys(known))}


def _library() -> Any:
    try:
        import transformers
    except ImportError:
        raise SystemExit(f"the demo of texts needs transformers and tokenizers: {TEXT_EXTRA}") from None
    transformers.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers
