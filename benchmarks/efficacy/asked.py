"""Published detectors and the gate on the same models: those that a peer was asked about, and no others.

Between the judging and the page. A slow peer is asked about a drawn part of a split, so that its shares stand beside
the gate's of the whole split without being comparable; here each peer has a table of its own.
"""

from collections.abc import Sequence

from benchmarks.efficacy import tables
from benchmarks.efficacy.judged import GATE, GATE_BESIDE, Judged, among
from benchmarks.efficacy.results import result_of

Answers = dict[str, Sequence[Judged]]
"""What each peer said, by its id."""


def text(command: str, answers: Answers, beside: Sequence[Judged], alone: Sequence[Judged], seed: int) -> str:
    """Return a table a peer: its answers, and the gate's on the same models; `beside` is empty without a bank.

    `command` makes the tables.
    """
    parts = [f"```\n{command}\n```"]
    for peer, rows in answers.items():
        names = {row.name for row in rows}
        systems = [(f"{peer} (peer)", rows), (GATE_BESIDE, among(beside, names)), (GATE, among(alone, names))]
        results = [result_of(system, found, (), seed=seed) for system, found in systems if found]
        parts += [f"`{peer}`, asked about {_counted(rows)}:", tables.side_by_side(results).strip()]
        parts += [_refused(rows)] if any(row.flagged is None for row in rows) else []
    return "\n\n".join(parts) + "\n"


def _counted(rows: Sequence[Judged]) -> str:
    planted = [row for row in rows if row.backdoored]
    clean = [row for row in rows if not row.backdoored]
    tasks, attacks = len({row.task for row in clean}), len({row.attack for row in planted})
    return f"{len(clean)} clean models (tasks: {tasks}) and {len(planted)} backdoored ones (attacks: {attacks})"


def _refused(rows: Sequence[Judged]) -> str:
    silent = [row for row in rows if row.flagged is None]
    planted = sum(row.backdoored for row in silent)
    why = "by a peer that failed or names no threshold"
    return f"Without an answer, {why}: {len(silent) - planted} clean and {planted} backdoored."
