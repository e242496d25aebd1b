"""The errors that the gate raises on purpose; `gate.cli` turns them into exit codes (contracts.md, section 1)."""

from gate.records.sentences import begun


class GateError(Exception):
    """An error with a sentence for the user: what happened, what was expected, what was got."""

    what_to_do: str = ""
    """One sentence of advice, shown after the message."""

    def __init__(self, message: str, *, what_to_do: str = "") -> None:
        super().__init__(message)
        if what_to_do:
            self.what_to_do = what_to_do

    @property
    def sentence(self) -> str:
        """The message as a sentence, with its advice."""
        return f"{begun(str(self))}. {self.what_to_do}".strip()


class UsageError(GateError):
    """The command, policy, waiver, bank, key, directory or samples are wrong: the operator's own mistake (exit 2)."""


class PolicyError(UsageError):
    """The policy file cannot be read, or is no valid policy (exit 2)."""


class CannotFinishError(GateError):
    """The gate could not finish: the registry, the disk or the gate itself failed (exit 3)."""


class RegistryError(CannotFinishError):
    """The registry refused, did not know the version, or did not answer (exit 3)."""


class UnknownVersionError(RegistryError):
    """The registered model or its version does not exist, or no longer exists (exit 3)."""


class RefusedAddressError(CannotFinishError):
    """An artifact lies outside the allowed stores; nothing was downloaded (exit 3, and the version is flagged).

    No `RegistryError`: the registry has answered, and asking again brings the same answer.
    """


class StoppedError(GateError):
    """A signal ended the command (exit 130 for Ctrl-C, 128 and its number for others).

    No `CannotFinishError`: a loop over models that goes on after one of those must end here.
    """

    def __init__(self, message: str, *, number: int, what_to_do: str = "") -> None:
        super().__init__(message, what_to_do=what_to_do)
        self.exit_code = 128 + number


class UnexaminableError(GateError):
    """The candidate or its samples cannot be examined; recorded in the evidence and flagged (exit 1)."""
