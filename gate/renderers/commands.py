"""The next steps' commands, each complete: the arguments of the report's check, quoted for a shell.

A capital word is a placeholder for what only the reader knows. Any text of a registry or a path stays one word.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gate.policies.packaged import NAMES
from gate.records.report import Given, Report

NEW_SIGNING_KEY, NEW_PUBLIC_KEY = "gate-signing.pem", "gate-signing.pub.pem"
"""Default output of `gate keys generate`."""
NEW_LOG, NEW_BANK = "gate-reviews.jsonl", "gate-bank.json"
PRODUCTION, ALIAS = "PRODUCTION", "champion"
SAMPLES, TEXTS, REASON, CLEAN, OWN_POLICY = "SAMPLES.npz", "SAMPLES.jsonl", "WHY", "models:/CLEAN/{}", "POLICY.yml"
USUAL_DIRECTORY = Given().directory

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*(:[^@?#]*)?|[^@?#:]*", re.IGNORECASE)


def tellable(uri: str | None) -> str:
    """Return an address without user, password and query for a report; empty for any other."""
    return uri if uri and len(uri) <= 4096 and _ADDRESS.fullmatch(uri) else ""


Cause = Literal[
    "unfinished",
    "earlier-gate",
    "log-again",
    "files-only",
    "install",
    "allow-code",
    "samples",
    "bank",
    "base",
    "environment",
    "one-output",
    "scan-again",
    "look",
    "repair",
    "repeat",
    "sign",
    "reviewers",
    "review",
    "blocked",
    "promote",
    "no-bundle",
    "register",
]


@dataclass(frozen=True)
class Step:
    """One step to take."""

    cause: Cause
    sentence: str
    command: str = ""
    """Command for a shell; empty where none would help."""


@dataclass(frozen=True)
class Commands:
    """The gate's commands about one version, with the arguments of the report's check."""

    uri: str
    given: Given
    pinned_samples: str = ""
    """Samples that the policy names; no command repeats them."""
    folder: bool = False
    """Whether the model is a folder on disk, where nothing can be marked."""

    def of_bytes(self, policy: str) -> "Commands":
        """Return the same commands under a policy that judges bytes alone, and so takes neither samples nor bank."""
        without = {"policy": policy, "samples": "", "bank": "", "base": "", "against": ""}
        return replace(self, given=self.given.model_copy(update=without), pinned_samples="")

    def check(self, *more: str, samples: str = "", bank: str = "", to: str = "") -> str:
        """Return the check again with further options; `to` ends the name of its own report directory.

        A later step publishes what is in the directory of this check.
        """
        return self._check(self.uri, more, samples=samples, bank=bank, to=to)

    def check_new(self, uri: str, to: str) -> str:
        """Return the check of another version, which carries no code."""
        return self._check(uri, (), to=to, code=False)

    def _check(
        self, uri: str, more: Sequence[str], *, samples: str = "", bank: str = "", to: str = "", code: bool = True
    ) -> str:
        given = self.given
        words = ["gate", "check", uri, "--policy", self.given.policy, *self._samples(samples), *self._bank(bank)]
        words += [
            *_named("--base", given.base),
            *_named("--against", given.against),
            *_named("--probe-seed", given.probe_seed),
        ]
        directory = f"{given.directory}-{to}" if to else given.directory
        words += _named("--report-dir", directory if directory != USUAL_DIRECTORY else "")
        words += ["--allow-code"] if code and given.allow_code and "--allow-code" not in more else []
        if "--no-mark" in more or self.folder:  # nothing is signed that is not marked
            more = [*more, *([] if "--no-mark" in more else ["--no-mark"])]
            return shlex.join([*words, *more, *self._registry()])
        return shlex.join([*words, *more, *self._signing(), *self._registry()])

    def remediate(self, version: str) -> str:
        """Return the repair of a version by the triggers that its check left, in a directory of its own."""
        directory = _path(self.given.directory)
        words = ["gate", "remediate", version, "--from", directory, "--report-dir", f"{directory}-repair"]
        return shlex.join([*words, "--policy", self.given.policy, *self._samples(), *self._bank(), *self._registry()])

    def bank_build(self) -> str:
        """Return the build of a bank, with placeholders for two clean models."""
        words = ["gate", "bank", "build"]
        for number in (1, 2):
            words += ["--model", CLEAN.format(number)]
        words += ["--to", NEW_BANK]
        words += _named("--probe-seed", self.given.probe_seed)
        return shlex.join([*words, "--policy", self.given.policy, *self._samples(), *self._registry()])

    def beside_base(self, policy: str, base: str) -> str:
        """Return the check under the packaged policy for what is judged beside a base, and this base."""
        given = self.given.model_copy(update={"policy": policy, "samples": "", "bank": "", "against": "", "base": base})
        return replace(self, given=given, pinned_samples="").check()

    def bank_beside_base(self, kind: str) -> str:
        """Return the build of a bank of this kind and base, with a placeholder for the registered model."""
        words = ["gate", "bank", "build", "--kind", kind, "--base", self.given.base or "models:/BASE/VERSION"]
        words += ["--registered-model", "NAME", "--to", NEW_BANK]
        return shlex.join([*words, "--policy", self.given.policy, *self._registry()])

    def judge(self) -> str:
        """Return the judgement of the evidence by a policy of the reader's own."""
        own = OWN_POLICY if self.given.policy in NAMES else self.given.policy
        return shlex.join(["gate", "judge", _path(self.given.directory), "--policy", own])

    def publish(self) -> str:
        """Return the command that signs and marks a finished check, without a scan."""
        words = ["gate", "publish", _path(self.given.directory)]
        return shlex.join([*words, *self._signing(needed=True), *self._registry()])

    def doctor(self) -> str:
        """Return the examination of this machine and the registry."""
        return shlex.join(["gate", "doctor", *self._registry()])

    def keys(self) -> str:
        """Return the generation of a pair of keys."""
        return shlex.join(["gate", "keys", "generate", "--to", NEW_SIGNING_KEY])

    def explain(self, rule: str) -> str:
        """Return the explanation of a detector."""
        return shlex.join(["gate", "explain", rule])

    def show(self, version: str) -> str:
        """Return the command that shows the signed decision about a version."""
        return shlex.join(["gate", "review", "show", version, *self._trusted(), *self._registry()])

    def decide(self, outcome: str, version: str) -> str:
        """Return a reviewer's decision, `approve` or `reject`, with a placeholder for the reason."""
        words = ["gate", "review", outcome, version, "--reason", REASON]
        words += ["--expires", "30d"] if outcome == "approve" else []
        words += ["--policy", self.given.policy, *self._signing(needed=True), *self._trusted()]
        return shlex.join([*words, *self._registry()])

    def promote(self, version: str) -> str:
        """Return the copy of the bundle into production."""
        words = [
            "gate",
            "promote",
            version,
            "--to",
            PRODUCTION,
            "--alias",
            ALIAS,
            "--policy",
            self.given.policy,
            *self._trusted(),
        ]
        words += _named("--audit-log", self.given.audit_log)
        return shlex.join([*words, *self._registry()])

    def _samples(self, samples: str = "") -> list[str]:
        named = samples or self.given.samples
        return _named("--samples", "" if named == self.pinned_samples else named)

    def _bank(self, bank: str = "") -> list[str]:
        return _named("--bank", bank or self.given.bank)

    def _registry(self) -> list[str]:
        given = self.given
        words = [*_named("--tracking-uri", given.tracking_uri), *_named("--registry-uri", given.registry_uri)]
        return [*words, *_named("--experiment", given.experiment)]

    def _signing(self, *, needed: bool = False) -> list[str]:
        """Return key and log; where a key is needed and none was given, those that a new pair would have."""
        given = self.given
        key = given.signing_key or (NEW_SIGNING_KEY if needed and not given.signs else "")
        # A review is logged before it counts, after the decision that it is about.
        log = given.audit_log or (NEW_LOG if needed else "")
        return [*_named("--signing-key", key), *_named("--audit-log", log)]

    def _trusted(self) -> list[str]:
        given = self.given
        keys = given.public_keys or (() if given.trusts else (NEW_PUBLIC_KEY,))
        return [word for key in keys for word in ("--public-key", key)]


