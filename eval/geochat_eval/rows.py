"""Streams of rows from the files questions and answers come in: JSON lines, JSON arrays, arrays inside an object."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geochat.errors import DataError, SettingsError
from geochat_data.readers import Report, read_jsonl

Row = dict[str, Any]
_HEAD = 4096
_SMALL = 64 << 20  # bytes of JSON that are read whole where ijson is missing


def read_rows(path: Path, report: Report, member: str = "") -> Iterator[tuple[str, Row]]:
    """The objects of a file with their places, whatever its name: one a line, or those of an array.

    Args:
        path: JSON lines, a JSON array, or a JSON object with an array in `member`.
        report: Counts what is no object.
        member: The member of an object that holds the array.

    Raises:
        DataError: The file cannot be read or is damaged.
        SettingsError: The file is large and the package that streams JSON is not installed.
    """
    head = _head(path)
    if is_array(head):
        return _items(path, "item", report)
    if member and f'"{member}"' in head:
        return _items(path, f"{member}.item", report)
    return read_jsonl(path, report)


def is_array(head: Path | str) -> bool:
    """Whether a file, or the text it begins with, is one JSON array.

    Raises:
        DataError: The file cannot be read.
    """
    return (_head(head) if isinstance(head, Path) else head).startswith("[")


class Lookup:
    """The rows of a file by their `question_id`.

    Holds where each line begins; the rows themselves where the file is one JSON array.

    Args:
        path: As of `read_rows`.

    Attributes:
        repeated: Ids that several rows have, of which the first is found.

    Raises:
        DataError: The file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[str, int] = {}
        self._rows: dict[str, Row] = {}
        self.repeated: set[str] = set()
        if is_array(path):
            for _, row in read_rows(path, Report()):
                self._note(row, self._rows, row)
        else:
            self._index()

    def find(self, name: str) -> Row | None:
        """The row of an id, None where there is none."""
        if name in self._rows:
            return self._rows[name]
        if name not in self._places:
            return None
        with self._path.open("rb") as lines:
            lines.seek(self._places[name])
            row: Row = json.loads(lines.readline())
            return row

    def _index(self) -> None:
        place = 0
        with self._path.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError):
                    row = None
                self._note(row, self._places, place)
                place += len(line)

    def _note(self, row: object, known: dict[str, Any], value: object) -> None:
        if isinstance(row, dict) and "question_id" in row:
            name = str(row["question_id"])
            if name in known:
                self.repeated.add(name)
            known.setdefault(name, value)


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8-sig", "replace").lstrip()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error


def _items(path: Path, prefix: str, report: Report) -> Iterator[tuple[str, Row]]:
    if find_spec("ijson") is not None:
        found = _streamed(path, prefix)
    elif path.stat().st_size <= _SMALL:
        found = _whole(path, prefix)
    else:
        raise SettingsError(f"{path} is one large JSON value, read with ijson; run `pip install 'geochat[eval]'`")
    for number, row in enumerate(found):
        if isinstance(row, dict):
            yield f"{path}: row {number}", row
        else:
            report.skip("not a JSON object", f"{path}: row {number}")


def _streamed(path: Path, prefix: str) -> Iterator[Any]:
    import ijson  # noqa: PLC0415 - an extra

    try:
        with path.open("rb") as file:
            yield from ijson.items(file, prefix, use_float=True)
    except (ijson.JSONError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is damaged JSON ({error}); fetch it again") from error


def _whole(path: Path, prefix: str) -> Iterator[Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8-sig"))
        member = prefix.removesuffix("item").removesuffix(".")
        found = value[member] if member else value
    except (OSError, ValueError, KeyError, RecursionError) as error:
        raise DataError(f"{path} is damaged JSON ({error}); fetch it again") from error
    yield from found if isinstance(found, list) else ()
