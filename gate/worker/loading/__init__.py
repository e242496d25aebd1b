"""From bytes to a `Subject`: find the model, read it, put preprocessing around it, read the samples.

What cannot be examined raises `UnexaminableError` with the reason, which goes into the evidence.
"""
