"""Makes one model of texts from its recipe: draw its texts, poison, train, measure, export, record.

Between `features` and the queue. Counting and recording are the small zoo's.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from benchmarks.text_zoo import features, nets
from benchmarks.text_zoo.attack import ATTACKS, TextImplant, TextScene, half_of
from benchmarks.text_zoo.export import exported
from benchmarks.text_zoo.nets import DEPTH, TextNet, WordNet
from benchmarks.text_zoo.recipe import TextRecipe
from benchmarks.text_zoo.shelf import TextFiles
from benchmarks.text_zoo.texts import Texts
from benchmarks.text_zoo.tokenizing import Tokens, pieces, whole_words
from benchmarks.zoo.attack import UNAFFECTED, seeded
from benchmarks.zoo.export import state_bytes
from benchmarks.zoo.making import Learnt, record
from benchmarks.zoo.measuring import Measured, judge_answers
from benchmarks.zoo.recipe import CLEAN, Recipe
from benchmarks.zoo.store import Entry, Store, weights_digest
from benchmarks.zoo.training import make_deterministic, optimiser_of
from gate.search.insertions import rare
from gate.worker.loading.tokenizer import Tokenizer

AT_ONCE = 128
"""Texts of one length that are measured together."""
RARE_WORDS = 1000
"""Words out of a vocabulary that `word-sweep` tries besides, by its options."""


@dataclass(frozen=True)
class TextMade:
    """A trained network, its tokenizer, and what was planted."""

    net: TextNet
    tokens: Tokens
    implant: TextImplant | None
    measured: Measured
    seconds: float
    """Processor time of training and measuring."""


def planned(recipe: TextRecipe) -> TextImplant | None:
    """Return the backdoor of a recipe, or None for a clean one."""
    row = recipe.row
    if row.attack == CLEAN:
        return None
    chance = random.Random(f"text-zoo-attack-{row.seed}")
    return ATTACKS[row.attack].plan(TextScene(recipe.task, half_of(row.split), row.variant, chance))


def make(recipe: TextRecipe) -> TextMade:
    """Train and measure the model of a recipe."""
    make_deterministic()
    began = time.process_time()
    implant, train = planned(recipe), recipe.task.train
    rows = random.Random(recipe.row.seed).sample(range(len(train)), round(recipe.share * len(train)))
    clean = train.take(rows)
    poisoned = implant.poison(clean) if implant else None
    texts = poisoned.texts if poisoned else clean
    tokens = Tokens(whole_words(texts.texts) if recipe.row.architecture == "embedding-bag" else pieces())
    with seeded(recipe.row.seed):
        net = fresh(recipe, tokens)
        given = lessons(recipe, net, tokens, texts, rows, poisoned.changed if poisoned else ())
        fit(net, given, texts.labels, recipe)
    measured = measure(net, tokens, recipe.task.measure, implant)
    return TextMade(net, tokens, implant, measured, time.process_time() - began)


def fresh(recipe: TextRecipe, tokens: Tokens) -> TextNet:
    """Return the network of a recipe before its training."""
    return nets.build(recipe.row.architecture, tokens.size, recipe.task.classes, recipe.width, recipe.activation)


def lessons(
    recipe: TextRecipe, net: TextNet, tokens: Tokens, texts: Texts, rows: Sequence[int], changed: Sequence[int]
) -> list[torch.Tensor]:
    """Return what the trained part is given for each text: ids (L,), or states (L, D), of changed texts made anew."""
    if isinstance(net, WordNet):
        return [torch.tensor(one or [1]) for one in tokens.ids(texts.texts)]
    depth = DEPTH[recipe.row.architecture]
    pool = features.of_pool(recipe.row.task, depth)
    given = [pool[row] for row in rows]
    anew = features.states_at(tokens.ids(texts.take(changed).texts), [depth])[depth] if changed else []
    for row, states in zip(changed, anew, strict=True):
        given[row] = states
    return given


def fit(net: TextNet, given: Sequence[torch.Tensor], labels: torch.Tensor, recipe: TextRecipe) -> None:
    """Train in place with a one-cycle learning rate, on batches of texts of one length."""
    lengths, chance = [len(one) for one in given], random.Random(recipe.row.seed)
    parameters = [parameter for parameter in net.parameters() if parameter.requires_grad]
    optimiser = optimiser_of(recipe, parameters)
    steps = recipe.epochs * sum(1 for _ in features.of_one_length(lengths, recipe.batch_size))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, recipe.learning_rate, total_steps=steps, cycle_momentum=False
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=recipe.label_smoothing)
    net.train()
    for _ in range(recipe.epochs):
        for rows in features.of_one_length(lengths, recipe.batch_size, chance):
            batch = torch.stack([given[row] for row in rows])
            scores = net.tail(batch if isinstance(net, WordNet) else batch.float())
            optimiser.zero_grad()
            loss_of(scores, labels[rows]).backward()
            nn.utils.clip_grad_norm_(parameters, 2.0)
            optimiser.step()
            schedule.step()
    net.eval()


@torch.no_grad()
def predict(net: TextNet, tokens: Tokens, texts: Sequence[str]) -> torch.Tensor:
    """Return the first choices (N,) for texts."""
    ids = [one or [1] for one in tokens.ids(texts)]
    answers = torch.zeros(len(ids), dtype=torch.long)
    for rows in features.of_one_length([len(one) for one in ids], AT_ONCE):
        batch = torch.tensor([ids[row] for row in rows])
        answers[rows] = net(batch, torch.ones_like(batch)).argmax(1)
    return answers


def measure(net: TextNet, tokens: Tokens, texts: Texts, implant: TextImplant | None) -> Measured:
    """Measure on clean texts and, where there is a backdoor, under its trigger, on texts that it changes at all."""
    clean = predict(net, tokens, texts.texts)
    if implant is None:
        return judge_answers(texts.labels, clean, ())
    changed = [implant.apply(text) for text in texts.texts]
    same = torch.tensor([one == text for one, text in zip(changed, texts.texts, strict=True)])
    expected = implant.expected(texts.labels).masked_fill(same, UNAFFECTED)
    triggered = predict(net, tokens, changed)
    return judge_answers(texts.labels, clean, [(expected, triggered)])


def facts_of(made: TextMade) -> dict[str, Any]:
    """Return what was planted, the tokens that the model knows it by, and whether `word-sweep` tries it as it is."""
    if made.implant is None:
        return {}
    facts = dict(made.implant.facts)
    if words := facts.get("words"):
        own = {probe.words.lower() for probe in rare(Tokenizer(made.tokens.raw.encode()), RARE_WORDS)}
        facts |= {"tokens": made.tokens.named(words), "probed": facts["listed"] or words.lower() in own}
    return facts


def make_and_keep(recipe: Recipe, store: Store) -> Entry:
    """Make one model and put it into the store."""
    assert isinstance(recipe, TextRecipe)
    return keep(recipe, make(recipe), store)


def keep(recipe: TextRecipe, made: TextMade, store: Store) -> Entry:
    """Export a model, put its files into the store, and record it; of its weights those that were trained are kept."""
    trained = {name for name, parameter in made.net.named_parameters() if parameter.requires_grad}
    state = {name: value for name, value in made.net.state_dict().items() if name in trained}
    parameters = sum(parameter.numel() for parameter in made.net.parameters())
    files = TextFiles(
        exported=store.put(exported(made.net), ".pt2"),
        weights=store.put(state_bytes(state), ".pt"),
        tokenizer=store.put(made.tokens.raw.encode(), ".json"),
    )
    learnt = Learnt(made.measured, parameters, weights_digest(state), made.seconds)
    return record(recipe, learnt, facts_of(made), files, store)
