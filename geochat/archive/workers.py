"""The work of an archive on a cluster: tasks produce rows of windows, workers answer them.

A row is JSON: a scene's number, the colours in which its windows are shown, a window; behind a worker also the entry of
the journal, or why it was refused: the worker cannot open the scene. A row without a window says that its scene has
none left, one without colours that it cannot be opened.
"""

import os
import socket
import time
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

from geochat.archive.cluster import Answer, Row
from geochat.archive.folder import Manifest
from geochat.archive.running import scene_entry
from geochat.archive.scenes import SceneRef
from geochat.archive.work import OpenEngine, SceneWork
from geochat.find import Finding, Survey
from geochat.find.recording import AskedWindow
from geochat.imagery import Stretch
from geochat.journal import Entry
from geochat.models import ModelInfo

_OPEN = 4  # scenes that a worker holds open


class PendingScene(NamedTuple):
    """A scene that is not computed yet.

    Attributes:
        number: In the manifest.
        scene: The scene.
        recorded: Its windows that are recorded.
    """

    number: int
    scene: SceneRef
    recorded: frozenset[int]


def window_rows(work: SceneWork, info: ModelInfo, scenes: list[PendingScene], item: int) -> Iterator[Row]:
    """Yield the rows of a scene: its windows without a record, with the bands and stretch common to all."""
    number, scene, recorded = scenes[item]
    windows: list[int] = []

    def look() -> Entry:
        with scene.open() as opened:
            view = work.look(info, opened)
            windows.extend(each for each in view.plan.numbers() if each not in recorded)
            return {"bands": list(view.bands), "stretch": _stretch(view.stretch)}

    row = {"scene": number, **scene_entry(look)}
    yield from ({**row, "window": window} for window in windows)
    if not windows:
        yield row


def _stretch(stretch: Stretch) -> dict[str, Any]:
    return {
        "method": stretch.method,
        "percentiles": stretch.percentiles,
        "limits": stretch.limits,
        "without": stretch.without,
    }


def colours(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the bands and the stretch of a row, as options of the work."""
    told = row["stretch"]
    pairs = tuple((low, high) for low, high in told["limits"])
    low, high = told["percentiles"]
    stretch = Stretch(told["method"], (low, high), pairs, tuple(told["without"]))
    return {"bands": tuple(row["bands"]), "stretch": stretch}


class _Worker:
    """A worker, which holds a model and the scenes it used last.

    Args:
        work: The work.
        engine: Opens the model.
        manifest: The scenes.
    """

    def __init__(self, work: SceneWork, engine: OpenEngine, manifest: Manifest) -> None:
        self._work, self._engine, self._manifest = work, engine(), manifest
        self._open: OrderedDict[int, Finding | Survey] = OrderedDict()
        self._name = f"{socket.gethostname()}-{os.getpid()}"

    def __call__(self, rows: list[Row]) -> list[Row]:
        """Answer windows; other rows are passed on."""
        answered = [row for row in rows if "window" not in row]
        by_scene: dict[int, list[Row]] = {}
        for row in rows:
            if "window" in row:
                by_scene.setdefault(row["scene"], []).append(row)
        for number, group in by_scene.items():
            if refused := scene_entry(partial(self._opened, number, group[0])):
                told = {"refused": next(iter(refused.values())), "worker": self._name}
                answered += ({**row, **told} for row in group)
                continue
            begun, asked = time.perf_counter(), dict[int, AskedWindow]()
            failure = scene_entry(partial(self._answer, number, group, asked))
            seconds = round((time.perf_counter() - begun) / len(group), 4)
            for row in group:
                window = asked.get(row["window"])
                entry = {"seconds": seconds, **(failure if window is None else window.entry())}
                unanswered = window is not None and window.error is not None
                answered.append({**row, "entry": entry, "unanswered": unanswered, "worker": self._name})
        return answered

    def _opened(self, number: int, row: Row) -> Entry:
        self._work_on(number, row)
        return {}

    def _answer(self, number: int, rows: list[Row], asked: dict[int, AskedWindow]) -> Entry:
        """Ask about windows of a scene, and a second time about those that failed."""
        asking, left = self._work_on(number, rows[0]).asking, [row["window"] for row in rows]
        for _ in range(2):
            for window in asking.answered(partial(list, left)):
                asked[window.number] = window
            left = [each for each in left if "error" in asked[each].entry()]
        return {}

    def _work_on(self, number: int, row: Row) -> Finding | Survey:
        """Return the work on a scene, which stays open for further windows."""
        if number not in self._open:
            scene = self._manifest.scenes[number].open()
            self._open[number] = self._work.changed(**colours(row)).open(self._engine, scene)
        self._open.move_to_end(number)
        while len(self._open) > _OPEN:
            self._open.popitem(last=False)[1].look.scene.close()
        return self._open[number]


def worker(work: SceneWork, engine: OpenEngine, manifest: Manifest) -> Answer:
    """Return a worker, which opens its model and answers rows of `scene_rows`.

    Raises:
        GeoChatError: The model cannot be opened.
    """
    return _Worker(work, engine, manifest)
