"""A job's journal: one append-only file per process, one line per entry.

A line is written with one system call, so a killed process has written it completely or not at all; an incomplete line
after a power failure is removed before the process resumes. Each line ends with a checksum: a modified line, or one
that is no entry of the job, is ignored. Several processes share a job through the folder alone: each writes its own
journal and reads all of them.
"""

import json
import os
import zlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from filelock import FileLock, Timeout

from geochat.errors import DataError

Entry = dict[str, Any]

_CHECK = "check"


class Journal:
    """The file that one process writes, locked against a second process with the same number.

    Args:
        folder: The journals.
        rank: The number of the process; None takes the first that no other process has.

    Attributes:
        path: The file.
    """

    def __init__(self, folder: Path, rank: int | None = None) -> None:
        self._folder = folder
        self._rank = rank
        self._file = -1

    def __enter__(self) -> Self:
        """Lock the file and remove an incomplete line.

        Raises:
            DataError: Another process has its number.
        """
        rank = self._rank or 0
        while not self._locks(rank):
            if self._rank is not None:
                raise DataError(
                    f"another process is answering into {self._folder.parent}; wait for it or choose another --out"
                )
            rank += 1
        self.path = self._folder / f"{rank}.jsonl"
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._file, _whole(self.path))
        return self

    def __exit__(self, *_exception: object) -> None:
        """Close and unlock the file."""
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
            raise DataError(f"{self.path} cannot be written: {error.strerror}; make room and run again") from error
        if written < len(line):  # a full disk took a part; the next process cuts it off
            raise DataError(f"{self.path} cannot be written: no space left; make room and run again")

    def _locks(self, rank: int) -> bool:
        self._lock = FileLock(self._folder / f"{rank}.lock")
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True


class Recorded:
    """Index of each unit's entry in the journals.

    Takes ten bytes per number, regardless of the entries' length. A successful entry takes precedence over a failure,
    which has an "error", and the first of two entries over the second.

    Args:
        folder: The journals.
        count: Number of units.
        usable: Whether an entry, which has a "number", is one of the job's.
        retry: Whether recorded failures are ignored.

    Attributes:
        seconds: Sum of "seconds" over the entries.
        damaged: Number of unusable lines by journal path.
    """

    def __init__(
        self, folder: Path, count: int, usable: Callable[[Entry], bool] = lambda _: True, *, retry: bool = False
    ) -> None:
        self._folder = folder
        self._usable = usable
        self._retry = retry
        self._paths: list[Path] = []
        self._read: list[int] = []  # bytes of each journal
        self._files = array("h", [-1]) * count
        self._places = array("q", [0]) * count
        self._is_failure = bytearray(count)
        self._written = self.failed = 0
        self.seconds = 0.0
        self.damaged: dict[Path, int] = {}
        self.refresh()
        self._retry = False

    def __len__(self) -> int:
        """Number of numbered units."""
        return len(self._files)

    def __contains__(self, number: int) -> bool:
        """Return whether a number has an entry."""
        return self._files[number] >= 0

    @property
    def answered(self) -> int:
        """Number of units with a successful entry."""
        return self._written - self.failed

    @property
    def complete(self) -> bool:
        """Return whether every number has an entry."""
        return self._written == len(self._files)

    def refresh(self, only: Path | None = None) -> None:
        """Read entries appended since the last read.

        Args:
            only: The one journal that was appended to; None looks for all, new ones included.
        """
        for path in journals(self._folder) if only is None else [only]:
            if path not in self._paths:
                self._paths.append(path)
                self._read.append(0)
        for file, path in enumerate(self._paths):
            if (only is not None and path != only) or not path.exists() or path.stat().st_size == self._read[file]:
                continue
            for place, line in _lines(path, self._read[file]):
                self._take(file, place, _entry(line))
                self._read[file] = place + len(line)

    def entry(self, number: int) -> Entry:
        """Return the entry of a number that has one."""
        with self._paths[self._files[number]].open("rb") as file:
            file.seek(self._places[number])
            return _read_entry(file.readline())

    def entries(self) -> Iterator[Entry]:
        """Yield the entry of every number, in order; each must have one."""
        files = [path.open("rb") for path in self._paths]
        try:
            for file, place in zip(self._files, self._places, strict=True):
                files[file].seek(place)
                yield _read_entry(files[file].readline())
        finally:
            for opened in files:
                opened.close()

    def _take(self, file: int, place: int, entry: Entry | None) -> None:
        if entry is None or not (0 <= entry["number"] < len(self._files) and self._usable(entry)):
            path = self._paths[file]
            self.damaged[path] = self.damaged.get(path, 0) + 1
            return
        number, is_failure = entry["number"], "error" in entry
        self.seconds += entry["seconds"]
        if number in self and (is_failure or not self._is_failure[number]):
            return
        if is_failure and self._retry:
            return
        self._written += number not in self
        self.failed += is_failure - self._is_failure[number]
        self._files[number], self._places[number] = file, place
        self._is_failure[number] = is_failure


def journals(folder: Path) -> list[Path]:
    """Return the journals of a folder by process number; other files are ignored."""
    return sorted((path for path in folder.glob("*.jsonl") if path.stem.isdecimal()), key=lambda path: int(path.stem))


def read_entries(folder: Path) -> Iterator[Entry]:
    """Yield every complete entry, journal by journal."""
    for path in journals(folder):
        for _, line in _lines(path, 0):
            if (entry := _entry(line)) is not None:
                yield entry


def busy(folder: Path) -> bool:
    """Return whether a process is writing a journal."""
    for path in folder.glob("*.lock"):
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
    return False


def checksum(entry: Entry) -> str:
    """Return the checksum at the end of an entry's line."""
    return f"{zlib.crc32(json.dumps(entry, sort_keys=True, ensure_ascii=False).encode('utf-8', 'replace')):08x}"


def _lines(path: Path, start: int) -> Iterator[tuple[int, bytes]]:
    """Yield the lines of a journal from an offset on, with their offsets; an incomplete last line is ignored."""
    with path.open("rb") as lines:
        lines.seek(start)
        for line in lines:
            if not line.endswith(b"\n"):
                return  # being written, or torn
            yield start, line
            start += len(line)


def _entry(line: bytes) -> Entry | None:
    """Parse the entry of a line; None if it is modified or not an entry."""
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(entry, dict):
        return None
    check = entry.pop(_CHECK, None)  # journals from before there was one have none
    whole = {"seconds": 0.0, **entry}
    usable = isinstance(whole.get("number"), int) and isinstance(whole["seconds"], int | float)
    return whole if usable and check in (None, checksum(entry)) else None


def _read_entry(line: bytes) -> Entry:
    entry: Entry = json.loads(line)
    entry.pop(_CHECK, None)
    return entry


def _whole(path: Path) -> int:
    """Return the length of a file up to the end of its last complete line."""
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
