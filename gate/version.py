"""The gate's own version, in a module that imports nothing, so that `gate --version` is quick."""

VERSION = "0.1.0"
