"""The command line: arguments and environment in; files, terminal text and an exit code out."""
