"""The parts of the judgement, each a pure function from evidence and policy to findings; `gate.verdict` joins them."""
