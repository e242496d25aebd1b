"""Counts of answers to secret probes beside those to the fixed ones, where a candidate and all models had one seed."""

from collections.abc import Sequence
from dataclasses import dataclass

from gate.records.counts import Counts
from gate.records.secret_counts import SecretCounts


@dataclass(frozen=True)
class Joined:
    """Counts of several models by the same probes."""

    counts: list[Counts]
    """Of each model, the fixed probes before the secret ones."""
    secret: int = 0
    """Number of secret probes among them."""
    without: str = ""
    """Why there are none although some model was given secret probes, as part of a sentence."""


def with_secret(
    counts: Sequence[Counts], sealed: Sequence[SecretCounts | None], seed: str | None, probes: int
) -> Joined:
    """Return the models' counts, the candidate's last, with those of `probes` secret probes where all have the same."""
    if why := _keys_apart(sealed, seed):
        return Joined(list(counts), without=why)
    opened = [one.opened(seed) for one in sealed if one is not None and seed is not None]
    found = [one for one in opened if one is not None]
    if len(found) < len(counts):
        return Joined(list(counts), without="some answers are not as they were sealed" if opened else "")
    if found[-1].shape[0] != probes or not all(
        _fits(one, own, found[-1]) for one, own in zip(found, counts, strict=True)
    ):
        return Joined(list(counts), without="another version of the gate drew those of the bank")
    return Joined([own.joined(more) for own, more in zip(counts, found, strict=True)], probes)


def _fits(more: Counts, own: Counts, last: Counts) -> bool:
    return more.alike(last) and (more.shape[1:], more.samples) == (own.shape[1:], own.samples)


def _keys_apart(sealed: Sequence[SecretCounts | None], seed: str | None) -> str:
    """Return why the models, the candidate last, had different secret probes; empty where all had one seed or none."""
    *others, own = ("" if one is None else one.key for one in sealed)
    if not own:
        return "the scan had no probe seed, and the bank was made with one" if any(others) else ""
    if not any(others):
        return "the bank was made without a probe seed"
    if any(key not in ("", own) for key in others):
        return "the bank was made with another probe seed"
    if not all(others):
        return "some of the bank's models were measured without a probe seed"
    return "" if seed else "the seed that opens their answers was not given"
