"""The time, for reports and policies."""

import datetime as dt
import os


def today() -> dt.date:
    """Return the day in UTC, on which waivers hold or have expired."""
    return dt.datetime.now(dt.UTC).date()


def now() -> str:
    """Return the time in UTC to the second; `SOURCE_DATE_EPOCH` fixes it for reproducible reports."""
    fixed = os.environ.get("SOURCE_DATE_EPOCH")
    moment = dt.datetime.fromtimestamp(int(fixed), dt.UTC) if fixed else dt.datetime.now(dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
