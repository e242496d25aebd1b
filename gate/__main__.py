"""`python -m gate` and the console script: hand over to the command line."""

import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Answered before anything is imported: a pipeline asks for the version often, and waits for it.
    if sys.argv[1:] == ["--version"]:
        from gate.version import VERSION  # noqa: PLC0415

        sys.stdout.write(f"gate {VERSION}\n")
        return
    from gate.cli import run  # noqa: PLC0415

    sys.exit(run())


if __name__ == "__main__":
    main()
