"""The promotion gate: examine a candidate model version for backdoors before it is promoted.

The flow, one way, in plain values:

`registries` pull a version into a private, hashed copy (`artifact`); a `worker` process without credentials loads it
(`loading` fills a `Subject`) and runs the `detectors`, whose measurements become `Evidence`; `verdict.judge` compares
the evidence with the `Policy` and yields a `Verdict`; `renderers` turn the `Report` into files; the registry is marked.
Detectors measure, policy judges, and silence is never approval.
"""

VERSION = "0.1.0"
"""Stands here, where nothing is imported, so that `gate --version` is quick."""

__version__ = VERSION
__all__ = ["VERSION", "__version__"]
