"""The seed of secret probes is read and never told; counts that it sealed are opened by it alone."""

import json
import re

import pytest

from gate.records.counts import Counts
from gate.records.errors import UsageError
from gate.records.probe_seed import derived, key_of, read_probe_seed
from gate.records.secret_counts import SecretCounts

SEED, OTHER = "0123456789abcdef" * 4, "ab" * 32
COUNTS = Counts.of("a" * 64, (2, 2, 3), (11, 11), bytes(range(12)))


def test_a_seed_is_its_digits_or_a_file_of_them(tmp_path):
    """With a newline at the end, as `openssl rand -hex 32` writes it."""
    path = tmp_path / "seed"
    path.write_text(f"{SEED}\n")
    assert read_probe_seed(SEED) == read_probe_seed(f"{SEED}\n") == read_probe_seed(str(path)) == SEED


@pytest.mark.parametrize("given", [SEED[:-1], SEED.upper(), f"{SEED}0", "", f"{SEED} {SEED}", "\0", "x" * 5000])
def test_what_is_no_seed_is_refused_and_not_repeated(given, tmp_path):
    """A digit short, or a file of it: the message must not say what may be most of a secret."""
    path = tmp_path / "seed"
    path.write_text(given)
    for where in (given, str(path)):
        with pytest.raises(UsageError, match="64 hexadecimal digits") as refused:
            read_probe_seed(where)
        assert SEED[:16] not in f"{refused.value} {refused.value.what_to_do}".lower()


def test_the_key_tells_seeds_apart_and_not_what_they_are():
    """It is no part of what the probes are drawn by."""
    assert re.fullmatch("[0-9a-f]{64}", key_of(SEED))
    assert key_of(SEED) != key_of(OTHER)
    assert len({SEED, key_of(SEED), derived(SEED, "a").hex(), derived(SEED, "b").hex()}) == 4


def test_sealed_counts_are_opened_by_their_seed():
    """The same counts are sealed alike, so that evidence repeats."""
    sealed = SecretCounts.of(COUNTS, SEED)
    assert sealed.opened(SEED) == COUNTS
    assert sealed == SecretCounts.of(COUNTS, SEED)
    assert sealed == SecretCounts.from_json(sealed.canonical_json())
    assert COUNTS.packed not in sealed.model_dump_json()


@pytest.mark.parametrize("change", [{"key": key_of(OTHER)}, {"sealed": ""}, {"sealed": "é"}, {"sealed": "AAAA" * 20}])
def test_what_was_not_sealed_so_is_not_opened(change):
    """By another seed, or with other bytes: nothing, and no error."""
    sealed = SecretCounts.of(COUNTS, SEED)
    assert sealed.opened(OTHER) is None
    assert SecretCounts(**{**json.loads(sealed.model_dump_json()), **change}).opened(SEED) is None
    assert SecretCounts(key=key_of(OTHER), sealed=sealed.sealed).opened(OTHER) is None


def test_counts_of_more_probes_are_joined():
    """Rows after rows; on other samples there is nothing to join."""
    more = Counts.of("b" * 64, (1, 2, 3), (11, 11), bytes(6))
    joined = COUNTS.joined(more)
    assert (joined.shape, joined.samples, joined.cells()) == ((3, 2, 3), (11, 11), COUNTS.cells() + bytes(6))
    assert joined.probes not in {COUNTS.probes, more.probes}
    with pytest.raises(ValueError, match="cannot be joined"):
        COUNTS.joined(Counts.of("b" * 64, (1, 2, 3), (11, 12), bytes(6)))
