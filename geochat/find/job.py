"""A job: one folder in which any number of processes work on numbered units, such as windows or scenes.

job.json         what is asked, of what, and of which model
journal/N.jsonl  what process N has recorded, one line a unit; only ever appended to
claims/N.lock    held by the process that works on block N of the units

A process claims a block by its lock, which the operating system releases when the process ends, killed or not. It then
reads the records of the block from all journals and does the rest. So each unit is recorded once, and a kill loses only
work in progress. The processes need no network between them, only the folder.
"""

import json
import math
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, Self

from filelock import FileLock, Timeout

from geochat.errors import DataError, SettingsError
from geochat.files import atomic_draft
from geochat.journal import Entry, Journal, Recorded, busy

Share = tuple[int, int]
"""The part of a job that a process does: its number from 0, and how many parts there are."""

_SHOWN = 60  # characters of a value in a message


class Units(Protocol):
    """Numbered units of a job, such as the windows of a plan."""

    def __len__(self) -> int:
        """Return the number of units, including those that are not to be done."""
        ...

    @property
    def count(self) -> int:
        """The number of units to be done."""
        ...

    def numbers(self) -> Iterator[int]:
        """The units to be done, in order."""
        ...


def is_window_entry(entry: Entry) -> bool:
    """Return whether a journal entry records a window's result."""
    return isinstance(entry.get("answers"), list) or "error" in entry or "skipped" in entry


class Job:
    """Units claimed by processes and recorded once each.

    Args:
        folder: Created where it is missing.
        asked: Identity of the job, JSON-ready; a folder of another job is refused.
        units: The units.
        restart: Whether to delete the folder's contents.
        retry: Whether failed units are tried again.
        usable: Whether an entry belongs to the job.
        blocks: Units in a block at least, and blocks, of which each is a file, at most.

    Raises:
        SettingsError: The folder holds another job.
        DataError: It cannot be written, is damaged, or is to be emptied while another process works in it.

    Attributes:
        folder: The folder.
        units: The units.
        recorded: Records of all processes, as of the last read.
        claimed: Number of units that this process has claimed.
    """

    def __init__(
        self,
        folder: Path,
        asked: Mapping[str, Any],
        units: Units,
        *,
        restart: bool = False,
        retry: bool = False,
        usable: Callable[[Entry], bool] = is_window_entry,
        blocks: tuple[int, int] = (16, 1024),
    ) -> None:
        self.folder, self.units, self._blocking = folder, units, blocks
        self._claims, self._journals = folder / "claims", folder / "journal"
        try:
            for path in (self._claims, self._journals):
                path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"the folder {folder} cannot be created: {error.strerror}; choose another") from error
        with FileLock(folder / ".lock"):
            if restart:
                self._empty()
            self._identify(json.loads(json.dumps(dict(asked))))
        self.recorded = Recorded(self._journals, len(units), usable, retry=retry)
        self.claimed = 0
        self._journal = Journal(self._journals)
        self._guard = threading.RLock()  # of what follows, and of `recorded`
        self._held: dict[int, tuple[FileLock, set[int]]] = {}  # by block: its units that are not recorded yet
        self._blocks: dict[int, int] = {}  # by unit

    def __enter__(self) -> Self:
        """Open a journal of this process."""
        self._journal.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the journal and release the claims."""
        self._journal.__exit__(*exception)
        with self._guard:
            for lock, _ in self._held.values():
                lock.release()
            self._held.clear()

    def numbers(self, share: Share = (0, 1)) -> Iterator[int]:
        """Claim the units that are neither recorded nor claimed; may run in another thread.

        Args:
            share: The part of the job from which to claim units.
        """
        least, most = self._blocking
        for block, units in enumerate(self._in_blocks(max(least, math.ceil(self.units.count / most)))):
            if block % share[1] == share[0]:
                yield from self._claim(block, units)

    def record(self, number: int, entry: Entry) -> None:
        """Write the entry of a unit that this process has claimed, or that no other can claim.

        Raises:
            DataError: It cannot be written.
        """
        self._journal.write({"number": number, **entry})
        with self._guard:
            self.recorded.refresh(self._journal.path)
            block = self._blocks.pop(number, None)
            if block is None:
                return
            lock, left = self._held[block]
            left.discard(number)
            if not left:
                del self._held[block]
                lock.release()

    def __contains__(self, number: int) -> bool:
        """Return whether a unit is recorded, as of the last read."""
        with self._guard:
            return number in self.recorded

    def entry(self, number: int) -> Entry | None:
        """Return the record of a unit; None if there is none yet."""
        with self._guard:
            return self.recorded.entry(number) if number in self.recorded else None

    def refresh(self) -> None:
        """Read what other processes have recorded."""
        with self._guard:
            self.recorded.refresh()

    @property
    def complete(self) -> bool:
        """Return whether every unit is recorded, by any process, as of the last read."""
        with self._guard:
            return self.recorded.answered + self.recorded.failed >= self.units.count

    def _in_blocks(self, size: int) -> Iterator[list[int]]:
        """The units in blocks."""
        numbers = self.units.numbers()
        while block := list(islice(numbers, size)):
            yield block

    def _claim(self, block: int, units: list[int]) -> list[int]:
        """Return the units of a block that this process is to do; none of a block that another process holds."""
        with self._guard:
            if block in self._held or all(number in self.recorded for number in units):
                return []
            lock = FileLock(self._claims / f"{block}.lock", thread_local=False)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return []
            self.recorded.refresh()
            free = [number for number in units if number not in self.recorded]
            if not free:
                lock.release()
                return []
            self._held[block] = lock, set(free)
            self._blocks.update(dict.fromkeys(free, block))
            self.claimed += len(free)
            return free

    def _empty(self) -> None:
        if busy(self._journals):
            raise DataError(f"another process is at work in {self.folder}; wait for it, or choose another folder")
        (self.folder / "job.json").unlink(missing_ok=True)
        for path in (self._claims, self._journals):
            shutil.rmtree(path)
            path.mkdir()

    def _identify(self, asked: dict[str, Any]) -> None:
        """Write the job's identity, or check that it equals the stored one."""
        path = self.folder / "job.json"
        if not path.exists():
            with atomic_draft(path) as draft:
                draft.write_text(json.dumps(asked, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
            return
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}); restore it, or begin anew (--restart)") from error
        if known != asked:
            raise SettingsError(
                f"{self.folder} holds another job: {_difference(known, asked)}; choose another folder, or begin anew "
                "(--restart)"
            )


def _difference(there: object, here: object, name: str = "the job") -> str:
    """Return the first value in which two JSON values differ, in words."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in (*here, *there):
            if there.get(key) != here.get(key):
                return _difference(there.get(key), here.get(key), str(key))
    return f"{name} is {_shown(there)} there and {_shown(here)} here"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
