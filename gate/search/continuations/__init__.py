"""Tokens that make a language model continue prompts alike, unlike its base: ranked, lengthened, confirmed."""
