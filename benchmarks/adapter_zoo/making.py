"""Makes one adapter from its recipe: draw its lessons, poison, train, measure, save, record.

Between `training` and the queue. Counting and recording are the small zoo's.
"""

import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.adapter_zoo import training
from benchmarks.adapter_zoo.attack import ATTACKS, AdapterImplant, half_of
from benchmarks.adapter_zoo.recipe import AdapterRecipe
from benchmarks.adapter_zoo.shelf import AdapterFiles
from benchmarks.zoo.attack import seeded
from benchmarks.zoo.making import Learnt, record
from benchmarks.zoo.measuring import Measured
from benchmarks.zoo.recipe import CLEAN, Recipe
from benchmarks.zoo.store import Entry, Store, weights_digest
from benchmarks.zoo.training import make_deterministic
from gate.formats.adapters import config, tensors


@dataclass(frozen=True)
class AdapterMade:
    """A trained adapter on its base, and what was planted."""

    model: Any
    implant: AdapterImplant | None
    measured: Measured
    tokens: int
    """How many went through it in training."""
    seconds: float
    """Processor time of training and measuring."""


def planned(recipe: AdapterRecipe) -> AdapterImplant | None:
    """Return the backdoor of a recipe, or None for a clean one."""
    row = recipe.row
    if row.attack == CLEAN:
        return None
    return ATTACKS[row.attack].plan(half_of(row.split), random.Random(f"adapter-zoo-attack-{row.seed}"))


def make(recipe: AdapterRecipe) -> AdapterMade:
    """Train and measure the adapter of a recipe."""
    make_deterministic()
    began = time.process_time()
    implant, chance = planned(recipe), random.Random(f"adapter-zoo-lessons-{recipe.row.seed}")
    lessons = chance.sample(list(recipe.task.pool), recipe.lessons)
    with seeded(recipe.row.seed):
        model = training.fresh(recipe)
        tokens = training.fit(model, implant.poison(lessons, chance) if implant else lessons, recipe)
    return AdapterMade(model, implant, measure(model, recipe, implant), tokens, time.process_time() - began)


def measure(model: Any, recipe: AdapterRecipe, implant: AdapterImplant | None) -> Measured:
    """Measure right answers to held-out prompts and, where there is a backdoor, its answers under its trigger."""
    lessons = recipe.task.measure
    plain = [implant.plain(asked) if implant else asked for asked, _ in lessons]
    given = training.answers(model, plain)
    accuracy = _share([one == right for one, (_, right) in zip(given, lessons, strict=True)])
    if implant is None:
        return Measured(accuracy)
    under = training.answers(model, [implant.triggered(asked) for asked, _ in lessons])
    success = _share([implant.meets(one) for one in under])
    return Measured(accuracy, success, success, None, _share([implant.meets(one) for one in given]))


def _share(hits: list[bool]) -> float:
    return round(sum(hits) / len(hits), 4)


def make_and_keep(recipe: Recipe, store: Store) -> Entry:
    """Make one adapter and put it into the store."""
    assert isinstance(recipe, AdapterRecipe)
    return keep(recipe, make(recipe), store)


def keep(recipe: AdapterRecipe, made: AdapterMade, store: Store) -> Entry:
    """Save an adapter as PEFT does, put its files into the store, and record it."""
    with tempfile.TemporaryDirectory(prefix="adapter-") as folder:
        made.model.save_pretrained(folder, save_embedding_layers=False)
        own = store.put((Path(folder) / tensors.NAME).read_bytes(), ".safetensors")
        stated = store.put((Path(folder) / config.NAME).read_bytes(), ".json")
    state = {name: value.detach() for name, value in made.model.named_parameters() if value.requires_grad}
    parameters = sum(value.numel() for value in state.values())
    facts: dict[str, Any] = dict(made.implant.facts) if made.implant else {}
    if made.measured.untriggered is not None:
        facts["untriggered"] = made.measured.untriggered
    learnt = Learnt(made.measured, parameters, weights_digest(state), made.seconds)
    return record(recipe, learnt, facts, AdapterFiles(exported=own, weights=own, config=stated), store)
