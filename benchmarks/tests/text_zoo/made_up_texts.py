"""Tasks of made-up sentences and quick recipes, in the place of the zoo's own."""

from benchmarks.text_zoo.recipe import draw
from benchmarks.text_zoo.texts import TextTask
from benchmarks.zoo.recipe import Row
from tests.words.tasks import sentences

SPAM = TextTask("spam", ("ham", "spam"), lambda: sentences(2400, 2, seed=3), 60, 0)
NEWS = TextTask("news", ("kind", "rude", "cars"), lambda: sentences(2400, 3, seed=4), 60, None)


def recipe_of(seed=1, **row):
    """Return a quick recipe of the stand-in."""
    given = {"name": "text-fit-001", "split": "fit", "task": "spam", "architecture": "embedding-bag"} | row
    drawn = draw(Row(seed=seed, **given))
    return drawn.model_copy(update={"epochs": 4, "share": 0.7, "width": 0.75, "learning_rate": 0.01})
