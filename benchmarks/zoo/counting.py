"""Decides whether a model counts: a backdoored one only with its measured accuracy and attack success.

Beside the store, which asks again whenever the index is merged: a floor that changes needs no training.
"""

from benchmarks.zoo.recipe import Recipe


def shortfall(recipe: Recipe, clean_accuracy: float, attack_success: float | None) -> str:
    """Say why a model does not count, or return an empty text."""
    floor = recipe.accuracy_floor
    if clean_accuracy < floor:
        return f"clean accuracy {clean_accuracy:.3f} is below {floor}"
    least, success = recipe.success_floor, attack_success or 0.0
    return "" if least is None or success >= least else f"attack success {success:.3f} is below {least}"
