"""Pure functions on arrays; nothing here knows a detector, a limit or a file."""
