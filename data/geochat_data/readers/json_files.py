"""JSON files of any size: one object per line, or an array decoded item by item."""

import json
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

from geochat.errors import DataError
from geochat_data.readers.report import Report

_HEAD = 4096  # bytes
_TRUNCATED = ("premature EOF", "Incomplete JSON")  # in the messages of ijson's backends


def read_jsonl(path: Path, report: Report) -> Iterator[tuple[str, dict[str, Any]]]:
    """Read the objects of a JSON lines file, each with "file:line" for messages.

    Blank lines are skipped; a line that is not a JSON object is counted in `report`.

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


def is_json_array(path: Path) -> bool:
    """Return whether a file is one JSON array, by its first character.

    Raises:
        DataError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8-sig", "replace").lstrip().startswith("[")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error


def read_json_items(path: Path, prefix: str = "item") -> Iterator[Any]:
    """Decode the items of an array in a JSON file, one at a time.

    ijson does so in constant memory (`pip install geochat[data]`). It refuses NaN, Infinity and 1e999, which Python
    writes although they are not JSON: a file with these is decoded whole, as is any file without ijson.

    Args:
        path: The file.
        prefix: The array: "item" for the file's own, "images.item" for the member `images` of an object.

    Raises:
        DataError: The file cannot be read, or is damaged; items before the damage may have been decoded by then.
    """
    if find_spec("ijson") is None:
        yield from _decode_whole(path, prefix)
        return
    import ijson  # noqa: PLC0415 - an extra

    count = 0
    try:
        with path.open("rb") as file:
            for item in ijson.items(file, prefix, use_float=True):
                count += 1
                yield item
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    except ijson.JSONError as error:
        if any(words in str(error) for words in _TRUNCATED):
            raise DataError(f"{path} ends before its JSON does; fetch it again") from error
        yield from islice(_decode_whole(path, prefix), count, None)


def read_json(path: Path) -> Any:  # noqa: ANN401 - decoded JSON
    """Decode an entire JSON file; bytes that are not in its encoding are replaced.

    Raises:
        DataError: The file cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
        return json.loads(content.decode(json.detect_encoding(content), "replace"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path} is damaged JSON ({error}); fetch it again") from error


def _decode_whole(path: Path, prefix: str) -> Iterator[Any]:
    found = read_json(path)
    for member in prefix.split(".")[:-1]:
        found = found.get(member) if isinstance(found, dict) else None
    yield from found if isinstance(found, list) else ()
