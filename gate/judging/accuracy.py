"""The least accuracy at which clean samples are believed, and the likely cause of a lower one."""

from gate.records.sample_settings import SampleSettings
from gate.records.samples_evidence import Change, SamplesEvidence, Trial

_BETTER_BY = 0.15
"""Least gain in accuracy by which a change is named as the likely cause."""
_AS_GOOD = 0.03
"""Difference in accuracy below which two changes count as equal; the plainer one is named."""
_LEAST_RENUMBERED = 0.6
"""Least accuracy after renumbering, above that of guessing with the best numbering."""

SAID: dict[Change, tuple[str, str]] = {
    "labels-minus-one": ("with one subtracted from the labels", "subtract one from the labels"),
    "labels-plus-one": ("with one added to the labels", "add one to the labels, if the model keeps class 0 for none"),
    "divided-by-255": (
        "divided by 255",
        "save the samples as float32 divided by 255, or state 'mean: [0], std: [255]' under 'samples' in the policy",
    ),
    "times-255": (
        "times 255",
        "save the samples as uint8, 0 to 255, or multiply them and state 'bounds: [0, 255]' under 'samples'",
    ),
    "channels-reversed": (
        "with the colour channels reversed",
        "save them in the model's order: RGB and BGR are mixed up",
    ),
    "axes-exchanged": ("with height and width exchanged", "transpose the images, inputs.swapaxes(-1, -2)"),
    "inverted": ("with dark and bright exchanged", "invert the images: the model was trained on the negative"),
    "to-minus-one-and-one": (
        "mapped to [-1, 1]",
        "state what the training did under 'samples', such as 'mean: [0.5], std: [0.5]' for values in [0, 1]",
    ),
    "imagenet-statistics": (
        "normalised with ImageNet's mean and standard deviation",
        "for values in [0, 1] state 'mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]' under 'samples'",
    ),
    "standardised": (
        "normalised to mean 0 and standard deviation 1",
        "state the training's own 'mean' and 'std' under 'samples' in the policy",
    ),
    "not-normalised": (
        "without the policy's mean and std",
        "remove 'mean' and 'std' from the policy: the model or the samples have them already",
    ),
    "classes-renumbered": (
        "with the classes in another order",
        "number the labels in the order of the model's scores; folders of classes count in the order of their names",
    ),
}
"""Each change as a phrase after an accuracy, and what to do about it."""


def least_accuracy(settings: SampleSettings, classes: int) -> tuple[float, str]:
    """Return the least accuracy at which samples are believed, and where that bound comes from."""
    clear = clear_of_chance(classes)
    if settings.min_accuracy is None or settings.min_accuracy < clear:
        return clear, "what is clear of chance"
    return settings.min_accuracy, "the policy's least"


def clear_of_chance(classes: int) -> float:
    """Return twice chance, or half the way from chance to 1 where twice chance is higher (two or three classes)."""
    chance = 1 / classes
    return min(2 * chance, (1 + chance) / 2)


def likely_cause(samples: SamplesEvidence, classes: int) -> str:
    """Return the change that raises a low accuracy, as a sentence with what to do; empty where none does."""
    if samples.accuracy is None or not (
        helping := [one for one in samples.tried if _helps(one, samples.accuracy, classes)]
    ):
        return ""
    best = max(one.accuracy for one in helping)
    plainest = next(one for one in helping if one.accuracy >= best - _AS_GOOD)
    said, mend = SAID[plainest.change]
    reach = f"values reach {samples.greatest:.4g} and " if samples.greatest is not None else ""
    return (
        f"The samples are not what the model expects: {reach}its accuracy is {samples.accuracy:.0%} as they are, "
        f"{plainest.accuracy:.0%} {said}: {mend}."
    )


def _helps(trial: Trial, accuracy: float, classes: int) -> bool:
    least = _LEAST_RENUMBERED if trial.change == "classes-renumbered" else clear_of_chance(classes)
    return trial.accuracy >= max(least, accuracy + _BETTER_BY)
