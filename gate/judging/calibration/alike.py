"""Whether a candidate was measured as a bank's models were, so that their numbers can be compared.

Other settings, nothing in common, a statistic that the candidate lacks, or a class of it that the bank's models lack
make the bank unusable, with the reason.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from gate import detectors
from gate.detectors.contract import Need
from gate.judging.calibration.cells import probes_of
from gate.judging.calibration.surprise import FEWEST_OTHERS
from gate.judging.calibration.tables import Values, counts_of
from gate.records.adapters import WHOLE
from gate.records.bank import Bank, ModelStatistics, Statistic
from gate.records.evidence import Evidence

FEWEST_MODELS = 3
ALMOST_ALL = 0.9
_NO_BASE: Final = "no base was given: name one with --base, or as `base` in the configuration of `gate serve`"


def same_task(evidence: Evidence, bank: Bank) -> bool:
    """Tell whether a bank's classes are the candidate's: the same samples, byte by byte, classes and input shape."""
    if bank.adapters is not None:
        return bank.adapters == evidence.group
    return (
        bank.samples is not None
        and evidence.samples is not None
        and bank.samples.sha256 == evidence.samples.sha256
        and bank.classes == evidence.facts.classes
        and (bank.space, bank.input_shape) == (evidence.facts.space, evidence.facts.input_shape)
    )


def unusable(
    bank: Bank, models: Sequence[ModelStatistics], own: Values, settings: Mapping[str, str], evidence: Evidence
) -> str:
    """Return why candidate and bank cannot be compared, as part of a sentence; empty where they can."""
    if len(models) < FEWEST_MODELS or not bank.compared:
        return (
            f"it compares {len(bank.compared)} statistics of {len(models)} models besides the candidate; expected at "
            f"least one of {FEWEST_MODELS}"
        )
    if why := _other_group(bank, models, own, evidence) or _other_classes(bank, evidence):
        return why
    if bank.seed != evidence.seed:
        return f"the bank was measured with seed {bank.seed}; this scan with seed {evidence.seed}"
    named = sorted({statistic.detector for statistic in bank.compared})
    other = [name for name in named if bank.settings.get(name) != settings.get(name)]
    if other:
        return f"the bank's {' and '.join(other)} ran with other settings than this scan's"
    for statistic in bank.compared:
        if statistic.scale == "cells":
            continue
        # However few of the models have it: a score without it would be low for want of a measurement.
        if statistic.metric not in own.get(statistic.detector, {}):
            return f"{statistic.detector} measured no {statistic.metric} on the candidate, though on the bank's models"
    uncompared = _other_places(bank.compared, models, own) if same_task(evidence, bank) else ""
    return uncompared or _other_cells(bank, models, evidence)


def _other_places(compared: Sequence[Statistic], models: Sequence[ModelStatistics], own: Values) -> str:
    """Return at which class or layer too few of the bank's models were measured for the candidate's to be compared."""
    for one in compared:
        if one.scale == "cells" or one.at not in {"class", "layer"}:
            continue
        theirs = Counter(place for model in models for place in model.values.get(one.detector, {}).get(one.metric, {}))
        if alone := [place for place in own[one.detector][one.metric] if theirs[place] < FEWEST_OTHERS]:
            others = f" and {len(alone) - 1} other places" if len(alone) > 1 else ""
            return (
                f"{one.detector} measured {one.metric} at {alone[0][:120]}{others} of the candidate, where fewer than "
                f"{FEWEST_OTHERS} of the bank's models have it"
            )
    return ""


def _other_classes(bank: Bank, evidence: Evidence) -> str:
    if bank.classes == evidence.facts.classes:
        return _other_prompts(bank, evidence)
    return f"the bank's models have {bank.classes} classes; the candidate has {evidence.facts.classes}"


def _other_prompts(bank: Bank, evidence: Evidence) -> str:
    """Return why language models were not given the same prompts, where a statistic is of what they say behind some."""
    known = {one.detector for one in bank.compared} & set(detectors.names())  # an earlier gate had others too
    asked = any(Need.BESIDE in detectors.load(name).needs for name in known)
    given = [one.sha256 if one else "" for one in (bank.samples, evidence.samples)]
    return "the bank's models were given other prompts than the candidate" if asked and given[0] != given[1] else ""


def _other_group(bank: Bank, models: Sequence[ModelStatistics], own: Values, evidence: Evidence) -> str:
    """Return why an adapter or language model is outside its bank; empty where it is inside, or another model."""
    what = "adapter" if evidence.facts.adapter is not None else "language model"
    if bank.adapters is None:
        named = "an adapter" if what == "adapter" else "a language model"
        return f"it holds whole models, and the candidate is {named}" if evidence.facts.beside_base else ""
    if not evidence.facts.beside_base:
        held = "language models" if bank.adapters.parameterisation == WHOLE else "adapters"
        return f"it holds {held}, and the candidate is none"
    group = evidence.group
    if group is None:
        lacks = "its ranks lie in two bands" if evidence.base else _NO_BASE
        return f"the {what} is not examined: {lacks}"
    if group != bank.adapters:
        # A candidate is compared with the base's files too: the same weights beside another tokenizer are another base.
        earlier = group.model_copy(update={"beside": None}) == bank.adapters
        told = _WEIGHTS_ALONE if earlier else f"it is {group}, and the bank's are {bank.adapters}"
        return f"the {what} is not examined: {told}"
    if odd := _elsewhere(models, own, bank.compared):
        return f"the {what} is not examined: it {odd}"
    return ""


_WEIGHTS_ALONE = (
    "the bank is an earlier gate's, which knew the base by its weights alone and not by tokenizer and configuration; "
    "make it again with `gate bank build`"
)


def _elsewhere(models: Sequence[ModelStatistics], own: Values, compared: Sequence[Statistic]) -> str:
    """Return at which modules the candidate changes what the bank's models do not, or the other way round."""
    every = [_layers(model.values, compared) for model in models]
    mine = _layers(own, compared)
    known = {place for place in set().union(*every) if sum(place in one for one in every) >= ALMOST_ALL * len(every)}
    if mine == known:
        return ""
    odd = min(mine ^ known)
    how = "changes" if odd in mine else "does not change"
    return f"{how} {odd.removeprefix('layer ')[:120]}, unlike the bank's"


def _layers(values: Values, compared: Sequence[Statistic]) -> set[str]:
    """Return the places of a model's statistics by layer."""
    named = [(one.detector, one.metric) for one in compared if one.at == "layer"]
    return {place for name, metric in named for place in values.get(name, {}).get(metric, {})}


def _other_cells(bank: Bank, models: Sequence[ModelStatistics], evidence: Evidence) -> str:
    """Return why the candidate's counts are not comparable with those of the bank's models; empty where they are."""
    own = counts_of(evidence.outcomes)
    for detector in {statistic.detector for statistic in bank.compared if statistic.scale == "cells"}:
        theirs = [model.counts[detector] for model in models if detector in model.counts]
        if detector not in own:
            return f"{detector} counted no answers of the candidate, though of the bank's models"
        if own[detector].probes != probes_of(evidence.facts.space, evidence.facts.input_shape).digest:
            return f"{detector} counted the answers to other probes than this gate has"
        if not all(own[detector].alike(one) for one in theirs):
            return f"the bank's {detector} had other probes or other numbers of samples than this scan's"
    return ""
