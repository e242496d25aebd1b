"""Real trained models that packages carry: clean controls of 1000 and of 10 classes, and one with a planted backdoor.

The flow, one way: `packages` finds the files, `nets` reads them into plain torch, `pictures` gives real images to
measure on, `implanting` plants a backdoor by fine-tuning, and `making` exports, measures and records. What is made lies
in the zoo's cache below `packaged`; `index.jsonl` beside this file is what is committed.
"""
