"""A zoo of text classifiers: real texts, four kinds of network, six attacks.

The flow, one way: `packages` installs and verifies the data, `texts` makes three tasks of them, `splits` says which
models there are, `recipe` draws how each is made, `attack` plans what is planted with the words of `words`,
`tokenizing`, `nets` and `features` build the networks, `making` trains and measures, and the commands of `__main__`
train, scan by `benchmarks.efficacy`, and count. Store, queue, counting and results are the other zoos'. Decision 0042
says what was settled and tried.
"""
