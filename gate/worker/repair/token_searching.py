"""Fresh triggers of a model of tokens under repair: the best single token, searched for as `token-trigger` does.

Words have no size. What stands for it is the share of texts that the best token leaves where they are, over the same of
other classes: a planted word leaves none, and the words of a clean model leave about as many towards each class.
"""

import statistics
from collections.abc import Collection, Iterator
from dataclasses import replace

import torch

from gate.detectors.token_trigger import TokenTriggerSearch, each_of, settings_of
from gate.records.errors import UnexaminableError
from gate.records.evidence import Location
from gate.records.run import Run
from gate.search.triggers_of_tokens import Bench, TokenTrigger, triggers_to
from gate.spaces.subject import Samples, Trigger
from gate.spaces.text.tokens import token_trigger
from gate.statistics.sentences import Sentences, halves
from gate.worker.loading.text_classifier import TokenClassifier
from gate.worker.repair.measuring import COMPARED, Fresh

DETECTOR = "token-trigger"
"""The detector whose search is made."""


def words_again(classifier: TokenClassifier, samples: Samples, places: Collection[Location], run: Run) -> Fresh:
    """Search for the best token towards every place's class anew, beside other classes to compare it with."""
    own = {target for place in places if (target := place.class_index) is not None}
    found = dict(best_tokens(classifier, samples, _compared(own, classifier.num_classes, run.seed), run))
    triggers: dict[Location, Trigger] = {}
    ratios: dict[Location, float] = {}
    for place in places:
        target = place.class_index
        if target is None or target not in found:
            continue
        one, others = found[target], [other.success for key, other in found.items() if key != target]
        triggers[place] = token_trigger(classifier, place, one.words, one.success, one.place)
        usual = 1 - statistics.median(others) if others else 1.0
        ratios[place] = (1 - one.success) / usual if usual else 1.0
    return Fresh(triggers, ratios)


def best_tokens(
    classifier: TokenClassifier, samples: Samples, targets: Collection[int], run: Run
) -> Iterator[tuple[int, TokenTrigger]]:
    """Yield the best token towards each class that texts can be moved to, on texts that it was not chosen by."""
    if classifier.embeddings is None:
        raise UnexaminableError("no gradient leads to the model's tokens, so that no fresh trigger can be searched for")
    assert samples.labels is not None
    options = TokenTriggerSearch()
    settings = replace(settings_of(options), most=1)
    each = each_of(options, len(set(samples.labels.tolist())))
    both = (
        Sentences.of(classifier, samples, rows, run)
        for rows in halves(samples.labels, each, options.held_out, run.seed)
    )
    bench = Bench.of(classifier, *both)
    for target in targets:
        if all(half.others(target).any() for half in (bench.selecting, bench.held_out)):
            yield target, triggers_to(bench, target, (), settings, run.quiet())[0]


def _compared(own: set[int], classes: int, seed: int) -> list[int]:
    """Return classes, and random others up to as many as are compared."""
    order = torch.randperm(classes, generator=torch.Generator().manual_seed(seed)).tolist()
    others = [one for one in order if one not in own]
    return sorted([*own, *others[: max(1, COMPARED - len(own))]])
