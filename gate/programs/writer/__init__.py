"""The gate's own writer of `.pt2` archives, and the proof that what it wrote is what was read."""
