"""How long ago something was, as a person says it."""

import datetime as dt

_UNITS = (
    ("year", 365 * 86400),
    ("month", 30 * 86400),
    ("week", 7 * 86400),
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
)


def ago(then: dt.datetime, now: dt.datetime) -> str:
    """Return `3 hours ago`, in the largest unit of which there is one; what is to come is said as that."""
    seconds = (now - then).total_seconds()
    size = abs(seconds)
    unit, length = next(((unit, length) for unit, length in _UNITS if size >= length), ("", 0))
    if not unit:
        return "just now"
    amount = int(size // length)
    span = f"{amount} {unit}{'s' if amount > 1 else ''}"
    return f"{span} ago" if seconds > 0 else f"in {span}"
