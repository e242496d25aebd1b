"""Trigger inversion: options, metrics, and searches over classes, ways out and pairs; nothing here knows a limit."""
