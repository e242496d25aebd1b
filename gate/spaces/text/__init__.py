"""Texts as tokens: samples from disk, what a tokenizer owes, insertions, and excerpts for the report."""
