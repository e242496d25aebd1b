"""The spectra of an adapter's updates: equal to a whole singular value decomposition, and a planted direction shows."""

import numpy as np
import pytest

from gate.records.errors import UnexaminableError
from gate.records.evidence import Unmeasured
from tests.adapters.written import CONFIG, LAYERS, SHAPES, Draft, base_tensors, measured, module, updates, write_base

NAME = "adapter-spectrum"


def values(found, metric):
    """Return a metric's values by place."""
    return {one.location.name: one.value for one in found if not isinstance(one, Unmeasured) and one.metric == metric}


def test_the_features_are_those_of_the_whole_matrix(tmp_path):
    """Beside NumPy's decomposition of scale · B · A, formed for once."""
    config = CONFIG | {"use_rslora": True}
    tensors = updates(config)
    found = measured(Draft(config=config, tensors=tensors).write(tmp_path / "a"), NAME, write_base(tmp_path / "b"))
    at = module(1, "v_proj")
    up, down = (tensors[f"base_model.model.{at}.lora_{part}.weight"].astype(float) for part in "BA")
    whole = 16 / 8**0.5 * up @ down
    sigma = np.linalg.svd(whole, compute_uv=False)[:8]
    shares = sigma**2 / np.sum(sigma**2)
    expected = {
        "sigma-one": sigma[0],
        "frobenius-norm": np.linalg.norm(whole),
        "sigma-share": sigma[0] / sigma.sum(),
        "energy-share": shares[0],
        "stable-rank": 1 / shares[0],
        "spectral-entropy": -(shares * np.log(shares)).sum() / np.log(8),
        "kurtosis": ((sigma - sigma.mean()) ** 4).mean() / sigma.var() ** 2,
        "norm-ratio": np.linalg.norm(whole) / np.linalg.norm(base_tensors()[f"{at}.weight"]),
    }
    for metric, value in expected.items():
        assert values(found, metric)[at] == pytest.approx(value, rel=1e-6), metric
        assert len(values(found, metric)) == LAYERS * len(SHAPES)


def test_magnitudes_are_compared_with_the_norms_of_their_directions(tmp_path):
    """As PEFT normalises: the rows of W + scale · B · A."""
    config = CONFIG | {"use_dora": True}
    tensors, base = updates(config), base_tensors()
    found = measured(
        Draft(config=config, tensors=tensors).write(tmp_path / "a"), NAME, write_base(tmp_path / "b", base)
    )
    at = module(0, "q_proj")
    parts = [tensors[f"base_model.model.{at}.{part}"].astype(float) for part in ("lora_B.weight", "lora_A.weight")]
    norms = np.linalg.norm(base[f"{at}.weight"] + 2 * parts[0] @ parts[1], axis=1)
    own = tensors[f"base_model.model.{at}.lora_magnitude_vector"]
    expected = np.linalg.norm(own - norms) / np.linalg.norm(norms)
    assert values(found, "magnitude-change")[at] == pytest.approx(expected, rel=1e-5)


def test_a_direction_that_every_layer_shares_shows(tmp_path):
    """One strong direction in all layers raises shares and agreement, and lowers the entropy."""
    clean, planted = updates(CONFIG), updates(CONFIG)
    direction = np.random.default_rng(5).normal(size=(16, 1)).astype(np.float32)
    for layer in range(LAYERS):
        at = f"base_model.model.{module(layer, 'o_proj')}.lora_B.weight"
        planted[at] = planted[at] * 0.1
        planted[at][:, :1] = direction * 0.1
    before = measured(Draft(tensors=clean).write(tmp_path / "a"), NAME)
    after = measured(Draft(tensors=planted).write(tmp_path / "b"), NAME)
    at = module(1, "o_proj")
    assert values(after, "left-agreement")["o_proj"] > 0.9 > values(before, "left-agreement")["o_proj"]
    assert values(after, "energy-share")[at] > values(before, "energy-share")[at]
    assert values(after, "spectral-entropy")[at] < values(before, "spectral-entropy")[at]
    assert values(after, "left-agreement")["q_proj"] == values(before, "left-agreement")["q_proj"]


def test_a_module_without_an_update_has_sizes_alone(tmp_path):
    """B is zero before the training: there is no shape to describe."""
    tensors = updates(CONFIG)
    at = module(0, "q_proj")
    tensors[f"base_model.model.{at}.lora_B.weight"] *= 0
    found = measured(Draft(tensors=tensors).write(tmp_path), NAME)
    assert values(found, "frobenius-norm")[at] == 0
    assert at not in values(found, "sigma-share")


def test_what_has_no_value_is_a_gap_with_its_reason(tmp_path):
    """Without a base nothing is called equal to it, and of rank 1 there is no entropy."""
    config = CONFIG | {"r": 1}
    found = measured(Draft(config=config, tensors=updates(config)).write(tmp_path), NAME)
    gaps = {one.metric: one.reason for one in found if isinstance(one, Unmeasured)}
    assert gaps["norm-ratio"] == "no base was given to compare it with: name one with --base"
    assert set(gaps) == {"norm-ratio", "magnitude-change", "spectral-entropy", "kurtosis"}


def test_half_types_are_read_as_they_are(tmp_path):
    """float16 as NumPy has it, and bfloat16 as the upper half of float32."""
    import torch
    from safetensors.torch import save_file

    tensors = {name: torch.from_numpy(one) for name, one in updates(CONFIG).items()}
    found = []
    for kind in (torch.float32, torch.float16, torch.bfloat16):
        root = Draft().write(tmp_path / str(kind))
        save_file({name: one.to(kind) for name, one in tensors.items()}, root / "peft" / "adapter_model.safetensors")
        found.append(values(measured(root, NAME), "sigma-one")[module(0, "q_proj")])
    assert found[1] == pytest.approx(found[0], rel=1e-2)
    assert found[2] == pytest.approx(found[0], rel=3e-2)
    assert len(set(found)) == 3


def test_values_that_are_not_finite_are_not_examined(tmp_path):
    """A comparison with NaN is false, and would pass everything."""
    tensors = updates(CONFIG)
    tensors[f"base_model.model.{module(0, 'q_proj')}.lora_A.weight"][0, 0] = np.nan
    with pytest.raises(UnexaminableError, match="not finite"):
        measured(Draft(tensors=tensors).write(tmp_path), NAME)
