"""An account of what a reader used and what it had to leave out."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from geochat.errors import DataError

_PLACES = 100  # kept for each reason


@dataclass(slots=True)
class Report:
    """What a reader used and what it had to leave out, and why.

    Attributes:
        strict: Whether the first thing that cannot be used is an error.
        used: How many records were yielded.
        reasons: How many things were skipped for each reason.
        places: Where: the first hundred for each reason.
    """

    strict: bool = False
    used: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        """How many things were skipped, all reasons together."""
        return self.reasons.total()

    def skip(self, reason: str, where: str, *, wanted: bool = False) -> None:
        """Counts one thing left out: a line, an image or a box.

        Args:
            reason: Why, in words that are the same for all of its kind.
            where: Which, as "file:line" where there are lines.
            wanted: Whether the caller asked for it, which `strict` lets pass.

        Raises:
            DataError: The report is strict.
        """
        if self.strict and not wanted:
            raise DataError(f"{where}: {reason}; mend it, or read without strict to leave it out")
        self.reasons[reason] += 1
        places = self.places.setdefault(reason, [])
        if len(places) < _PLACES:
            places.append(where)

    def to_dict(self) -> dict[str, Any]:
        """The account, JSON-ready."""
        reasons = {name: {"count": count, "places": self.places[name]} for name, count in self.reasons.items()}
        return {"used": self.used, "skipped": self.skipped, "reasons": reasons}

    def __str__(self) -> str:
        lost = [f"{count} {reason} (first: {self.places[reason][0]})" for reason, count in self.reasons.items()]
        return f"{self.used} used, {self.skipped} skipped" + (": " + "; ".join(lost) if lost else "")
