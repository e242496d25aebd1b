"""Pure functions on arrays that two or more detectors share; nothing here knows a detector, a limit or a file."""
