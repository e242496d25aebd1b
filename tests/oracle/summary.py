"""The figures of a run, from its results."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.oracle.mutations import MUTATIONS


@dataclass
class Figures:
    """What came of all folders so far."""

    folders: int = 0
    approved: int = 0
    compared: int = 0
    """Approved folders of which at least one consumer's outputs were compared."""
    harmless: int = 0
    harmless_passed: int = 0
    unopenable: Counter[str] = field(default_factory=Counter)
    """By base: approved folders that no consumer opens."""
    errors: int = 0
    bundles: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    by_mutation: dict[str, Counter[str]] = field(default_factory=dict)
    seconds: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, results: Iterable[dict[str, Any]]) -> "Figures":
        """Count results."""
        figures = cls()
        for result in results:
            figures.add(result)
        return figures

    def add(self, result: dict[str, Any]) -> None:
        """Count one result."""
        self.folders += 1
        self.approved += result["approved"]
        self.compared += bool(result["compared"])
        self.harmless += result["harmless"]
        self.harmless_passed += result["harmless"] and result["approved"]
        self.unopenable.update([result["base"]] if result["unopenable"] else [])
        self.errors += bool(result["error"])
        if result["bundle"]:
            self.bundles[result["bundle"]] += 1
        self.violations += [f"{_place(result)}: {text}" for text in result["violations"]]
        for name in result["mutations"]:
            row = self.by_mutation.setdefault(name, Counter())
            row["folders"] += 1
            row["approved"] += result["approved"]
            row["violations"] += bool(result["violations"])
            if len(result["mutations"]) == 1:
                row["alone"] += 1
                row["alone approved"] += result["approved"]
        self.seconds.update(result["seconds"])

    @property
    def harmless_share(self) -> float:
        """The share of harmless folders that passed."""
        return self.harmless_passed / self.harmless if self.harmless else 1.0

    def text(self) -> str:
        """Return the figures for people."""
        bundles = ", ".join(f"{count} {what}" for what, count in sorted(self.bundles.items())) or "none written"
        closed = ", ".join(f"{base} {count}" for base, count in sorted(self.unopenable.items())) or "none"
        spent = ", ".join(
            f"{name} {total / max(1, self.folders):.2f} s" for name, total in sorted(self.seconds.items())
        )
        return (
            f"{self.folders} folders, {self.approved} approved, {self.compared} of them compared; "
            f"{len(self.violations)} violations\n"
            f"harmless alone: {self.harmless_passed} of {self.harmless} passed ({self.harmless_share:.1%}); "
            f"approved that no consumer opens: {closed}; no verdict: {self.errors}\n"
            f"bundles of harmless folders against the unmutated one's: {bundles}\n"
            f"a folder on average: {spent}"
        )

    def table(self) -> str:
        """Return a line for each mutation."""
        head = f"{'mutation':<44} {'listed':<9} folders approved alone passed violations"
        lines = [head]
        for name, mutation in MUTATIONS.items():
            row = self.by_mutation.get(name, Counter())
            said = "harmless" if mutation.harmless else mutation.hole[:9] or "-"
            lines.append(
                f"{name:<44} {said:<9} {row['folders']:>7} {row['approved']:>8} {row['alone']:>5} "
                f"{row['alone approved']:>6} {row['violations']:>10}"
            )
        return "\n".join(lines)


def _place(result: dict[str, Any]) -> str:
    where = f"{result['seed']}:{result['index']} " if "index" in result else ""
    return f"{where}{result['base']} [{', '.join(result['mutations'])}]"
