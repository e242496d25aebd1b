"""The container image: how it is built, and the trial that runs it as a pipeline would (`make container-test`).

`health.py` is part of the image; everything else here stays outside it.
"""
