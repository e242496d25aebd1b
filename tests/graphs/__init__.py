"""Small untrained nets with odd clean graphs, and styles of planted ones: what the check of structure is held to.

None is trained: structure needs no weights. `python -m benchmarks.graphs` exports every one and prints which are found.
"""
