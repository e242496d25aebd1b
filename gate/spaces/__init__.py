"""Input spaces: what a sample, a trigger and a picture are; `subject` is what a detector looks at."""
