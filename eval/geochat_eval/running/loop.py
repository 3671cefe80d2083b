"""Running a benchmark: plan, answer, merge.

Killed at any moment and started again, a run goes on where it was: nothing is lost, nothing is asked twice, and the
files at its end are the same. Several processes work on one folder, each on the images that are its own and into a
journal of its own; whoever finds every question answered merges. They need no network between them, only the folder.
"""

import json
import time
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from geochat.dialects import Dialect
from geochat.errors import DataError, GeoChatError, SettingsError
from geochat_data.readers import Report
from geochat_eval import identity
from geochat_eval.benchmarks import Sources, benchmark
from geochat_eval.running.answerers import Answerer, Asked, Reply
from geochat_eval.running.folder import RunFolder, to_line, write_json, write_lines
from geochat_eval.running.journal import Answered, Entry, Journal
from geochat_eval.running.plan import Plan, file_hash, write_questions

_MAY_DIFFER = ("questions",)  # a file's place, which does not matter: its hash does


@dataclass(frozen=True)
class RunSettings:
    """What is asked and how.

    Attributes:
        benchmark: A name of `BENCHMARKS`.
        sources: Its files, and the dialect it is asked in.
        limit: Ask the first questions only.
        max_new_tokens: The answer budget, None for the benchmark's.
        blind: Whether images are withheld, which tells what can be guessed without looking.
        strict: Whether the first thing that fails ends the run.
        retry: Whether questions that failed before are asked again.

    Raises:
        SettingsError: There is no such benchmark, or a number is impossible.
    """

    benchmark: str
    sources: Sources
    limit: int | None = None
    max_new_tokens: int | None = None
    blind: bool = False
    strict: bool = False
    retry: bool = False

    def __post_init__(self) -> None:
        benchmark(self.benchmark)
        for name in ("limit", "max_new_tokens"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise SettingsError(f"{name}={value} is impossible; give 1 or more")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far this process is: its questions done, of how many, and how many of these failed."""

    done: int
    total: int
    failed: int


class Run:
    """One benchmark asked of one answerer, in one folder.

    Args:
        folder: Where everything is written; made if need be, and gone on with if there is a run in it.
        settings: What is asked and how.

    Raises:
        DataError: The benchmark's files cannot be read, or the folder cannot be written.
        SettingsError: The folder holds a run with other settings, or a file the benchmark needs was not named.
    """

    def __init__(self, folder: Path, settings: RunSettings) -> None:
        self.folder = RunFolder(folder)
        self._settings = settings
        self._benchmark = benchmark(settings.benchmark)
        self._makes_images = self._benchmark.makes_images(settings.sources)
        self.folder.create()
        with self._lock():
            self._write_plan()
        self._plan = Plan(self.folder.questions)

    def __len__(self) -> int:
        return len(self._plan)

    @property
    def images(self) -> Path:
        """What the questions' images are relative to."""
        return self.folder.images if self._makes_images else self._settings.sources.root

    def answer(self, answerer: Answerer, rank: int = 0, world: int = 1) -> Iterator[Progress]:
        """Ask what has not been asked, and merge if everything has been.

        Args:
            answerer: What answers.
            rank: Which of several processes this is.
            world: How many processes there are.

        Yields:
            How far it is, first before anything is asked and then after each answer.

        Raises:
            SettingsError: The folder's answers are somebody else's.
            DataError: Another process of this rank is at work, the answers cannot be written, or the run is strict
                and a question failed.
        """
        with self._lock():
            self._identify(answerer)
        with Journal(self.folder.journal, rank) as journal:
            before = self._answered(retry=self._settings.retry)
            share = self._plan.share(rank, world)
            waiting = array("q", (number for number in share if number not in before))
            total, failed = len(share), 0
            done = total - len(waiting)
            yield Progress(done, total, failed)
            for number, reply, seconds in self._replies(answerer, waiting):
                entry: Entry = {"number": number, "seconds": round(seconds, 4)}
                if isinstance(reply, GeoChatError):
                    if self._settings.strict:
                        raise DataError(f"question {number} of {self.folder.questions} failed: {reply}") from reply
                    failed += 1
                    journal.write({**entry, "error": str(reply)})
                else:
                    journal.write({**entry, "answer": reply.text, "finish": reply.finish})
                done += 1
                yield Progress(done, total, failed)
        if done < total:
            raise DataError(f"{total - done} questions got neither an answer nor a reason; run again to ask them")
        self._merge()

    @property
    def complete(self) -> bool:
        """Whether every question has been asked, by whichever process, and the answers are merged."""
        return self.folder.answers.is_file()

    def _replies(self, answerer: Answerer, numbers: Iterable[int]) -> Iterator[tuple[int, Reply | GeoChatError, float]]:
        """What the answerer says, with the seconds since what it said before."""
        root, budget = self.images, self._settings.max_new_tokens or self._benchmark.max_new_tokens
        blind = self._settings.blind
        asked = (
            Asked(number, row["prompt"], None if blind else root / row["image"], budget, row)
            for number, row in self._plan.rows(numbers)
        )
        since = time.perf_counter()
        for number, reply in answerer.answer(asked):
            now = time.perf_counter()
            yield number, reply, now - since
            since = now

    def _write_plan(self) -> None:
        wanted = self._about()
        if self.folder.settings.is_file():
            _compare(self.folder, wanted)
            return
        report = Report(strict=self._settings.strict)
        sources = self._settings.sources
        write_questions(self.folder.questions, self._benchmark, sources, report, self._settings.limit)
        write_json(self.folder.settings, {**wanted, "left_out": report.to_dict()["reasons"]})

    def _about(self) -> dict[str, Any]:
        """The settings that decide about answers, JSON-ready."""
        settings, sources = self._settings, self._settings.sources
        drawn = {"scenes": sources.scenes} if self._makes_images and sources.images is None else {}
        return {
            "benchmark": settings.benchmark,
            "images": None if sources.images is None else str(sources.images.resolve()),
            "root": None if self._makes_images else str(sources.root.resolve()),
            "questions": None if sources.questions is None else str(sources.questions),
            "questions_sha256": file_hash(sources.questions),
            "truth_sha256": file_hash(sources.truth),
            "split": sources.split,
            "wording": sources.wording,
            **drawn,
            "limit": settings.limit,
            "blind": settings.blind,
            "max_new_tokens": settings.max_new_tokens or self._benchmark.max_new_tokens,
            "dialect": identity.to_json(sources.dialect),
        }

    def _identify(self, answerer: Answerer) -> None:
        """Write who answers into the settings, or see that it is the same as before."""
        spoken: Dialect | None = getattr(answerer, "dialect", None)
        if spoken is not None and not identity.same(identity.to_json(spoken), self._settings.sources.dialect):
            raise SettingsError(
                f"{answerer.name} writes regions as {identity.to_json(spoken)}, and {self.folder.path} asks in another "
                "dialect; give Sources its own"
            )
        who = {"model": answerer.name, "model_sha256": answerer.sha256}
        _compare(self.folder, who)
        known = self.folder.read_settings()
        if not who.items() <= known.items():
            write_json(self.folder.settings, {**known, **who})

    def _answered(self, *, retry: bool = False) -> Answered:
        return Answered(self.folder.journal, len(self._plan), retry=retry)

    def _merge(self) -> None:
        """Put questions and answers together, if all are there; the same files whoever does it and however often."""
        with self._lock():
            answered = self._answered()
            if not answered.complete:
                return
            write_lines(self.folder.answers, (to_line(row) for row, failed in self._rows(answered) if not failed))
            write_lines(self.folder.failures, (to_line(row) for row, failed in self._rows(answered) if failed))

    def _rows(self, answered: Answered) -> Iterator[tuple[dict[str, Any], bool]]:
        """Questions with their answers or errors, in order, and whether it is an error."""
        with self.folder.questions.open(encoding="utf-8") as lines:
            for line, entry in zip(lines, answered.entries(), strict=True):
                row = json.loads(line)
                if "error" in entry:
                    yield {**row, "error": entry["error"]}, True
                else:
                    yield {**row, "answer": entry["answer"], "finish": entry["finish"]}, False

    def _lock(self) -> FileLock:
        return FileLock(self.folder.path / ".lock")


def seconds_of(folder: RunFolder) -> tuple[float, int]:
    """Seconds spent answering, all processes added up, and how many processes there were."""
    with folder.questions.open("rb") as lines:
        count = sum(1 for _ in lines)
    return Answered(folder.journal, count).seconds, len(list(folder.journal.glob("*.jsonl")))


def _compare(folder: RunFolder, wanted: dict[str, Any]) -> None:
    known = folder.read_settings()
    for name, value in wanted.items():
        if name == "dialect":
            differs = not identity.same(known.get(name), identity.from_json(value))
        else:
            differs = name in known and known[name] != value and name not in _MAY_DIFFER
        if differs:
            raise SettingsError(
                f"{folder.path} holds a run with {name}={known.get(name)!r}, not {value!r}; choose another --out"
            )
