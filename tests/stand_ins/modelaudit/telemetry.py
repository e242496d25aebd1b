"""Tells whether telemetry is on, as the real package does: off where the variable says so."""

import os

DEAF = False
"""Whether the switch is ignored, as a future version might."""


def is_telemetry_enabled():
    """Return whether usage would be sent."""
    return DEAF or os.environ.get("PROMPTFOO_DISABLE_TELEMETRY") != "1"
