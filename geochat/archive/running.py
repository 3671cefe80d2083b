"""An archive looked through in this process, scene by scene, beside others that take other scenes; and its cost."""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geochat.archive.folder import Archive, Manifest
from geochat.archive.status import Status, write_report
from geochat.archive.work import SceneWork
from geochat.archive.writing import SceneWriter, cannot_be_written, write_collection
from geochat.engines import Engine
from geochat.errors import ImageError, RegionError, SettingsError
from geochat.find import Finding, Survey
from geochat.find.job import Share
from geochat.find.looking import OutsideError
from geochat.find.recording import Unanswered
from geochat.journal import Entry

_SAMPLED = 20  # scenes whose windows are counted for an estimate
_TIMED = 5  # of them that are looked through
_WINDOWS = 64  # windows of a scene at most, to be looked through

SCENE_ERRORS = (ImageError, RegionError, SettingsError)
"""Errors of one scene, which leave the others alone; any other error of ours ends the run, which may go on later."""


def run_here(
    archive: Archive,
    engine: Engine,
    writer: SceneWriter,
    *,
    share: Share = (0, 1),
    tell: Callable[[Status], object] = lambda _: None,
) -> Iterator[tuple[int, Entry]]:
    """Look through the scenes that nobody has recorded or claimed; each scene's number and entry as it is done.

    Args:
        archive: The archive.
        engine: The engine to use.
        writer: Writes the results of scenes.
        share: The part of the scenes for this process: its index from 0, and the number of parts.
        tell: Called after each window.

    Raises:
        GeoChatError: The engine answered none of 50 windows in a row, of whichever scenes; or the folder cannot be
            written.
    """
    with archive.job, Status(archive) as status:
        claimed, unanswered = -1, Unanswered()
        while claimed < archive.job.claimed:  # meanwhile other processes may have ended, and left some
            claimed = archive.job.claimed
            for number in archive.job.numbers(share):
                name = archive.manifest.id(number)
                advanced = partial(_told, status, name, tell)
                entry = scene_entry(
                    partial(_look, archive, engine, writer, number, on_progress=advanced, unanswered=unanswered)
                )
                archive.record(number, entry)
                status.scene(entry)
                yield number, entry
        archive.job.refresh()


def finish(archive: Archive) -> None:
    """Write the collection and the report of the scenes recorded so far.

    Raises:
        DataError: One cannot be written.
    """
    archive.job.refresh()
    try:
        write_collection(archive, recorded(archive))
        write_report(archive.folder)
    except OSError as error:
        raise cannot_be_written(error, archive.folder.path) from error


def recorded(archive: Archive) -> Iterator[tuple[int, Entry]]:
    """Return the scenes recorded so far, in order, with their records."""
    entries = ((number, archive.job.entry(number)) for number in range(len(archive.manifest)))
    return ((number, entry) for number, entry in entries if entry is not None)


def scene_entry(look: Callable[[], Entry]) -> Entry:
    """Compute a scene; returns its journal entry, or the reason why it has none.

    Args:
        look: Looks through the scene; its errors are the scene's.
    """
    try:
        return look()
    except OutsideError:
        return {"skipped": "outside the area"}
    except SCENE_ERRORS as error:
        return {"error": str(error)}
    except (ArithmeticError, LookupError, TypeError, ValueError, MemoryError) as error:  # as damaged files provoke
        return {"error": f"unexpected {type(error).__name__}: {error}"}


def open_work(archive: Archive, number: int, engine: Engine, **options: Any) -> Finding | Survey:  # noqa: ANN401
    """Open the work on a scene whose windows are recorded in the archive's folder; the caller closes its scene.

    Args:
        archive: The archive.
        number: The scene.
        engine: The engine to use.
        options: Fields of the work's options that are set otherwise here.

    Raises:
        GeoChatError: The scene cannot be read, or an option is impossible for it.
    """
    scene = archive.manifest.scenes[number].open()
    try:
        folder = archive.folder.scene(archive.manifest.id(number))
        return archive.work.changed(**options).open(engine, scene, job=folder, retry=archive.retry)
    except BaseException:
        scene.close()
        raise


def _look(archive: Archive, engine: Engine, writer: SceneWriter, number: int, **options: Any) -> Entry:  # noqa: ANN401
    work = open_work(archive, number, engine, **options)
    with work.look.scene:
        for _ in work:
            pass
        return writer.write(number, work)


def _told(status: Status, name: str, tell: Callable[[Status], object], _: object) -> None:
    status.window(name)
    tell(status)


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of an archive.

    Attributes:
        scenes: Number of scenes.
        windows: Windows of a scene, the mean of those sampled.
        seconds: Seconds of a window; opening, reading, asking, recording and writing included.
        sampled: Scenes that were opened.
        unread: Scenes among them that could not be read.
    """

    scenes: int
    windows: float
    seconds: float
    sampled: int
    unread: int

    @property
    def total(self) -> float:
        """Seconds of work for one worker."""
        return self.scenes * self.windows * self.seconds


def estimate(manifest: Manifest, work: SceneWork, engine: Engine) -> Cost:
    """Estimate the cost of an archive from a few scenes spread evenly over it, which are computed.

    Args:
        manifest: The scenes.
        work: The work on each scene.
        engine: The engine to use.

    Raises:
        ImageError: None of the scenes can be read.
    """
    step = max(1, len(manifest) // _SAMPLED)
    counts: dict[int, int] = {}
    failures: list[Entry] = []
    for number in list(manifest.numbers())[::step][:_SAMPLED]:
        entry = scene_entry(partial(_count, manifest, work, engine, number, counts))
        failures += [entry] if entry else []
    if not counts:
        raise ImageError(f"no scene can be read: {next(iter(failures[0].values()))}")
    smallest = sorted(counts, key=lambda number: (counts[number] > _WINDOWS, number))[: _TIMED + 1]
    seconds = list(_seconds(Manifest([manifest.scenes[number] for number in smallest]), work, engine))
    warm = seconds[1:] or seconds  # the first includes what a model does once
    a_window = sum(each for each, _ in warm) / max(1, sum(windows for _, windows in warm))
    sampled = len(counts) + len(failures)
    return Cost(len(manifest), sum(counts.values()) / sampled, a_window, sampled, len(failures))


def _count(manifest: Manifest, work: SceneWork, engine: Engine, number: int, counts: dict[int, int]) -> Entry:
    with manifest.scenes[number].open() as scene:
        counts[number] = work.look(engine.info, scene).plan.count
    return {}


def _seconds(manifest: Manifest, work: SceneWork, engine: Engine) -> Iterator[tuple[float, int]]:
    """Measure the seconds that some scenes take, and count their windows."""
    with tempfile.TemporaryDirectory() as folder:
        archive = Archive(Path(folder), manifest, work, engine.info)
        begun = time.perf_counter()
        for _, entry in run_here(archive, engine, SceneWriter(archive)):
            now = time.perf_counter()
            yield now - begun, entry.get("windows", 0)
            begun = now
