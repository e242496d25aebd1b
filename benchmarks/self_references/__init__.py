"""What self-made references are worth: copies of a candidate's graph, trained anew on the clean samples, beside it.

A prototype on the fit split alone. `copies` trains, `measuring` keeps what the detectors saw of each copy, `choice`
says which models take part, `comparing` sets a candidate beside its copies; `__main__` is the command.
"""
