"""What stands between a decision and production: verify, promote, review, re-scan, and the check of preconditions.

Each is a library function that `gate.cli` and a service wrap thinly. None of them believes a tag: the proof is a signed
decision, the digest of the bytes at hand, today's policy and today's date.
"""
