"""Networks of pipelines, composed by transformers' own classes from data, in the jailed converter."""
