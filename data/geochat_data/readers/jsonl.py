"""Reading JSON lines, with an account of everything that could not be used."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from shapely import Polygon as Shape
from shapely import box as rectangle

from geochat.errors import DataError
from geochat_data.readers.placing import Placement
from geochat_data.readers.report import Report
from geochat_data.readers.values import flag
from geochat_data.records import LabelledObject, as_polygon

LEAST_AREA = 1.0  # square pixels


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
        LabelledObject(str(row["category"]), as_polygon(row["polygon"]), flag(row.get("truncated"))) for row in rows
    )


def lay(objects: Iterable[LabelledObject], placement: Placement) -> tuple[tuple[LabelledObject, ...], frozenset[str]]:
    """Objects in pixels of the image as shown, and the categories of those without area or outside it, left out.

    Polygons are otherwise as they are in the file, each of them once.
    """
    frame = rectangle(0, 0, *placement.size)
    kept: dict[LabelledObject, None] = {}
    lost: set[str] = set()
    for item in objects:
        moved = item
        if not placement.to_image.is_identity:
            moved = replace(item, polygon=as_polygon([placement.to_image @ corner for corner in item.polygon]))
        if moved.area < LEAST_AREA or Shape(moved.polygon).convex_hull.intersection(frame).area <= 0:
            lost.add(item.category)
        else:
            kept[moved] = None
    return tuple(kept), frozenset(lost)
