"""Small untrained nets with odd clean graphs, and styles of planted ones: what the check of structure is held to.

`python -m benchmarks.graphs` exports every one and prints which are found. None is trained: structure needs no weights.
"""
