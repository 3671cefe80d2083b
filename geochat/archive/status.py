"""Progress of an archive's job over all processes, and its report of objects and failures with a contact sheet.

The report is one page, with its pictures beside it; it asks no other host for anything, and runs no script.
"""

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from geochat import __version__
from geochat.archive.folder import Archive, ArchiveFolder, job_of, made, recorded_scenes
from geochat.archive.writing import write_json
from geochat.files import atomic_draft
from geochat.journal import Entry

_EVERY_S = 5.0  # between writes, where they are quick
_SHARE = 0.02  # of the time that goes into writing at most
_KINDS = {"failed": "error", "skipped": "skipped", "looked": "windows"}
_SILENT_S = 60.0  # after which a worker is no longer counted


@dataclass
class Worker:
    """A process or an actor that computes.

    Attributes:
        name: Host and process, or host and actor.
        begun: When its run began, in seconds since 1970.
        told: Time of the last output.
        windows: Windows done.
        scene: The scene it was last at work on.
    """

    name: str
    begun: float
    told: float = field(default_factory=time.time)
    windows: int = 0
    scene: str = ""

    @property
    def rate(self) -> float:
        """Windows per second."""
        return self.windows / max(self.told - self.begun, 1e-3)


class Status:
    """Progress of this process, written to the folder every few seconds.

    Args:
        archive: The archive.

    Attributes:
        windows: Windows done here.
        scenes: Scenes done here.
        failed: Scenes that failed here.
        rows: Rows found here.
    """

    def __init__(self, archive: Archive) -> None:
        self._folder = archive.folder
        self._own = f"{socket.gethostname()}-{os.getpid()}"
        self._workers: dict[str, Worker] = {}
        self._begun = time.time()
        self._next = time.monotonic() + _EVERY_S
        self.total = len(archive.manifest)
        self.windows = self.scenes = self.failed = self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Write the last state."""
        self._write()

    def window(self, scene: str, worker: str | None = None) -> None:
        """Count a window.

        Args:
            scene: Its scene.
            worker: Worker that did it; None for this process.
        """
        self.windows += 1
        name = worker or self._own
        done = self._workers.setdefault(name, Worker(name, self._begun))
        done.windows, done.scene, done.told = done.windows + 1, scene, time.time()
        if time.monotonic() > self._next:
            self._write()

    def scene(self, entry: Entry) -> None:
        """Count a recorded scene."""
        self.scenes += 1
        self.failed += "error" in entry
        self.rows += entry.get("rows", 0)

    def _write(self) -> None:
        begun = time.monotonic()
        with suppress(OSError):  # a report alone
            for worker in self._workers.values():
                write_json(made(self._folder.workers / f"{worker.name}.json"), asdict(worker))
            write_json(self._folder.status, job_status(self._folder))
        now = time.monotonic()
        self._next = now + max(_EVERY_S, (now - begun) / _SHARE)


def job_status(folder: ArchiveFolder) -> dict[str, Any]:
    """Return the progress of a job over all processes, JSON-ready.

    Returns:
        "scenes", "done" (failures and skipped scenes included), "failed", "skipped", "left", "windows" and "rows" of
        the scenes that are done, "workers" with windows a second, and "seconds_left", None where nobody is at work.

    Raises:
        DataError: The folder is no archive's.
    """
    manifest, recorded = recorded_scenes(folder)
    sums = Counter[str]()
    for number in range(len(manifest)):
        if number in recorded:
            entry = recorded.entry(number)
            sums.update({name: entry.get(name, 0) for name in ("windows", "windows_failed", "rows")})
            sums.update({name: int(key in entry) for name, key in _KINDS.items()} | {"done": 1})
    left = len(manifest) - sums["done"]
    workers = sorted(_workers(folder.workers), key=lambda worker: worker.name)
    now = time.time()
    active = [worker for worker in workers if now - worker.told < _SILENT_S]
    rate = sum(worker.rate for worker in active)
    seconds = left * sums["windows"] / sums["looked"] / rate if rate and sums["looked"] and left else None
    return {
        "scenes": len(manifest),
        **{name: sums[name] for name in ("done", "failed", "skipped")},
        "left": left,
        **{name: sums[name] for name in ("windows", "windows_failed", "rows")},
        "workers": [
            {
                "name": worker.name,
                "windows": worker.windows,
                "windows_per_second": round(worker.rate, 3),
                "scene": worker.scene,
                "silent_seconds": max(0, round(now - worker.told)),  # clocks of machines differ
            }
            for worker in workers
        ],
        "windows_per_second": round(rate, 3),
        "seconds_left": 0.0 if not left else None if seconds is None else round(seconds, 1),
    }


def _workers(folder: Path) -> list[Worker]:
    workers = []
    for path in folder.glob("*.json"):
        with suppress(OSError, ValueError, TypeError):  # being replaced, or not ours
            workers.append(Worker(**json.loads(path.read_text(encoding="utf-8"))))
    return workers


_CARDS = 2000  # scenes shown
_FAILURES = 1000  # listed


def write_report(folder: ArchiveFolder) -> Path:
    """Write the report of the scenes recorded so far.

    Raises:
        DataError: The folder is no archive's.
        OSError: It cannot be written.
    """
    import jinja2  # noqa: PLC0415 - only reports need it

    job = job_of(folder)
    work = job["work"]
    totals = dict.fromkeys((each.strip() for each in work["asked"]), (0, 0)) if work["kind"] == "find" else {}
    failures: list[dict[str, Any]] = []
    cards: list[dict[str, Any]] = []
    looked = 0
    for each in _scenes(folder):
        for phrase, count in each["counts"].items():
            objects, scenes = totals.get(phrase, (0, 0))
            totals[phrase] = objects + count, scenes + 1
        if each["error"] and len(failures) < _FAILURES:
            failures.append(each)
        looked += each["looked"]
        if each["looked"] and len(cards) < _CARDS:
            cards.append(each)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("geochat.archive"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("report.html.jinja").render(
        title=f"{work['kind']}: {', '.join(work['asked'])}",
        job=job,
        version=__version__,
        status=job_status(folder),
        totals=totals,
        failures=failures,
        cards=cards,
        more=looked - len(cards),
    )
    with atomic_draft(folder.report) as draft:
        draft.write_bytes(text.encode("utf-8", "replace"))
    return folder.report


def _scenes(folder: ArchiveFolder) -> Iterator[dict[str, Any]]:
    """Yield the scenes recorded so far, in the form that the page shows."""
    manifest, recorded = recorded_scenes(folder)
    for number in range(len(manifest)):
        if number in recorded:
            entry = recorded.entry(number)
            yield {
                "scene": manifest.id(number),
                "source": manifest.scenes[number].source,
                "error": entry.get("error", ""),
                "looked": "windows" in entry,
                "counts": entry.get("counts", {}),
                "rows": entry.get("rows", 0),
                "crs": entry.get("crs"),
                "windows_unknown": entry.get("windows_unknown", 0),
                "thumbnail": entry.get("thumbnail", False),
            }
