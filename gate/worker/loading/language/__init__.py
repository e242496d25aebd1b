"""A language model and its base as networks that run: of the candidate its numbers, all else of the base."""
