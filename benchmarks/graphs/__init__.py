"""What the check of structure finds in the nets of `tests/graphs`, printed."""
