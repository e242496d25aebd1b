"""Image classifiers of torchvision, timm and transformers as torch exports them: which operators they are made of.

Run as a command (`python -m benchmarks.architectures --to tests/architectures`) where the three libraries are
installed; what it writes are data of tests that need none of them.
"""
