"""Reading JSON lines, with an account of everything that could not be used."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat_data.readers.report import Report
from geochat_data.records import LabelledObject, as_polygon


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
            except (ValueError, RecursionError):
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
