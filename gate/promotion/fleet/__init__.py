"""Fleets: many checks over a registry, planned once and each done once."""
