"""Names in a report besides detectors and metrics, with their meaning and remedy, for `gate explain`."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """One name and what it means."""

    title: str
    means: str
    mend: str = ""
    """Remedy."""


TERMS = {
    "approved": Term(
        "A decision",
        "No limit of the policy was exceeded, and nothing that it requires was missing. No proof that the model "
        "carries no backdoor: the report says what was not examined. Exit code 0.",
        "`gate promote` copies the bundle into production, where the decision is signed.",
    ),
    "flagged": Term(
        "A decision",
        "A limit was exceeded, or something that the policy requires was not measured. Promotion is blocked until "
        "a person has looked. Exit code 1.",
        "Read the findings; then fix what they name, `gate remediate`, or `gate review approve` or `reject`.",
    ),
    "rejected": Term(
        "A reviewer's decision",
        "A reviewer has looked and refuses the version. It stays flagged, and the rejection is signed and logged.",
    ),
    "could-not-finish": Term(
        "No decision",
        "The gate came to no verdict (gate/could-not-finish): the registry, the disk or the gate itself failed, "
        "or the check was interrupted. Exit code 3.",
        "Remove the cause that is named, and run the same command again; finished measurements are reused.",
    ),
    "limit": Term(
        "A kind of finding",
        "A measured number lies beyond the policy's limit. The limit, and where it comes from, stand beside it.",
    ),
    "silence": Term(
        "A kind of finding",
        "Something that the policy asks for was not measured: skipped, failed, not finite, or absent. Silence is "
        "never approval.",
        "The message names the cause: mostly samples that are missing, or a model that could not be read.",
    ),
    "condition": Term(
        "A kind of finding",
        "Something about the check as a whole does not hold, such as the isolation, the accuracy on the samples "
        "or the assurance level.",
    ),
    "scan": Term(
        "A condition",
        "Something could not be examined at all: the samples do not fit the model, a file is no plain file, a "
        "worker was killed, bytes changed between pull and scan.",
        "The message is the reason. Fix it and check again.",
    ),
    "samples": Term(
        "A condition",
        "The clean samples are not those that the policy pins, carry no labels where they are needed, or the "
        "model gets too few of them right. The classic cause is another preprocessing than in training.",
        "Compare `bounds`, `layout`, `mean` and `std` under `samples` in the policy with the training code.",
    ),
    "assurance": Term(
        "A condition",
        "How free of the candidate's own code the measurement was. A: read without running any. B: its code ran "
        "once in the jail, and only the bundle that the gate wrote from what it left is judged. C: its code ran "
        "during the measurements. None: it was not loaded.",
        "Log the model so that it carries no code: mlflow.pytorch.log_model with an input_example on MLflow 3 "
        "writes an exported program. Or `gate check --allow-code`, for level B.",
    ),
    "padding": Term(
        "A condition",
        "The model answers a text otherwise where others in a batch are longer and it is filled up; detectors ask "
        "without that, and a consumer's batch has it.",
        "Log the model with an attention mask by which padding counts for nothing.",
    ),
    "isolation": Term(
        "A condition",
        "The worker ran in a weaker jail than the policy asks for (`isolation`).",
        "`gate doctor` says what this machine can do; docs/reference/jail.md what it takes.",
    ),
    "batch": Term(
        "A condition",
        "The model takes several samples at once, and its graph does not show that they leave each other's "
        "answers alone; so each was examined by itself.",
        "Log it with an input example of one sample, or without operators that mix the samples of a batch.",
    ),
    "outputs": Term(
        "A condition",
        "The model has an output that was not examined, and nothing shows that it gives the same decision as the "
        "judged one.",
        "Export it with one output, or accept this one by name under `samples: unexamined-outputs`.",
    ),
    "bundle": Term(
        "A condition",
        "The policy serves the gate's bundle alone (`serve: bundle`), and none was written or it misses something.",
        "The report says why; `gate explain assurance` says how a model is logged so that it can be read.",
    ),
    "calibration": Term(
        "A condition",
        "The p-value over a bank of clean models judges, or the bank that the policy names was not there or does "
        "not fit the scan.",
        "`gate bank build` makes a bank of trusted clean models, and `gate bank make` one of copies of the candidate's "
        "own program, trained on data that you trust; docs/how-to/bank.md says how many are needed.",
    ),
    "probe-seed": Term(
        "A condition",
        "The policy asks for secret probes (`probe-seed: required`), and none were applied.",
        "Scan with `--probe-seed`, the seed that the bank was made with. A model whose own code was run gets none.",
    ),
    "p-value": Term(
        "The number of a calibrated verdict",
        "If the candidate were one more clean model like the bank's, how probable is a score as bad as this or "
        "worse. Below the policy's `level` it flags. A bank of n models cannot give less than 1/(n + 1). "
        "Without a usable bank the models are clean ones of other tasks that come with the gate, compared within each "
        "model.",
    ),
    "accuracy": Term(
        "Of the samples",
        "The share of the clean samples that the model gets right, by their labels. Below twice chance, or below "
        "the policy's `min-accuracy`, nothing that was measured on them is believed.",
    ),
    "repair": Term(
        "A condition",
        "The candidate is a repaired model. Its p-value is divided by the attempts that were planned, and a seed "
        "or detector that the repair used proves nothing about it.",
        "Check it under another seed, by a policy with a judging detector that the repair did not use.",
    ),
    "suspect": Term(
        "A mark on a class or a pair",
        "A class whose numbers are odd enough that later stages look closer. The rule for it is wider than the "
        "limit that flags, so a suspect alone is no finding.",
    ),
    "waived": Term(
        "A mark on a finding",
        "The policy's `waivers` accept this finding for this model digest, with a reason, an approver and an expiry.",
    ),
    "told": Term(
        "A mark on a finding",
        "An oddity of the candidate's own files that does not go with the bundle; under `serve: bundle` it is "
        "told and does not flag.",
    ),
    "confirms-only": Term(
        "A mark on a measurement",
        "The limit is exceeded, but beside a believed p-value it is shown and does not judge (`judges: "
        "uncalibrated-only`).",
    ),
}
