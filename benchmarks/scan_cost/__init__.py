"""What the default scan costs in pass-equivalents: floating-point operations over those of a pass with its gradient."""
