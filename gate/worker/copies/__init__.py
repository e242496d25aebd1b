"""Copies of a candidate's own program, trained anew on trusted data: the models of a self-made bank."""
