"""Reading JSON lines, with an account of everything that could not be used."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat_data.records import LabelledObject, as_polygon


@dataclass(slots=True)
class Report:
    """What a reader used and what it had to leave out, and why.

    Attributes:
        used: How many records were yielded.
        reasons: How many were skipped for each reason.
        examples: The first place each reason was met.
    """

    used: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def skipped(self) -> int:
        """How many records were skipped, all reasons together."""
        return self.reasons.total()

    def skip(self, reason: str, where: str) -> None:
        """Counts one record left out."""
        self.reasons[reason] += 1
        self.examples.setdefault(reason, where)

    def __str__(self) -> str:
        lost = [f"{count} {reason} (first: {self.examples[reason]})" for reason, count in self.reasons.items()]
        return f"{self.used} used, {self.skipped} skipped" + (": " + "; ".join(lost) if lost else "")


def read_jsonl(path: Path, report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    """The objects of a JSON lines file, each with "file:line" for messages.

    Blank lines are passed over; a line that is not a JSON object is counted in `report`.

    Raises:
        DataError: The file cannot be opened.
    """
    try:
        lines = path.open("rb")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    with lines:
        for number, line in enumerate(lines, start=1):
            where = f"{path}:{number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                report.skip("not JSON", where)
                continue
            if isinstance(row, dict):
                yield where, row
            else:
                report.skip("not a JSON object", where)


def read_objects(rows: Any) -> tuple[LabelledObject, ...]:  # noqa: ANN401 - decoded JSON
    """Labelled objects from the decoded list of one row.

    Raises:
        KeyError, TypeError, ValueError: A field is missing or malformed.
    """
    return tuple(
        LabelledObject(str(row["category"]), as_polygon(row["polygon"]), bool(row.get("truncated", False)))
        for row in rows
    )
