from collections import Counter

from benchmarks.zoo import recipe
from benchmarks.zoo.recipe import draw
from benchmarks.zoo.splits import rows
from benchmarks.zoo.unseen_nets import WITHOUT_SGD


def test_a_row_always_draws_the_same_recipe():
    """The seed decides the recipe and thereby the key."""
    assert [draw(row).key for row in rows()[:20]] == [draw(row).key for row in rows()[:20]]


def test_recipes_vary():
    """Epochs, augmentation, optimiser, width and label smoothing all differ over the zoo."""
    recipes = [draw(row) for row in rows()]
    for name in ("epochs", "augmentation", "optimiser", "width", "label_smoothing", "activation", "batch_size"):
        assert min(Counter(getattr(one, name) for one in recipes).values()) >= 5, name
    assert 0.08 < sum(one.static_batch for one in recipes) / len(recipes) < 0.18


def test_transformers_are_never_trained_by_plain_sgd():
    """A small transformer does not learn by it in few epochs, nor do others without batch normalisation."""
    for net in ("vit", *WITHOUT_SGD):
        assert {draw(row).optimiser for row in rows() if row.architecture == net} == {"adam", "adamw"}


def test_a_raised_revision_names_another_model(monkeypatch):
    """A change of code is another recipe, so what it made before is made again."""
    before = draw(rows()[0]).key
    monkeypatch.setattr(recipe, "TRAINING_REVISION", recipe.TRAINING_REVISION + 1)
    assert draw(rows()[0]).key != before
