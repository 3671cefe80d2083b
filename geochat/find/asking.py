"""The same questions about every window of a scene, recorded in a job.

Windows are read in a thread while the model computes. All questions about one window are asked together, so the model
encodes it once; each answer equals that of `GeoChat.ask` for the window.
"""

import shutil
import tempfile
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypedDict, Unpack

from geochat import __version__
from geochat.assistant import Answer, Conversation, Question
from geochat.assistant.batch import answer_each
from geochat.assistant.interpretation import interpret
from geochat.engines import Engine
from geochat.errors import GeoChatError, PromptError
from geochat.exports import Feature
from geochat.find.background import in_background
from geochat.find.job import Job, Share
from geochat.find.looking import Look
from geochat.find.recording import AskedWindow, Recorder, Unanswered
from geochat.find.windows import Row
from geochat.geometry import OrientedBox
from geochat.imagery import GeoImage
from geochat.journal import Entry

_AHEAD_BYTES = 2**28  # of windows read and not asked about yet
_AHEAD = 32  # windows at most
_WHOLE_VIEW = OrientedBox(0, 0, 100, 100)

_ENDINGS = {
    "length": "an answer was cut off",
    "repetition": "an answer repeated itself",
    "cancelled": "an answer was cancelled",
}


class JobOptions(TypedDict, total=False):
    """Options of a job: its folder, and the part that this process does.

    Attributes:
        job: Its folder, which allows resuming and sharing with other processes; None stores nothing.
        restart: Whether to delete the folder's contents.
        retry: Whether failed windows are tried again.
        share: The part of the job for this process: its index from 0, and the number of parts.
        unanswered: Counts the windows in a row without an answer, of several jobs with one engine; None counts those
            of each round of this job.
    """

    job: str | Path | None
    restart: bool
    retry: bool
    share: Share
    unanswered: Unanswered | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Progress of a job.

    Attributes:
        done: Windows recorded, by whichever process.
        total: Total number of windows.
        failed: Number of recorded windows that failed.
        found: Objects, or answered windows, so far.
    """

    done: int
    total: int
    failed: int
    found: int


class Asking:
    """Questions about the windows of a scene, and the job in which the answers are recorded.

    Args:
        engine: The engine to use.
        look: The scene and its windows.
        questions: Asked about each window.
        read: Returns the record of an answer, JSON-ready.
        settings: Other settings that identify the job, JSON-ready.
        region: Returns the region of a window for the question; None for the whole window.
        options: See `JobOptions`.

    Raises:
        PromptError: A question is outside what the model knows.
        SettingsError: The folder holds another job.
        DataError: The folder cannot be written.

    Attributes:
        look: The scene and its windows.
        job: Job that records the answers.
        prompts: The questions as the model reads them; with `region`, about one that fills its view.
    """

    def __init__(
        self,
        engine: Engine,
        look: Look,
        questions: Sequence[Question],
        read: Callable[[Answer], dict[str, Any]],
        settings: Mapping[str, Any],
        *,
        region: Callable[[int], OrientedBox] | None = None,
        **options: Unpack[JobOptions],
    ) -> None:
        self._engine, self.look, self._questions, self._read = engine, look, tuple(questions), read
        self._region = region
        self.prompts = tuple(_prompt(engine, question, region and _WHOLE_VIEW) for question in questions)
        self._share, self._unanswered = options.get("share", (0, 1)), options.get("unanswered")
        folder = options.get("job")
        if folder is None:
            folder = tempfile.mkdtemp(prefix="geochat-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        restart, retry = options.get("restart", False), options.get("retry", False)
        self.job = Job(Path(folder), self._asked(settings), look.plan, restart=restart, retry=retry)

    def progress(self, found: int = 0) -> Progress:
        """Progress of the job."""
        recorded = self.job.recorded
        return Progress(recorded.answered + recorded.failed, self.look.plan.count, recorded.failed, found)

    def provenance(self) -> dict[str, Any]:
        """Provenance of the answers, JSON-ready."""
        look, info, progress = self.look, self._engine.info, self.progress()
        return {
            "software": f"geochat {__version__}",
            "model": info.name,
            "model_sha256": info.sha256,
            "prompts": list(self.prompts),
            "image": look.name,
            "image_fingerprint": look.identity["fingerprint"],
            "image_size": list(look.scene.size),
            "crs": look.place.map_crs,
            "bands": list(look.bands),
            "stretch": [list(pair) for pair in look.stretch.limits],
            "grids": look.plan.to_dict()["grids"],
            "windows": progress.total,
            "windows_recorded": progress.done,
            "windows_failed": progress.failed,
        }

    def answered(self, numbers: Callable[[], Iterable[int]]) -> Generator[AskedWindow, None, None]:
        """Ask about windows without recording; yield each window when it is done.

        Args:
            numbers: Returns the windows; called and iterated in another thread.
        """
        pending: dict[int, AskedWindow] = {}  # by question asked
        asking, unasked = count(), deque[AskedWindow]()

        def asked() -> Iterator[tuple[Conversation, Question]]:
            for number, view in views:
                if isinstance(view, GeoImage):
                    window = AskedWindow(number, [None] * len(self._questions))
                    conversation = Conversation(self._engine, view)
                    for place, question in enumerate(self._questions):
                        pending[asked_as := next(asking)] = window
                        window.places[asked_as] = place
                        yield conversation, self._about(number, question)
                else:
                    unasked.append(AskedWindow(number, unread=view or "no data"))

        with closing(in_background(lambda: self._views(iter(numbers())), self._ahead())) as views:
            for asked_as, result in answer_each(self._engine, asked(), {}):
                window = pending.pop(asked_as)
                window.take(asked_as, result if isinstance(result, GeoChatError) else self._read(result))
                if window.complete:
                    yield window
                while unasked:
                    yield unasked.popleft()
            yield from unasked

    def run(self) -> Generator[None, None, None]:
        """Ask about the windows that are neither recorded nor claimed; yields after each recorded one.

        Failed windows are tried again at the end, and recorded as failed if they fail again.

        Raises:
            DataError: The folder cannot be written.
            GeoChatError: The engine answers nothing any more.
        """
        with self.job:
            failed: list[int] = []
            claimed = -1
            while claimed < self.job.claimed:  # meanwhile other processes may have ended, and left some
                claimed = self.job.claimed
                yield from self._round(lambda: self.job.numbers(self._share), failed)
            yield from self._round(lambda: iter(failed), None)
            self.job.refresh()

    def rows(
        self, work: Iterator[None] | None = None, advanced: Callable[[], object] = lambda: None
    ) -> Iterator[tuple[Row, dict[int, Entry]]]:
        """Yield every row of windows, from the top of the scene down, with the records of its windows.

        Args:
            work: What `run` gave, which is advanced until a row is recorded; the rows end where it ends, which is
                early where other processes do the rest. None takes what is recorded.
            advanced: Called after each window that `work` records.
        """
        for row in self.look.plan.rows():
            for number in row.numbers:
                while work is not None and number not in self.job:
                    if next(work, work) is work:
                        return
                    advanced()
            found = ((number, self.job.entry(number)) for number in row.numbers)
            yield row, {number: entry for number, entry in found if entry is not None}

    def not_looked_at(self) -> Iterator[Feature]:
        """The windows with missing or incomplete results and the reason, as rows of `geochat.exports.NOT_LOOKED_AT`."""
        for row, entries in self.rows():
            reasons = {number: unknown(entries.get(number)) for number in row.numbers}
            for number, reason in (reasons | dict.fromkeys(row.outside, "outside the area")).items():
                if reason:
                    window = self.look.plan.window(number)
                    yield self.look.feature(window, {"window": list(window), "reason": reason})

    def _round(self, numbers: Callable[[], Iterator[int]], failed: list[int] | None) -> Iterator[None]:
        """Ask about windows once; yields after each recorded one.

        Args:
            numbers: Returns the windows; called and iterated in another thread.
            failed: Collects the failed windows; None records them as failed.
        """
        recorder = Recorder(self.job, failed, self._unanswered or Unanswered())
        for window in self.answered(numbers):
            if recorder.add(window):
                yield None

    def _about(self, number: int, question: Question) -> Question:
        """Return a question in the form asked about a window."""
        question = replace(question, id=f"{question.id}-{number}")
        return question if self._region is None else replace(question, regions=self._region(number))

    def _views(self, numbers: Iterator[int]) -> Generator[tuple[int, GeoImage | GeoChatError | None], None, None]:
        for number in numbers:
            try:
                yield number, self.look.view(number)
            except GeoChatError as error:
                yield number, error

    def _ahead(self) -> int:
        """Return the number of windows that may be read ahead."""
        largest = max(grid.side[0] * grid.side[1] for grid in self.look.plan.grids)
        return max(2, min(_AHEAD, _AHEAD_BYTES // (3 * largest)))

    def _asked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        info = self._engine.info
        return {
            "scene": self.look.identity,
            "windows": self.look.plan.to_dict(),
            "prompts": list(self.prompts),
            "model": info.name,
            "model_sha256": info.sha256,
            "stretch": [list(pair) for pair in self.look.stretch.limits],
            **settings,
        }


def options_of(kind: type, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that belong to an options class."""
    return {name: value for name, value in options.items() if name in kind.__annotations__}


def _prompt(engine: Engine, question: Question, region: OrientedBox | None) -> str:
    """Return a question as the model reads it, about a region in its numbers or about the whole view.

    Raises:
        PromptError: It is outside what the model knows, or has no words.
    """
    understood = interpret(question, () if region is None else (region,), engine.info)
    if understood.reply is not None:
        raise PromptError(understood.reply)
    return understood.prompt


def unknown(entry: Entry | None) -> str:
    """Return why a window's results are incomplete; "" if they are complete."""
    if entry is None:
        return "not reached"
    if "error" in entry:
        return f"failed: {entry['error']}"
    if "skipped" in entry:
        return str(entry["skipped"])
    told = [_ENDINGS[answer["finish"]] for answer in entry["answers"] if answer.get("finish") in _ENDINGS]
    told += ["an answer could not be read" for answer in entry["answers"] if answer.get("unread")]
    told += ["a box has no area" for answer in entry["answers"] if answer.get("flat")]
    return "; ".join(dict.fromkeys(told))