def _named(option: str, value: str) -> list[str]:
    return [option, value] if value else []


def _path(path: str) -> str:
    """Return a path that no command takes for an option."""
    return f"./{path}" if path.startswith("-") else path


def pieces(text: str) -> Iterator[str]:
    """Yield the parts of a command that stay on one line: words up to the first option, then each option and its value.

    A text that `shlex.join` cannot have made stays whole.
    """
    try:
        words = shlex.split(text)
    except ValueError:
        yield text
        return
    if shlex.join(words) != text:
        yield text
        return
    piece: list[str] = []
    for word in words:
        if word.startswith("--") and piece:
            yield shlex.join(piece)
            piece = []
        piece.append(word)
    yield shlex.join(piece)


def commands_for(report: Report) -> Commands:
    """Return the commands about a report's version, with the arguments of its check."""
    given, evidence = report.given, report.evidence
    if evidence is not None:
        # Where another step judged, the evidence has the arguments of the scan.
        samples = given.samples or (evidence.samples.source if evidence.samples else "")
        bank = given.bank or (evidence.bank.source if evidence.bank and evidence.bank.by_option else "")
        code = given.allow_code or evidence.assurance in ("B", "C")
        given = given.model_copy(update={"samples": samples, "bank": bank, "allow_code": code})
    model = report.model
    pinned = report.policy.samples.of(model.name if model else "").uri or ""
    return Commands(report.uri, given, pinned, folder=model is not None and model.version is None)


def version_of(report: Report) -> str:
    """Return the version's name; empty for a folder, which can be neither marked nor promoted."""
    model = report.model
    return str(model) if model is not None and model.version is not None else ""


def latest(report: Report) -> str:
    """Return the newest version of the registered model, which the reader is about to log; a folder's own URI."""
    model = report.model
    return f"models:/{model.name}/latest" if model is not None and model.version is not None else report.uri
