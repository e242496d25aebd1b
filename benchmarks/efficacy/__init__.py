"""Efficacy: what the gate's detectors and public peers find among the zoo's models, measured in one run."""
