"""The training's parts: the rate over a round, what augmentation may do to an image, and how long it lasts."""

import pytest
import torch

from gate.banks.copies import recipe_of, seed_of
from gate.records.copies import Recipe, steps_at_most
from gate.worker.copies.training import augmented, rate_at

RECIPE = Recipe(learning_rate=0.01, batch=8, weight_decay=0, shift=2, noise=0.0, rounds_beyond=0)


def test_the_rate_rises_and_falls_to_nothing():
    """It is greatest at three tenths, and gone at the end."""
    rates = [rate_at(share / 100) for share in range(101)]
    assert max(rates) == rate_at(0.3) == 1
    assert rates[:31] == sorted(rates[:31])
    assert rates[30:] == sorted(rates[30:], reverse=True)
    assert rates[-1] == pytest.approx(0)


def test_shifted_images_are_moved_and_nothing_else():
    """Each by itself, over an edge that is repeated: every row and column comes from the image."""
    x = torch.arange(36.0).reshape(1, 1, 6, 6).repeat(50, 1, 1, 1) / 36
    moved = augmented(x, (0.0, 1.0), RECIPE, torch.Generator().manual_seed(1))
    assert moved.shape == x.shape
    assert len({tuple(image.flatten().tolist()) for image in moved}) > 5
    assert set(moved.flatten().tolist()) <= set(x.flatten().tolist())
    assert torch.equal(augmented(x, (0.0, 1.0), RECIPE.model_copy(update={"shift": 0}), torch.Generator()), x)


def test_noise_stays_within_bounds():
    """No pixel leaves the range of the samples."""
    x = torch.rand(6, 3, 8, 8) * 255
    noisy = augmented(x, (0.0, 255.0), RECIPE.model_copy(update={"noise": 0.5}), torch.Generator().manual_seed(0))
    assert not torch.equal(noisy, x)
    assert float(noisy.min()) == 0
    assert float(noisy.max()) == 255


def test_little_data_gets_more_passes():
    """Thirty passes, or three thousand steps where these are fewer; what is stated counts."""
    assert steps_at_most(64_000, 64, None) == 30_000
    assert steps_at_most(640, 64, None) == 3000
    assert steps_at_most(640, 64, 5) == 50
    assert steps_at_most(10, 64, 5) == 5


def test_recipes_differ_and_come_again():
    """By seed and number alone; with trained weights the rate is a fifth."""
    drawn = [recipe_of(0, number, pretrained=False) for number in range(1, 21)]
    assert drawn == [recipe_of(0, number, pretrained=False) for number in range(1, 21)]
    assert len({recipe.learning_rate for recipe in drawn}) > 15
    assert {recipe.batch for recipe in drawn} == {32, 64, 128}
    assert {recipe.rounds_beyond for recipe in drawn} == {0, 1}
    tuned = recipe_of(0, 1, pretrained=True)
    assert tuned.learning_rate == pytest.approx(drawn[0].learning_rate / 5, rel=0.01)
    assert len({seed_of(seed, number) for seed in range(3) for number in range(20)}) == 60
