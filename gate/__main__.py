"""`python -m gate` and the console script: hand over to the command line."""

import os
import sys

_USAGE, _INTERRUPTED = 2, 130


def main() -> None:
    """Run the command line and leave with its exit code."""
    # Answered before anything is imported: a pipeline asks for the version often, and waits for it.
    if sys.argv[1:] == ["--version"]:
        from gate import VERSION  # noqa: PLC0415

        sys.stdout.write(f"gate {VERSION}\n")
        return
    try:
        if sys.platform != "linux":
            # Before the command line, most of which needs Linux to be imported at all.
            from gate.cli.linux import refusal  # noqa: PLC0415

            if said := refusal(sys.platform, sys.argv[1:], os.environ):
                sys.stderr.write(f"{said}\n")
                sys.exit(_USAGE)
        from gate.cli.main import run  # noqa: PLC0415

        code = run()
    except KeyboardInterrupt:  # while the command line was still being imported
        sys.stderr.write("gate: error: interrupted\n")
        sys.exit(_INTERRUPTED)
    sys.exit(code)


if __name__ == "__main__":
    main()
