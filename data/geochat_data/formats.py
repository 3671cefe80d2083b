"""Files of training samples: GeoChat_Instruct's JSON array, and JSON lines of the same rows.

Both are read and written a row at a time, so that a file of any size passes through a few megabytes.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat_data.readers import Report
from geochat_data.samples import Sample, from_published, to_published

_PIECE = 1 << 20
_BETWEEN = frozenset(" \t\r\n,")


def read_samples(path: Path, report: Report | None = None) -> Iterator[Sample]:
    """The samples of a .json or .jsonl file, in order; rows that cannot be used are counted and left out.

    Raises:
        DataError: The file cannot be opened, is no JSON array, or `report` is strict and a row cannot be used.
    """
    report = Report() if report is None else report
    for number, where, row in _rows(path, report):
        try:
            sample = from_published(row, number)
        except DataError as error:
            report.skip(str(error), where)
        else:
            report.used += 1
            yield sample


def write_samples(path: Path, samples: Iterable[Sample]) -> int:
    """Write samples as .json or .jsonl by the file's name, whole or not at all; returns how many.

    Raises:
        DataError: The name has another ending or the file cannot be written.
    """
    check_ending(path)
    array = path.suffix == ".json"
    count = 0
    try:
        with atomic_draft(path) as part, part.open("w", encoding="utf-8") as file:
            file.write("[\n" if array else "")
            for count, sample in enumerate(samples, start=1):
                row = json.dumps(to_published(sample), ensure_ascii=False)
                file.write(f",\n{row}" if array and count > 1 else row if array else f"{row}\n")
            file.write("\n]\n" if array else "")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another place") from error
    return count


def check_ending(path: Path) -> None:
    """Check that a file's name says how samples are written.

    Raises:
        DataError: It ends in neither .json nor .jsonl.
    """
    if path.suffix not in (".json", ".jsonl"):
        raise DataError(f"{path} is neither .json nor .jsonl; choose one of them")


def _rows(path: Path, report: Report) -> Iterator[tuple[int, str, Any]]:
    """Number, place and decoded content of each row."""
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    with file:
        if path.suffix == ".jsonl":
            for number, line in enumerate(file, start=1):
                where = f"{path}:{number}"
                try:
                    if line.strip():
                        yield number, where, json.loads(line)
                except ValueError:
                    report.skip("not JSON", where)
        else:
            for number, row in enumerate(_array(file, path)):
                yield number, f"{path}: row {number}", row


def _array(file: TextIO, path: Path) -> Iterator[Any]:
    """The items of a JSON array, decoded one by one."""
    decoder = json.JSONDecoder()
    held, at = _next(file, "", 0, path)
    if held[at] != "[":
        raise DataError(f"{path} is no JSON array of samples; GeoChat_Instruct's format begins with '['")
    at += 1
    while True:
        held, at = _next(file, held, at, path)
        if held[at] == "]":
            return
        while True:
            try:
                row, at = decoder.raw_decode(held, at)
                break
            except ValueError:
                grown = file.read(max(_PIECE, len(held) - at))
                if not grown:
                    raise DataError(f"{path} ends inside a sample or is damaged; fetch it again") from None
                held, at = held[at:] + grown, 0
        yield row


def _next(file: TextIO, held: str, at: int, path: Path) -> tuple[str, int]:
    """The text held and where in it the next item begins, with more read if need be."""
    while True:
        while at < len(held) and held[at] in _BETWEEN:
            at += 1
        if at < len(held):
            return held, at
        held, at = file.read(_PIECE), 0
        if not held:
            raise DataError(f"{path} ends before its array does; fetch it again")
