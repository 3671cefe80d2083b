"""Reading the files benchmarks come in: JSON lines, JSON arrays, and arrays inside a JSON object, as streams."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from geochat.errors import DataError, SettingsError
from geochat_data.readers import Report, read_jsonl
from geochat_eval.benchmarks.base import Item

Row = dict[str, Any]
_HEAD = 4096


def read_rows(path: Path, report: Report, member: str = "") -> Iterator[tuple[str, Row]]:
    """The objects of a file with their places, whatever its name: one a line, or those of an array.

    Args:
        path: JSON lines, a JSON array, or a JSON object with an array in `member`.
        report: Counts what is no object.
        member: The member of an object that holds the array.

    Raises:
        DataError: The file cannot be read or is damaged.
        SettingsError: The package that streams JSON is not installed.
    """
    head = _head(path)
    if head.startswith("["):
        return _items(path, "item", report)
    if member and f'"{member}"' in head:
        return _items(path, f"{member}.item", report)
    return read_jsonl(path, report)


def read_items(path: Path, report: Report, make: Callable[[Row, int], Item | None], member: str = "") -> Iterator[Item]:
    """`read_rows` through `make`, which is given a row and its number; rows it cannot use are counted and left out.

    Args:
        path: As of `read_rows`.
        report: Counts what is used and what is not.
        make: None passes over a row that is meant for another purpose. May raise KeyError for a missing field, and
            ValueError or TypeError for a malformed one.
        member: As of `read_rows`.
    """
    for number, (where, row) in enumerate(read_rows(path, report, member)):
        try:
            item = make(row, number)
        except KeyError as error:
            report.skip(f"it has no field {error}", where)
        except (TypeError, ValueError) as error:
            report.skip(f"malformed: {error}", where)
        else:
            if item is not None:
                report.used += 1
                yield item


def text(row: Row, *names: str) -> str:
    """The first of the fields `names` that is there, which must hold text or a number.

    Raises:
        KeyError: There is none.
        TypeError: It holds something else.
    """
    name = next((name for name in names if row.get(name) is not None), None)
    if name is None:
        raise KeyError(" or ".join(names))
    value = row[name]
    if not isinstance(value, str | int | float) or isinstance(value, bool):
        raise TypeError(f"{name} is a {type(value).__name__}, not text")
    return str(value)


def name_of(row: Row, number: int, field: str = "question_id") -> str | int:
    """What a question is called, as its file calls it; by its number where the file does not."""
    name = row.get(field)
    return name if isinstance(name, str | int) and not isinstance(name, bool) else number


def image_name(row: Row, *names: str) -> str:
    """An image's name from the first of the fields that is there, which may not lead out of its folder.

    Raises:
        KeyError: There is none.
        ValueError: It leads elsewhere.
    """
    name = text(row, *names)
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise ValueError("its image's name leads out of the folder of images")
    return name


def _head(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_HEAD).decode("utf-8-sig", "replace").lstrip()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error


def _items(path: Path, prefix: str, report: Report) -> Iterator[tuple[str, Row]]:
    if find_spec("ijson") is None:
        raise SettingsError(f"{path} is one large JSON value, read with ijson; run `pip install 'geochat[eval]'`")
    import ijson  # noqa: PLC0415 - an extra

    try:
        with path.open("rb") as file:
            for number, row in enumerate(ijson.items(file, prefix, use_float=True)):
                if isinstance(row, dict):
                    yield f"{path}: row {number}", row
                else:
                    report.skip("not a JSON object", f"{path}: row {number}")
    except ijson.JSONError as error:
        raise DataError(f"{path} is damaged JSON ({error}); fetch it again") from error
