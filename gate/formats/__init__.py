"""Readers of file formats for hostile bytes: bounded, without torch, and running nothing of them.

Every reader returns plain values or raises `UnreadableError`; it never imports what a file names, never follows a link
and never trusts a length. `source` holds the bounded bytes, `strict_zips`, `zips` and `compression` the containers, one
further file each the formats inside them, and `hazards` turns findings into measurements.
"""
