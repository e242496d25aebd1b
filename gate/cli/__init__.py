"""The command line: arguments and environment in; files, terminal text and an exit code out.

Only this package prints, and only `main.run` turns an error into an exit code (docs/reference/contracts.md, section 1).
"""
