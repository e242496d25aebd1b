"""The judgement: pure functions from evidence and policy to findings, which `judge` joins into a verdict."""
