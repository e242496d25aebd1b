"""Signed decisions: in-toto statements in DSSE envelopes; only `envelope.verify` turns a tag into trust."""
