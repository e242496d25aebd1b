"""`gate remediate`: take a flagged parent, try repairs in jailed workers, register the one that holds."""
