"""What has been answered so far: one file for each process, one line for each answer, only ever appended to.

A line goes to the system in one write, so a process that is killed has written it or not; the torn line of a machine
that lost power is cut off before its process goes on. A question is answered once: whichever process asks, it first
reads what all of them have written. Each line ends with a checksum: one that was changed, or that is none of these
lines, counts as not written, so that its question is asked again.
"""

import json
import os
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from geochat.errors import DataError

Entry = dict[str, Any]

_CHECK = "check"


class Journal:
    """The file one process writes, locked against a second process of the same number."""

    def __init__(self, folder: Path, rank: int) -> None:
        self._path = folder / f"{rank}.jsonl"
        self._lock = FileLock(folder / f"{rank}.lock")
        self._file = -1

    def __enter__(self) -> Self:
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise DataError(
                f"another process is answering into {self._path.parent.parent}; wait for it or choose another --out"
            ) from None
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._file, _whole(self._path))
        return self

    def __exit__(self, *_exception: object) -> None:
        os.close(self._file)
        self._lock.release()

    def write(self, entry: Entry) -> None:
        """Append one entry.

        Raises:
            DataError: It cannot be written; what was written before stays.
        """
        entry = json.loads(json.dumps(entry, ensure_ascii=False).encode("utf-8", "replace"))  # as it will be read
        line = (json.dumps({**entry, _CHECK: checksum(entry)}, ensure_ascii=False) + "\n").encode("utf-8")
        try:
            written = os.write(self._file, line)
        except OSError as error:
            raise DataError(f"{self._path} cannot be written: {error.strerror}; make room and run again") from error
        if written < len(line):  # a full disk took a part; the next process cuts it off
            raise DataError(f"{self._path} cannot be written: no space left; make room and run again")


class Answered:
    """Where in the journals each question's entry stands.

    Holds two numbers a question, whatever the answers' length. An answer stands before a failure, and of two answers,
    which only a lost lock could cause, the first.

    Args:
        folder: The journals.
        count: How many questions there are.
        retry: Whether questions that failed count as not yet asked.

    Attributes:
        damaged: How many lines of each journal, by its path, cannot be used.
    """

    def __init__(self, folder: Path, count: int, *, retry: bool = False) -> None:
        self._paths = journals(folder)
        self._files = array("h", [-1]) * count
        self._places = array("q", [0]) * count
        self.answered = self.failed = 0
        self.seconds = 0.0
        self.damaged: dict[Path, int] = {}
        failed = bytearray(count)
        for file, path in enumerate(self._paths):
            for place, entry in _entries(path):
                if entry is None or not 0 <= entry["number"] < count:
                    self.damaged[path] = self.damaged.get(path, 0) + 1
                    continue
                number = entry["number"]
                self.seconds += entry["seconds"]
                is_failure = "error" in entry
                if self._files[number] >= 0 and (is_failure or not failed[number]):
                    continue
                if is_failure and retry:
                    continue
                self._files[number], self._places[number] = file, place
                failed[number] = is_failure
        self.failed = sum(failed)
        self.answered = count - self._files.count(-1) - self.failed

    def __contains__(self, number: int) -> bool:
        return self._files[number] >= 0

    @property
    def complete(self) -> bool:
        """Whether every question has an entry."""
        return self.answered + self.failed == len(self._files)

    def entries(self) -> Iterator[Entry]:
        """The entry of every question, in order; there must be one for each."""
        files = [path.open("rb") for path in self._paths]
        try:
            for file, place in zip(self._files, self._places, strict=True):
                files[file].seek(place)
                yield json.loads(files[file].readline())
        finally:
            for opened in files:
                opened.close()


def journals(folder: Path) -> list[Path]:
    """The journals of a folder by the number of their process; other files are no journals."""
    return sorted((path for path in folder.glob("*.jsonl") if path.stem.isdecimal()), key=lambda path: int(path.stem))


def has_answers(folder: Path) -> bool:
    """Whether anything was answered; a question that failed was not."""
    entries = (entry for path in journals(folder) for _, entry in _entries(path))
    return any(entry is not None and "error" not in entry for entry in entries)


def busy(folder: Path) -> bool:
    """Whether a process is answering into a journal."""
    for path in folder.glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False


def checksum(entry: Entry) -> str:
    """What the line of an entry ends with."""
    return f"{zlib.crc32(json.dumps(entry, sort_keys=True, ensure_ascii=False).encode('utf-8', 'replace')):08x}"


def _entries(path: Path) -> Iterator[tuple[int, Entry | None]]:
    """The lines of a journal, None for one that is not whole or is damaged, and where they begin."""
    place = 0
    with path.open("rb") as lines:
        for line in lines:
            yield place, _entry(line) if line.endswith(b"\n") else None
            place += len(line)


def _entry(line: bytes) -> Entry | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    check = entry.pop(_CHECK, None)  # journals from before there was one have none
    whole = {"seconds": 0.0, **entry}
    number, seconds = whole.get("number"), whole["seconds"]
    usable = (
        isinstance(number, int)
        and isinstance(seconds, int | float)
        and ("error" in whole or (isinstance(whole.get("answer"), str) and isinstance(whole.get("finish"), str)))
    )
    return whole if usable and check in (None, checksum(entry)) else None


def _whole(path: Path) -> int:
    """Length of a file up to the end of its last whole line."""
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        while length:
            start = max(0, length - 4096)
            file.seek(start)
            newline = file.read(length - start).rfind(b"\n")
            if newline >= 0:
                return start + newline + 1
            length = start
    return 0
