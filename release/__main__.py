"""`python -m release [--to dist] [--no-bom] [--allow-changes]`: sdist, wheel, bill of materials, SHA256SUMS."""

import argparse
from pathlib import Path

from gate import VERSION
from release.bom import write_bom
from release.build import build, sums
from release.sources import changed, epoch


def main() -> None:
    """Build a release of the checkout in the working directory."""
    parser = argparse.ArgumentParser(prog="python -m release", description="Build the files of a release.")
    parser.add_argument("--to", type=Path, default=Path("dist"), help="folder; files of other versions stay in it")
    parser.add_argument("--no-bom", action="store_true", help="leave the bill of materials out")
    parser.add_argument("--allow-changes", action="store_true", help="build what is not committed too; for a trial")
    given = parser.parse_args()
    root = Path.cwd()
    if (found := changed(root)) and not given.allow_changes:
        raise SystemExit(f"what would be released is not committed:\n{found}")
    at = epoch(root)
    given.to.mkdir(parents=True, exist_ok=True)
    files = list(build(root, given.to, at))
    if not given.no_bom:
        files.append(write_bom(root, given.to, VERSION, at))
    text = sums(files)
    (given.to / "SHA256SUMS").write_text(text, encoding="utf-8")
    print(text, end="")


if __name__ == "__main__":
    main()
