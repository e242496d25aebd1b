"""`gate remediate` without torch: take a flagged parent, have workers try repairs, register what holds.

`flow` puts the steps together; the methods themselves run in jailed workers (`gate.worker.repair`).
"""
