"""What a graph's structure says about the way from input to logits: depth, dominators, bottlenecks, branches, gates.

Pure functions over `gate.programs.dataflow.graph.Graph`, in time that grows with its size; used by the detector of
graph structure.
"""
