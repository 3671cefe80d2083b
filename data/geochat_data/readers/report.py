"""Report of a reader: what it used and what it skipped, with reasons."""

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from geochat.errors import DataError, ImageError

_MOST_PLACES = 100  # kept for each reason
ANY = "any category"


@dataclass(slots=True)
class Report:
    """Counts of used and skipped things, the reasons, and the categories that are unknown as a result.

    Attributes:
        strict: Whether the first unusable item is an error.
        used: Number of records yielded.
        reasons: Number of things skipped, by reason.
        places: Their places: the first hundred for each reason and each note.
        notes: Number of remarks by text: things used in an unusual way, or left out on purpose.
        unused_labels: Number of labels among the things skipped.
        unknown_images: Number of records in which the count of some category is unknown because a label is unused.
        unknown: The same by category; `ANY` counts records in which every category is unknown.
    """

    strict: bool = False
    used: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)
    notes: Counter[str] = field(default_factory=Counter)
    unused_labels: int = 0
    unknown_images: int = 0
    unknown: Counter[str] = field(default_factory=Counter)

    @property
    def skipped(self) -> int:
        """Total number of things skipped."""
        return self.reasons.total()

    def skip(self, reason: str, where: str, *, wanted: bool = False) -> None:
        """Count one skipped thing: a line, an image or a box.

        Args:
            reason: The reason, in the same words for all of its kind.
            where: The place, as "file:line" where there are lines.
            wanted: Whether the caller asked for it; `strict` lets that pass.

        Raises:
            DataError: The report is strict.
        """
        if self.strict and not wanted:
            raise DataError(f"{where}: {reason}; fix it, or read without strict to leave it out")
        self.reasons[reason] += 1
        self._remember(reason, where)

    def skip_label(self, reason: str, where: str) -> None:
        """Count one skipped label; the caller must make its category unknown in its image.

        Raises:
            DataError: The report is strict.
        """
        self.skip(reason, where)
        self.unused_labels += 1

    def note(self, what: str, where: str) -> None:
        """Count a remark on a thing that is used, or skipped on purpose; `strict` permits it."""
        self.notes[what] += 1
        self._remember(what, where)

    def unknown_in_image(self, categories: Collection[str | None]) -> None:
        """Count one record in which the number of objects of some categories is unknown; None stands for any."""
        if categories:
            self.unknown_images += 1
            self.unknown.update(ANY if category is None else category for category in set(categories))

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-ready values."""
        return {
            "used": self.used,
            "skipped": self.skipped,
            "reasons": self._listed(self.reasons),
            "notes": self._listed(self.notes),
            "unused_labels": self.unused_labels,
            "unknown": {"images": self.unknown_images, "categories": dict(self.unknown)},
        }

    def __str__(self) -> str:
        lost = [f"{count} {reason} (first: {self.places[reason][0]})" for reason, count in self.reasons.items()]
        text = f"{self.used} used, {self.skipped} skipped" + (": " + "; ".join(lost) if lost else "")
        if self.unused_labels or self.unknown_images:
            text += f"; labels unused: {self.unused_labels}, images with a category unknown: {self.unknown_images}"
        if self.notes:
            remarks = (f"{count} {what} (first: {self.places[what][0]})" for what, count in self.notes.items())
            text += f"; notes: {'; '.join(remarks)}"
        return text

    def _listed(self, counts: Counter[str]) -> dict[str, Any]:
        return {name: {"count": count, "places": self.places[name]} for name, count in counts.items()}

    def _remember(self, what: str, where: str) -> None:
        places = self.places.setdefault(what, [])
        if len(places) < _MOST_PLACES:
            places.append(where)


@contextmanager
def images_may_fail(report: Report | None) -> Iterator[None]:
    """Count an image whose pixels cannot be read and leave the block; without a report the error is raised.

    Raises:
        DataError: The report is strict and an image cannot be read.
        ImageError: There is no report and an image cannot be read.
    """
    try:
        yield
    except ImageError as error:
        if report is None:
            raise
        report.skip("image whose pixels cannot be read", str(error))
