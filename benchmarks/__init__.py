"""Measurements of the gate: each module is a command that prints its seeds, sizes and figures."""
