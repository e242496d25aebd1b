"""Values that cross a process border, the errors, and small helpers."""
