"""Verify, promote, review, re-scan, and their preconditions; the proof is a signed decision, never a tag."""
