"""The grid of probes alone, beside banks: `count` keeps each model's counts, `table` compares them.

No jail and no scan, so that a change of the statistic costs seconds and a change of the probes minutes; what the whole
gate makes of a model is `benchmarks.efficacy`. Settings are chosen on fit beside calibrate.
"""
