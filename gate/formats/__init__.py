"""Readers of file formats for bytes that somebody else wrote: bounded, without torch, and running nothing of them.

Below the detectors and the loaders, which both lean on it. Every reader here either returns plain values or raises
`UnreadableError`; it never imports what a file names, never follows a link and never believes a length. `source` holds
the bounded bytes, `strict_zips`, `zips` and `compression` the containers, one further file each the formats inside
them, and `hazards` turns what was seen into measurements.
"""
