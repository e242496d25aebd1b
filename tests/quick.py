"""Options by which any detector ends soon, by the options' names: a new detector needs no entry anywhere."""

from gate import detectors


def quick(detector, **values):
    """Return those of the values that a detector has as options; kebab-case names, with underscores here."""
    known = detectors.load(detector).options.model_fields
    return {name.replace("_", "-"): value for name, value in values.items() if name in known}
