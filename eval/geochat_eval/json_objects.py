"""Reading of JSON files with questions and answers: JSON lines, JSON arrays, arrays inside an object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat_data.readers import Report, read_jsonl
from geochat_data.readers.json_files import is_json_array, read_json_items

JsonObject = dict[str, Any]
_HEAD = 4096  # bytes


def read_objects(path: Path, report: Report, member: str = "") -> Iterator[tuple[str, JsonObject]]:
    """Yield the objects of a file with their positions, for any file name: one per line, or those of an array.

    Args:
        path: JSON lines, a JSON array, or a JSON object with an array in `member`.
        report: Counts items that are not objects.
        member: The member of an object that holds the array.

    Raises:
        DataError: The file cannot be read or is damaged.
    """
    if is_json_array(path):
        return _items(path, "item", report)
    if member and f'"{member}"' in _head(path):
        return _items(path, f"{member}.item", report)
    return read_jsonl(path, report)


class ObjectIndex:
    """The objects of a file by their `question_id`.

    Holds the offset of each line; the objects themselves where the file is one JSON array.

    Args:
        path: As of `read_objects`.

    Attributes:
        repeated: Ids that several objects have, of which the first is found.

    Raises:
        DataError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offsets: dict[str, int] = {}
        self._objects: dict[str, JsonObject] = {}
        self.repeated: set[str] = set()
        if is_json_array(path):
            for _, row in read_objects(path, Report()):
                self._note(row, self._objects, row)
        else:
            self._index()

    def find(self, name: str) -> JsonObject | None:
        """Return the object of an id, None if there is none."""
        if name in self._objects:
            return self._objects[name]
        if name not in self._offsets:
            return None
        with self._path.open("rb") as lines:
            lines.seek(self._offsets[name])
            row: JsonObject = json.loads(lines.readline())
            return row

    def _index(self) -> None:
        offset = 0
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                self._note(row, self._offsets, offset)
                offset += len(line)

    def _note(self, row: object, known: dict[str, Any], value: object) -> None:
        if isinstance(row, dict) and "question_id" in row:
            name = str(row["question_id"])
            if name in known:
                self.repeated.add(name)
            known.setdefault(name, value)


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8-sig", "replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error


def _items(path: Path, prefix: str, report: Report) -> Iterator[tuple[str, JsonObject]]:
    for number, row in enumerate(read_json_items(path, prefix)):
        if isinstance(row, dict):
            yield f"{path}: row {number}", row
        else:
            report.skip("not a JSON object", f"{path}: row {number}")
