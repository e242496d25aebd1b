"""Which releases open a bundle: `python -m tests.bundle_opens write | try [--only WORD,WORD] [--environments DIR]`.

`write` writes the corpus anew, by this gate and the installed torch. `try` makes an environment of each release from
the package index (up to 7 GB each, removed one by one), opens the corpus in it, and writes `results.json` and the table
in docs/reference/served-bundle.md. An environment that is there already, DIR/ROW, is used and stays.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bundle_opens import corpus
from tests.bundle_opens.programs import PROGRAMS
from tests.bundle_opens.table import PAGE, RESULTS, ROWS, read_results, with_table

INSTALL_SECONDS = 3600
OPEN_SECONDS = 900


def main():
    """Write the corpus, or try it in one environment after the other."""
    arguments = argparse.ArgumentParser(prog="tests.bundle_opens", description=__doc__)
    arguments.add_argument("what", choices=("write", "try"))
    arguments.add_argument("--only", default="", help="words in the rows to try, with commas; the others' results stay")
    arguments.add_argument("--environments", type=Path, help="where environments are made, and looked for first")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        if given.what == "write":
            for name in PROGRAMS:
                corpus.write(name, Path(directory) / name)
            corpus.pack(Path(directory))
            return
        results = read_results() if RESULTS.exists() else {}
        folders = corpus.unpack(Path(directory) / "corpus")
        for row in ROWS:
            if any(word in row.name for word in given.only.split(",")):
                results[row.name] = tried(row, folders, given.environments or Path(directory))
                print(row.name, json.dumps(results[row.name]), flush=True)
                keep(results)


def keep(results):
    """Write the results, in the order of the rows, and the page's table from them."""
    known = {row.name: results[row.name] for row in ROWS if row.name in results}
    RESULTS.write_text(json.dumps(known, indent=1) + "\n")
    PAGE.write_text(with_table(PAGE.read_text(), known))


def tried(row, folders, environments):
    """Return what the row's environment makes of each bundle."""
    place = environments / row.name
    made = not place.exists()
    if made:
        subprocess.run([sys.executable, "-m", "venv", place], check=True, timeout=OPEN_SECONDS)
        pip = [place / "bin" / "python", "-m", "pip", "install", "--quiet", *row.packages]
        subprocess.run(pip, check=True, timeout=INSTALL_SECONDS)
    script = Path(__file__).with_name("opening.py")
    command = [place / "bin" / "python", script, folders, *row.loaders]
    with tempfile.TemporaryDirectory() as empty:  # MLflow leaves a database where it runs
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=OPEN_SECONDS, cwd=empty)
    if made:
        shutil.rmtree(place)
    return json.loads(done.stdout)["opened"]


if __name__ == "__main__":
    main()
