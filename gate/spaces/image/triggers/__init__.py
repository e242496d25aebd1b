"""Families of triggers, one a file: where a trigger starts, how it is laid on images, how its size is measured.

The optimiser in `gate.search.inversion` knows none of them by name; detectors choose a family and hand it over.
"""
