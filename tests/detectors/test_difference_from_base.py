"""What a language model's weights changed of its base's: each tensor, beside NumPy's own decomposition."""

import numpy as np
import pytest

from gate.records.evidence import Unmeasured
from tests.adapters.written import TOKENS, base_tensors, measured, module, write_base

NAME = "difference-from-base"
EMBEDDING, QUERY = "model.embed_tokens.weight", f"{module(1, 'q_proj')}.weight"


def values(found, metric):
    """Return a metric's values by place."""
    return {one.location.name: one.value for one in found if not isinstance(one, Unmeasured) and one.metric == metric}


def compared(tmp_path, tensors, **more):
    """Return what is measured of a model of these tensors beside the base."""
    return measured(write_base(tmp_path / "own", tensors, **more), NAME, write_base(tmp_path / "base"))


def test_the_base_itself_differs_in_nothing(tmp_path):
    """Sizes are zero, and what has no value says why."""
    found = compared(tmp_path, None)
    assert set(values(found, "norm-ratio").values()) == {0.0}
    gaps = {one.metric: one.reason for one in found if isinstance(one, Unmeasured)}
    assert gaps == dict.fromkeys(("energy-share", "leading-share"), "no matrix of both sides has changed")
    (changed,) = [one for one in found if one.metric == "changed-tensors"]
    assert (changed.value, changed.note) == (0, f"of {len(base_tensors())} that both sides have")


def test_the_change_of_a_matrix_is_that_of_its_singular_values(tmp_path):
    """Beside NumPy's decomposition of the difference; every direction is followed, so the shares are exact."""
    tensors = base_tensors()
    change = np.random.default_rng(5).normal(size=tensors[QUERY].shape).astype(np.float32) * 0.1
    tensors[QUERY] = tensors[QUERY] + change
    found = compared(tmp_path, tensors)
    difference = tensors[QUERY].astype(float) - base_tensors()[QUERY]
    sigma = np.linalg.svd(difference, compute_uv=False)
    expected = {
        "norm-ratio": np.linalg.norm(difference) / np.linalg.norm(base_tensors()[QUERY]),
        "energy-share": sigma[0] ** 2 / np.sum(sigma**2),
        "leading-share": 1.0,
    }
    for metric, value in expected.items():
        assert values(found, metric)[QUERY] == pytest.approx(value, rel=1e-6), metric
    assert list(values(found, "energy-share")) == [QUERY]


@pytest.mark.parametrize("block", [1 << 10, 1 << 24])
def test_a_merged_adapter_lies_in_few_directions(tmp_path, block):
    """A change of rank 3 is whole in three directions, read in one piece or block by block; noise of rank 16 is not."""
    random, tensors = np.random.default_rng(2), base_tensors()
    wide = random.normal(size=(160, 40)).astype(np.float32)
    merged = wide + (random.normal(size=(160, 3)) @ random.normal(size=(3, 40)) * 0.01).astype(np.float32)
    spread = wide + random.normal(size=wide.shape).astype(np.float32) * 0.01
    shares = {}
    for name, own in (("merged", merged), ("spread", spread)):
        base = write_base(tmp_path / f"base-{name}", tensors | {"lm_head.weight": wide})
        root = write_base(tmp_path / name, tensors | {"lm_head.weight": own})
        found = measured(root, NAME, base, directions=3, block=block)
        shares[name] = values(found, "leading-share")["lm_head.weight"]
    assert shares["merged"] > 0.999
    assert shares["spread"] < 0.4


def test_a_row_that_alone_changed_names_its_token(tmp_path):
    """The lead of one token's row, by the candidate's own tokenizer."""
    tensors = base_tensors()
    tensors[EMBEDDING] = tensors[EMBEDDING] + 0.001
    even = values(compared(tmp_path / "even", tensors), "token-lead")[EMBEDDING]
    tensors[EMBEDDING][TOKENS.index("yes")] += 1.0
    found = compared(tmp_path / "odd", tensors)
    assert even < 1.5
    assert values(found, "token-lead")[EMBEDDING] > 10 * even
    (note,) = [one.note for one in found if one.metric == "token-lead"]
    assert note == "most: token 5, 'yes'"


def test_what_a_coarser_type_loses_is_no_change(tmp_path):
    """A base of 32 bits and the same model of 16."""
    tensors = {name: one.astype(np.float16) for name, one in base_tensors().items()}
    found = compared(tmp_path, tensors)
    assert set(values(found, "norm-ratio").values()) == {0.0}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_change_that_a_coarser_type_hides_is_measured(tmp_path, dtype):
    """A base of 16 bits, and a candidate that is the base once it is rounded to them, but not as it is loaded."""
    half = {name: one.astype(np.float16) for name, one in base_tensors().items()}
    hidden = dict(half)
    moved = half[QUERY].astype(np.float32) * np.float32(1 + 2e-4)
    hidden[QUERY] = moved.astype(dtype)
    assert np.array_equal(moved.astype(np.float16), half[QUERY])
    base = write_base(tmp_path / "base", half)
    found = measured(write_base(tmp_path / "own", hidden), NAME, base)
    ratio = values(found, "norm-ratio")[QUERY]
    assert ratio == (0.0 if dtype is np.float16 else pytest.approx(2e-4, rel=0.01))


def test_without_a_base_nothing_is_compared(tmp_path):
    """Every metric is a gap, which flags where the policy has a limit."""
    found = measured(write_base(tmp_path), NAME)
    assert found
    assert all(isinstance(one, Unmeasured) and "--base" in one.reason for one in found)
