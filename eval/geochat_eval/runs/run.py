"""Run of a benchmark: prepare the questions, answer them, merge the answers.

A run that is killed at any moment resumes when it is started again: nothing is lost, nothing is asked twice, and its
final files are the same. Several processes work on one folder, each on the images that are its own and into a
journal of its own; the one that finds every question answered merges. They communicate through the folder alone.
"""

import json
import time
from array import array
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from geochat.dialects import Dialect
from geochat.errors import DataError, GeoChatError, SettingsError
from geochat.journal import Entry, Journal, Recorded
from geochat_eval.runs.folder import EvaluationFolder, has_answers, is_answer, to_line, write_json, write_lines
from geochat_eval.runs.predictors import Prediction, Predictor, Query
from geochat_eval.runs.preparation import Notify, compare, prepare
from geochat_eval.runs.questions import Plan
from geochat_eval.runs.settings import RunSettings, dialect_to_json, file_hash, same_dialect

_REPLY = ("answer", "finish", "written", "choice_method", "probabilities")


@dataclass(frozen=True, slots=True)
class RunProgress:
    """Progress of this process: its questions done, their total, and the number of them that failed."""

    done: int
    total: int
    failed: int


class Run:
    """Questions of one benchmark to one predictor, in one folder.

    Args:
        folder: Folder of the run; created if missing, and resumed if it holds a run.
        settings: The questions, and the way they are asked.
        restart: Whether to delete an existing run in the folder.
        notify: Called with a sentence about each repair.

    Raises:
        DataError: The benchmark's files or the run's own cannot be read, or the folder cannot be written.
        SettingsError: The folder holds a run with other settings, or a file the benchmark needs was not named.
    """

    def __init__(
        self, folder: Path, settings: RunSettings, *, restart: bool = False, notify: Notify = lambda _: None
    ) -> None:
        self.folder = EvaluationFolder(folder)
        self.settings = settings
        self._notify = notify
        self.folder.create()
        with self._lock():
            self._asked = prepare(self.folder, settings, notify, restart=restart)
            self._plan = Plan(self.folder.questions)

    def __len__(self) -> int:
        return len(self._plan)

    @property
    def images(self) -> Path:
        """The folder that the questions' image names are relative to."""
        return self.folder.images if self.settings.generates_images else self.settings.sources.root

    def answer(self, predictor: Predictor, rank: int = 0, world: int = 1) -> Iterator[RunProgress]:
        """Ask the unanswered questions, and merge when all are answered.

        Args:
            predictor: The model or file that answers.
            rank: Number of this process.
            world: Number of processes.

        Yields:
            The progress, before the first question and after each answer.

        Raises:
            SettingsError: The folder holds another model's answers.
            DataError: Another process of this rank is at work, the answers cannot be written, or the run is strict
                and a question failed.
        """
        with ExitStack() as held:
            with self._lock():
                self._identify(predictor)
                journal = held.enter_context(Journal(self.folder.journal, rank))
            before = self._answered(retry=self.settings.retry)
            for path, count in before.damaged.items():
                self._notify(f"{count} lines of {path} are damaged or not its own; their questions are asked again")
            share = self._plan.share(rank, world)
            waiting = array("q", (number for number in share if number not in before))
            total, failed = len(share), 0
            done = total - len(waiting)
            yield RunProgress(done, total, failed)
            for number, reply, seconds in self._replies(predictor, waiting):
                entry: Entry = {"number": number, "seconds": round(seconds, 4)}
                if isinstance(reply, GeoChatError):
                    if self.settings.strict:
                        raise DataError(f"question {number} of {self.folder.questions} failed: {reply}") from reply
                    failed += 1
                    journal.write({**entry, "error": str(reply)})
                else:
                    journal.write({**entry, **reply.to_dict()})
                done += 1
                yield RunProgress(done, total, failed)
        if done < total:
            raise DataError(f"{total - done} questions got neither an answer nor a reason; run again to ask them")
        self._merge()

    @property
    def complete(self) -> bool:
        """True once all questions are answered, by any process, and the answers are merged."""
        return self.folder.answers.is_file()

    def _replies(
        self, predictor: Predictor, numbers: Iterable[int]
    ) -> Iterator[tuple[int, Prediction | GeoChatError, float]]:
        """Yield the replies of the predictor, each with the seconds since the previous one."""
        root, budget = self.images, self.settings.budget
        blind = self.settings.blind
        asked = (
            Query(number, row["prompt"], None if blind else root / row["image"], budget, row)
            for number, row in self._plan.rows(numbers)
        )
        since = time.perf_counter()
        for number, reply in predictor.predict(asked):
            now = time.perf_counter()
            yield number, reply, now - since
            since = now

    def _identify(self, predictor: Predictor) -> None:
        """Record the predictor in the settings, or check that it is the recorded one."""
        spoken: Dialect | None = getattr(predictor, "dialect", None)
        if spoken is not None and not same_dialect(dialect_to_json(spoken), self.settings.sources.dialect):
            raise SettingsError(
                f"{predictor.name} writes regions as {dialect_to_json(spoken)}, and {self.folder.path} asks in another "
                "dialect; give Sources its own"
            )
        who = {"model": predictor.name, "model_sha256": predictor.sha256}
        known = self.folder.read_settings()
        if known.get("asked", {}) != self._asked:
            raise SettingsError(f"another run was begun in {self.folder.path} meanwhile; choose another --out")
        if has_answers(self.folder):
            compare(self.folder, known, who)
        if not who.items() <= known.items():
            write_json(self.folder.settings, {**known, **who})

    def _answered(self, *, retry: bool = False) -> Recorded:
        return Recorded(self.folder.journal, len(self._plan), is_answer, retry=retry)

    def _merge(self) -> None:
        """Merge questions and answers if all are complete. Idempotent, and the same in every process."""
        with self._lock():
            answered = self._answered()
            if not answered.complete:
                return
            results = (self.folder.failures, self.folder.answers)
            for path, wanted in zip(results, (True, False), strict=True):
                write_lines(path, (to_line(row) for row, failed in self._rows(answered) if failed is wanted))
            hashes = {path.name: file_hash(path) for path in results}
            known = self.folder.read_settings()
            if known.get("results") != hashes:
                write_json(self.folder.settings, {**known, "results": hashes})

    def _rows(self, answered: Recorded) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield questions with their answers or errors, in order, and whether each is an error."""
        with self.folder.questions.open(encoding="utf-8") as lines:
            for line, entry in zip(lines, answered.entries(), strict=True):
                row = json.loads(line)
                if "error" in entry:
                    yield {**row, "error": entry["error"]}, True
                else:
                    yield {**row, **{name: entry[name] for name in _REPLY if name in entry}}, False

    def _lock(self) -> FileLock:
        return FileLock(self.folder.path / ".lock")


def seconds_of(folder: EvaluationFolder) -> tuple[float, int]:
    """Return the seconds spent answering, summed over processes, and the number of processes."""
    with folder.questions.open("rb") as lines:
        count = sum(1 for _ in lines)
    return Recorded(folder.journal, count, is_answer).seconds, len(list(folder.journal.glob("*.jsonl")))
