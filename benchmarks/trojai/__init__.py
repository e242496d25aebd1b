"""The gate as a detector of NIST's TrojAI challenge: one model folder in, one probability out.

The flow: `settings` reads what may be tuned, `model_folder` turns a TrojAI model folder into a candidate and samples
that the gate takes, `answer` turns the gate's verdict into a probability, and `__main__` has NIST's argument names.
The format and the contract are those of github.com/usnistgov/trojai-example and trojai-test-harness; no code is theirs.
"""
