"""Measurements of the gate itself: a population of models, and the procedures that judge detectors on it."""
