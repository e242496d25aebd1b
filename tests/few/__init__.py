"""Models of one logit and of few classes: read, measured, and judged beside a bank."""
