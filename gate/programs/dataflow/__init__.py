"""Structure of a graph between input and logits: depth, dominators, bottlenecks, branches and gates."""
