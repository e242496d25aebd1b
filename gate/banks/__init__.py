"""Reference banks: clean models of one task, vetted, measured by the gate's own scan and put together."""
