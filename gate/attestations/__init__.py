"""Signed decisions: what was decided about which bytes, by which rules, until when, and under whose key.

Pure but for reading keys and appending to the log. `sign` and `verify` are the seam; nothing else may turn a tag into
trust. The format is an in-toto statement in a DSSE envelope, so that other tools can read it.
"""
