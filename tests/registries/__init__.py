"""Tests of where the registry's adapters go, and where they do not."""
