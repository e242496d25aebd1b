"""What everything stands on: values that cross a process border, the errors, and helpers that import nothing."""
