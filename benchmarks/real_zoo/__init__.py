"""A zoo of image classifiers of real size: photographs and pictures at 128 × 128, two nets with ImageNet's weights.

The flow, one way: `packages` installs and verifies the data, `tasks` makes two problems of them, `splits` says which
models there are, `recipe` draws how each is made, `nets` and `features` take the packaged nets apart, `making`
fine-tunes and measures, and the commands of `__main__` train, scan by `benchmarks.efficacy`, and count. Attacks,
training, store, queue and floors are the small zoo's (`benchmarks.zoo`). Decision 0037 says what was settled and tried.
"""
