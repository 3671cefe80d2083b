"""An archive looked through on a Ray cluster: windows are the rows, each worker holds a model, this process records.

Scenes are claimed here and opened by tasks of the cluster, which lay out the windows that are not recorded yet. Workers
answer windows. Here each answer is recorded in its scene's job as it comes, whose results are written when its last
window is in: one writer a scene. The journal is the same as that of `run_here`, so either goes on where the other was.
The machines need to read the scenes under the same names; the folder is needed here alone.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from geochat.archive.cluster import Cluster, Row, answered_there, called_there
from geochat.archive.folder import Archive
from geochat.archive.running import open_work, scene_entry
from geochat.archive.status import Status
from geochat.archive.work import Absent, OpenEngine
from geochat.archive.workers import PendingScene, colours, window_rows, worker
from geochat.archive.writing import SceneWriter
from geochat.errors import EngineError
from geochat.find import Finding, Survey
from geochat.find.recording import Unanswered
from geochat.journal import Entry, read_entries
from geochat.models import ModelInfo

_WRITERS = 4  # threads, which mostly wait for the disk
_WAITING = 64  # scenes to be written
_ROUNDS = 3  # in which windows that did not come back are asked about again


def model_there(cluster: Cluster, engine: OpenEngine) -> ModelInfo:
    """The facts about a model that workers are to hold; it is loaded there once for that.

    Raises:
        GeoChatError: It cannot be loaded.
    """

    def told() -> ModelInfo:
        info = engine().info
        _ = info.sha256  # from its files, which are there
        return info

    info: ModelInfo = called_there(cluster, told)
    return info


def run_on_ray(
    archive: Archive,
    engine: OpenEngine,
    writer: SceneWriter,
    cluster: Cluster,
    *,
    tell: Callable[[Status], object] = lambda _: None,
) -> Iterator[tuple[int, Entry]]:
    """Look through the scenes that nobody has recorded or claimed; each scene's number and entry as it is done.

    To be called while `connected`.

    Args:
        archive: The archive, made with the facts of `model_there`.
        engine: Opens the engine of a worker.
        writer: Writes the results of scenes.
        cluster: The cluster.
        tell: Called after each window.

    Raises:
        EngineError: Workers cannot be had, one answered none of 50 windows in a row, or scenes that open here do not
            open there.
        GeoChatError: The folder cannot be written.
    """
    with archive.job, Status(archive) as status:
        claimed, refused = list(archive.job.numbers()), ""
        for _ in range(_ROUNDS):
            left = [number for number in claimed if number not in archive.job]
            if not left:
                break
            collector = Collector(archive, writer, status)
            rows = answered_there(
                cluster,
                len(left),
                partial(window_rows, archive.work, archive.info, _scenes(archive, left)),
                partial(worker, archive.work, engine, archive.manifest),
            )
            try:
                for row in rows:
                    yield from collector.take(row)
                    tell(status)
                yield from collector.written(wait=True)
            finally:
                collector.close()
            refused = collector.refused or refused
        lost = [number for number in claimed if number not in archive.job]
        if lost:
            why = f", which open here and not everywhere there ({refused})" if refused else ""
            raise EngineError(f"{len(lost)} scenes did not come back whole from Ray{why}; run the same command again")
        archive.job.refresh()


class Collector:
    """Takes the rows that workers have answered, and writes each scene when its last one is in, in a thread.

    Args:
        archive: The archive.
        writer: Writes the results of scenes.
        status: Counts windows and scenes.

    Attributes:
        refused: Why a machine could not open a scene that opens here; its windows are left to another round.
    """

    def __init__(self, archive: Archive, writer: SceneWriter, status: Status) -> None:
        self._archive, self._writer, self._status = archive, writer, status
        self._absent = Absent(archive.info)
        self._open: dict[int, Finding | Survey] = {}
        self.refused = ""
        self._unanswered = defaultdict[str, Unanswered](Unanswered)  # by worker
        self._threads = ThreadPoolExecutor(_WRITERS, "geochat-archive-writing")
        self._writing: dict[int, tuple[Finding | Survey, Future[Entry]]] = {}

    def take(self, row: Row) -> Iterator[tuple[int, Entry]]:
        """Take a row; gives the scenes, with their entries, that were written since.

        Raises:
            GeoChatError: The folder cannot be written.
        """
        number = row["scene"]
        if number not in self._archive.job and number not in self._writing:
            if "stretch" in row:
                entry = scene_entry(partial(self._take, number, row))
            else:  # the scene could not be opened
                entry = {name: value for name, value in row.items() if name != "scene"}
                if "error" in entry and self._opens(number):
                    self.refused, entry = entry["error"], {}
            if entry:
                if number in self._open:
                    _leave(self._open.pop(number))
                yield self._record(number, entry)
        yield from self.written(wait=len(self._writing) >= _WAITING)

    def written(self, *, wait: bool = False) -> Iterator[tuple[int, Entry]]:
        """The scenes that were written since, with their entries.

        Args:
            wait: Whether to wait for those that are being written.

        Raises:
            GeoChatError: The folder cannot be written.
        """
        for number, (work, future) in list(self._writing.items()):
            if wait or future.done():
                entry = future.result()
                del self._writing[number]
                _leave(work)
                yield self._record(number, entry)

    def close(self) -> None:
        """Close the scenes whose windows are not all in."""
        self._threads.shutdown()
        for work in (*self._open.values(), *(work for work, _ in self._writing.values())):
            _leave(work)
        self._open.clear()
        self._writing.clear()

    def _record(self, number: int, entry: Entry) -> tuple[int, Entry]:
        self._archive.record(number, entry)
        self._status.scene(entry)
        return number, entry

    def _opens(self, number: int) -> bool:
        """Return whether a scene can be opened here."""

        def look() -> Entry:
            with self._archive.manifest.scenes[number].open() as scene:
                self._archive.work.look(self._archive.info, scene)
            return {}

        return not scene_entry(look)

    def _take(self, number: int, row: Row) -> Entry:
        """Record a window, and begin to write the scene where that was its last; why the scene failed, if it did."""
        if number not in self._open:
            work = open_work(self._archive, number, self._absent, **colours(row))
            work.asking.job.__enter__()
            self._open[number] = work
        work = self._open[number]
        if "refused" in row:
            self.refused = f"{row['refused']} (worker {row['worker']})"
            self._unanswered[row["worker"]].add(EngineError(self.refused))
        elif "window" in row and row["window"] not in work.asking.job:
            work.asking.job.record(row["window"], row["entry"])
            worker = row["worker"]
            self._status.window(self._archive.manifest.id(number), worker)
            error = EngineError(f"{row['entry']['error']} (worker {worker})") if row["unanswered"] else None
            self._unanswered[worker].add(error)
        if work.complete:
            del self._open[number]
            write = partial(self._writer.write, number, work)
            self._writing[number] = work, self._threads.submit(scene_entry, write)
        return {}


def scene_rows(archive: Archive, number: int) -> Iterator[Row]:
    """The rows of a scene, as workers get them."""
    return window_rows(archive.work, archive.info, _scenes(archive, [number]), 0)


def _scenes(archive: Archive, numbers: Iterable[int]) -> list[PendingScene]:
    """Scenes that are to be looked through, each with the windows that are recorded."""
    scenes = []
    for number in numbers:
        journal = archive.folder.scene(archive.manifest.id(number)) / "journal"
        done = {each["number"] for each in read_entries(journal) if not (archive.retry and "error" in each)}
        scenes.append(PendingScene(number, archive.manifest.scenes[number], frozenset(done)))
    return scenes


def _leave(work: Finding | Survey) -> None:
    work.asking.job.__exit__(None, None, None)
    work.look.scene.close()
