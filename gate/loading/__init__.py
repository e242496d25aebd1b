"""From bytes to tensors to a classifier: everything here runs in a worker and refuses to run a candidate's code."""
