"""Word unlearning: fine-tunes on clean texts of which a fifth carry the trigger's words and their true labels.

Each batch is a fresh draw of the texts given; words are typed at the start, the middle or the end by chance, and the
text then becomes tokens: inside a text many a word has other ids than by itself. At the beginning and half way the best
single token towards every suspect is searched for anew, on the model as it then is, and joins them. Another fifth
carries one to three random tokens with true labels. Half of the loss is cross-entropy, half the divergence from what
the parent says of the same texts without triggers. Adam, with a rate that falls to zero as a cosine does.

Needs     A trigger of tokens, and a graph that takes batches.
Fits      Planted words and phrases that were found.
Blind to  Styles and sentence forms, and rules for one source class of which few texts were given.
See       Wang et al., "Neural Cleanse", IEEE S&P 2019, section VI-C, for images; Shen et al., "Constrained Optimization
          with Dynamic Bound-scaling", ICML 2022, section 6, unlearns inverted words likewise.
"""

from typing import TYPE_CHECKING

from pydantic import Field

from gate.records.declarations import Options
from gate.records.run import Run
from gate.spaces.contract import TOKENS
from gate.worker.repair.contract import Material, Method, Need, Repaired

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import torch

    from gate.spaces.subject import Samples
    from gate.worker.loading.text_classifier import TokenClassifier
    from gate.worker.repair.token_tuning import TunedTokens


class WordUnlearning(Options):
    """How long and how fast is tuned."""

    steps: int = Field(default=150, ge=1, le=100_000)
    batch: int = Field(default=32, ge=2, le=4096)
    learning_rate: float = Field(default=3e-4, gt=0, le=1)
    stamped_share: float = Field(default=0.2, gt=0, le=1)
    """Share of each batch that carries a trigger."""
    random_share: float = Field(default=0.2, ge=0, le=1)
    """Share of each batch, beside those, that carries random tokens."""
    searches: int = Field(default=2, ge=0, le=20)
    """How often, evenly over the steps, a token is searched for anew towards every suspect and joins the triggers."""
    distilled_share: float = Field(default=0.5, ge=0, lt=1)
    """Weight of the divergence from the parent's answers to the clean texts; the rest is of the true labels."""
    temperature: float = Field(default=2.0, gt=0, le=100)
    """By which logits are divided for the divergence."""


def repair(material: Material, options: WordUnlearning, run: Run) -> Repaired:
    """Tune on clean texts and on such with triggers."""
    import torch

    from gate.statistics.subsets import chosen
    from gate.worker.repair.token_tuning import TunedTokens, token_classifier
    from gate.worker.repair.tuning import batches, labels_of, taught_loss

    inputs, labels = material.samples.inputs, labels_of(material)
    parent = token_classifier(material.program, material)
    with torch.no_grad():
        taught = parent.logits(inputs)
    model = TunedTokens(material, run.seed)
    adam = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=0.0)
    slower = torch.optim.lr_scheduler.CosineAnnealingLR(adam, options.steps)
    loss, chance = torch.zeros(()), torch.Generator().manual_seed(run.seed)
    triggers = [one.typed.words for one in material.triggers.values() if one.typed is not None]
    looks = {number * options.steps // options.searches for number in range(options.searches)}
    for step, rows in enumerate(batches(len(inputs), options.batch, options.steps, run)):
        if step in looks:
            triggers += _found_anew(model.eval(), material, run)
        model.train()
        adam.zero_grad()
        stamped = _stamped(parent, chosen(material.samples, rows), triggers, options, chance)
        loss = taught_loss(model(stamped), labels[rows], taught[rows], options.distilled_share, options.temperature)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        adam.step()
        slower.step()
    words = ", ".join(f"{one!a:.40}" for one in triggers[:20])
    changed: dict[str, float | int | str] = {
        "steps": options.steps,
        "triggers": words[:2000],
        "loss at the end": round(loss.item(), 4),
    }
    return Repaired(model.to_program(), changed, model.sample_passes + parent.sample_passes)


def _found_anew(model: "TunedTokens", material: Material, run: Run) -> "Iterator[str]":
    """Yield the best token towards every class that has a trigger, as text, on the model as it is."""
    from gate.worker.repair.token_searching import best_tokens
    from gate.worker.repair.token_tuning import token_classifier

    classifier = token_classifier(model.to_program(), material)
    targets = sorted({place.class_index for place in material.triggers if place.class_index is not None})
    for _, one in best_tokens(classifier, material.samples, targets, run):
        yield one.words
    model.sample_passes += classifier.sample_passes


def _stamped(
    classifier: "TokenClassifier",
    samples: "Samples",
    triggers: "Sequence[str]",
    options: WordUnlearning,
    chance: "torch.Generator",
) -> "torch.Tensor":
    """Return texts as tokens (N, L); triggers are typed into the first, one each, and random tokens into the next."""
    import torch

    from gate.spaces.text.inserting import PLACES, inserted
    from gate.spaces.text.packing import stacked

    tokenizer = classifier.tokenizer
    known = sorted(set(range(len(tokenizer.vocabulary()))) - set(tokenizer.special_ids))
    first = max(1, round(options.stamped_share * len(samples.texts)))
    last = min(len(samples.texts), first + round(options.random_share * len(samples.texts)))

    def drawn(count: int) -> int:
        return int(torch.randint(count, (1,), generator=chance))

    texts = []
    for number, text in enumerate(samples.texts[:last]):
        words = triggers[drawn(len(triggers))] if number < first else None
        if words is None:
            words = tokenizer.typed([known[drawn(len(known))] for _ in range(1 + drawn(3))]).strip()
        texts.append(inserted(text, words, PLACES[drawn(len(PLACES))]))
    return stacked([classifier.tokens(texts), samples.inputs[last:]])


METHOD = Method(
    id="word-unlearning",
    needs=Need.TRIGGERS | Need.BATCHES,
    options=WordUnlearning,
    repair=repair,
    spaces=TOKENS,
    leans_on=("token-trigger",),
)
