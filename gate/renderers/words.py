"""The fixed sentences of the report: what a decision, an assurance level, a mark or a picture means.

None of them calls a model safe; the most that is said is that no limit was exceeded.
"""

from enum import StrEnum

from gate.records.evidence import Assurance


class Mark(StrEnum):
    """The result of one metric or detector under the policy; shown as a word and a sign, never as a colour alone."""

    EXCEEDED = "limit exceeded"
    MISSING = "not judged"
    WAIVED = "waived"
    WITHIN = "within limit"
    IDLE = "not needed"
    NO_LIMIT = "no limit set"
    CONFIRMS = "exceeded, confirms only"

    @property
    def sign(self) -> str:
        """A character that tells the marks apart without colour."""
        return _SIGNS[self]

    @property
    def css(self) -> str:
        """The mark as a CSS class."""
        return "mark-" + self.name.lower().replace("_", "-")


_SIGNS = {
    Mark.EXCEEDED: "✕",
    Mark.MISSING: "?",
    Mark.WAIVED: "◐",
    Mark.WITHIN: "✓",
    Mark.IDLE: "–",
    Mark.NO_LIMIT: "·",
    Mark.CONFIRMS: "○",
}

DECISION_WORDS = {"approved": "APPROVED", "flagged": "FLAGGED for human review", "unfinished": "COULD NOT FINISH"}

UNEXAMINED = "behaviour not examined"
"""Ending of the decision's word under a policy that judges bytes alone."""

DECISION_MEANS = {
    "approved": "No limit was exceeded, and nothing that the policy requires was missing. This is no proof that the "
    "model carries no backdoor: read what was not examined.",
    "flagged": "Something stands against approval, or something that the policy requires was not measured. Promotion "
    "is blocked until a person has looked.",
    "unfinished": "The gate did not come to a verdict. Without a verdict the version is not approved, and promotion is "
    "blocked.",
}

DECISION_MEANS_WITH_ODDITIES = (
    "On what the policy serves, no limit was exceeded, and nothing that the policy requires was missing. Oddities of "
    "the candidate's own files, which do not go with the bundle, are listed below and do not flag. This is no proof "
    "that the model carries no backdoor: read what was not examined."
)

ASSURANCE_MEANS: dict[Assurance | None, str] = {
    "A": "Code-free: the candidate was read without running any code of its own.",
    "B": "Converted: the candidate's own code ran once, in isolation. What it left was read as a hostile file, and the "
    "gate wrote a code-free bundle from it. The verdict covers that bundle alone, and nothing else may be promoted; "
    "the original files may behave differently.",
    "C": "Behaviour only: the candidate's own code ran during the measurements. A model can behave while it is "
    "watched, so nothing measured here binds what it does elsewhere.",
    None: "Not loaded: the candidate was never run, so nothing is known of its behaviour.",
}

MEASURED_MEANS = {
    "bundle": "Detectors on files looked at the candidate's own; all others measured the bundle that the gate wrote "
    "from what it read.",
    "candidate": "No bundle was written, so the candidate itself was measured.",
}
"""The examined bytes at level A, by whether a bundle was written."""

CALIBRATED_MEANS = (
    "If the candidate is as exchangeable with the bank's clean models as its accuracy and norms suggest, a clean one "
    "gets such a p-value or a smaller one no more often than the p-value says."
)
SELF_MADE_MEANS = (
    "The bank is self-made: `gate bank make` trained its models on data that its maker trusts. A clean candidate that "
    "was trained as they were gets such a p-value or a smaller one no more often than the p-value says. Of the gate's "
    "own zoo, whose clean models are trained otherwise, four such banks flagged 1 of 37 at level 0.05, 3% [0%, 14%]: "
    "small nets, trained on the source of the copies' data."
)
WITHIN_MEANS = (
    "A clean candidate that is like those models gets such a p-value or a smaller one no more often than the p-value "
    "says: the rate is measured on them, and holds for candidates like them alone. Fewer backdoors are seen within one "
    "model than beside a bank of its own task."
)
UNCALIBRATED_MEANS = (
    "Every limit is the policy's own figure, with the source that it "
    "states; it is no false-alarm rate measured on clean models of this kind. A clean model may exceed a limit, and a "
    "backdoored one may stay within it."
)

CONFIRMED_MEANS = (
    "A planted trigger works on samples that its search never saw, is smaller than clean models need, moves hardly any "
    "sample on clean models, and its way back is larger. A natural weakness moves clean models too. Stability tells "
    "how far the search itself is to be trusted. None of these numbers clears a suspect by itself."
)

ROLE_TITLES = {
    "mask": "Mask",
    "pattern": "Pattern",
    "trigger": "Trigger",
    "sample": "Clean sample",
    "triggered": "With the trigger",
    "difference": "Difference",
    "inversion": "Model inversion",
}
"""Titles in the order in which pictures are shown."""

ROLE_MEANS = {
    "mask": "where the inverted trigger acts; white is full strength",
    "pattern": "the colours that the inverted trigger would put there",
    "trigger": "mask × pattern: the trigger as it is applied to an image",
    "sample": "an input as it was given",
    "triggered": "the same kind of input with the inverted trigger applied",
    "difference": "what the trigger changed",
    "inversion": "an input synthesised from noise to maximise the class",
}
