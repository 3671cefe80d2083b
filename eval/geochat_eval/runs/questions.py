"""Questions of a run: their selection, order, and division among processes.

The questions are written once, as `questions.jsonl`, and stay on disk: for each, memory holds the offset of its line
and a hash of its image. Those of one image follow one another and belong to one process.

A limit samples evenly over the classes, by a seed, so that a higher limit contains a lower one. Questions of a class
are ordered by hashes of the seed and their names. The first of every class come first, then the second of every class,
and so on; a limit takes the beginning. The two questions of a pair stay together.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat_data.readers import Report
from geochat_eval.benchmarks import BENCHMARKS, Item
from geochat_eval.runs.folder import to_line, write_lines
from geochat_eval.runs.settings import RunSettings


@dataclass
class QuestionSampler:
    """Collects questions in the order they are read, and orders them for limits.

    Attributes:
        seed: Seed of the draw.
        scorer: Name of the benchmark's scorer, which says what its classes are.
    """

    seed: int
    scorer: str
    _units: list[list[int]] = field(default_factory=list)  # numbers of the questions of each unit
    _classes: list[str] = field(default_factory=list)
    _names: list[str] = field(default_factory=list)
    _pair: str | None = None
    _count: int = 0

    def add(self, item: Item) -> None:
        """Collect one question."""
        pair = item.fields.get("pair")
        if pair is not None and str(pair) == self._pair:
            self._units[-1].append(self._count)
        else:
            self._units.append([self._count])
            self._classes.append(class_of(item, self.scorer))
            self._names.append(f"{item.id}\0{self._count}")
        self._pair = None if pair is None else str(pair)
        self._count += 1

    def order(self) -> list[int]:
        """Return the numbers of all questions in the order in which limits take them."""
        members: dict[str, list[int]] = {}
        for unit, name in enumerate(self._classes):
            members.setdefault(name, []).append(unit)
        ranked = [
            (rank, self._hash(name), unit)
            for name, units in members.items()
            for rank, unit in enumerate(sorted(units, key=lambda unit: self._hash(self._names[unit])))
        ]
        return [number for _, _, unit in sorted(ranked) for number in self._units[unit]]

    def _hash(self, name: str) -> bytes:
        text = f"{self.seed}\0{name}".encode("utf-8", "replace")
        return hashlib.blake2b(text, digest_size=8).digest()


def class_of(item: Item, scorer: str) -> str:
    """Return the class of a question for balanced sampling.

    The class is the true class for scenes and regions, yes or no for questions about possibly absent objects, and the
    type for other questions; else the question's image, so that no image occurs twice before each has occurred once.
    """
    if scorer in ("scene", "identify", "existence"):
        return str(item.truth)
    if scorer == "vqa":
        return str(_first(item, ("category", "type")) or "")
    return item.image


def _first(item: Item, names: Iterable[str]) -> object:
    return next((item.fields[name] for name in names if item.fields.get(name)), None)


class NoQuestionsError(DataError):
    """A benchmark's files are valid but contain no question."""


def write_questions(path: Path, settings: RunSettings, report: Report, *, sampled: bool) -> int:
    """Write a run's questions as JSON lines; returns their number.

    Args:
        path: The file.
        settings: Settings of the run.
        report: Counts unusable items of the benchmark's files.
        sampled: Whether they are ordered by `QuestionSampler`, which a limit needs; else as the benchmark has them.

    Raises:
        NoQuestionsError: The benchmark's files hold no question.
        DataError: They cannot be read, or the file cannot be written.
        SettingsError: A file the benchmark needs was not named.
    """
    asked = BENCHMARKS[settings.benchmark]
    items = asked.read(settings.sources, report)
    sampler = QuestionSampler(settings.seed, asked.scorer) if sampled else None
    try:
        with atomic_draft(path) as draft:
            count = write_lines(draft, _lines(items, settings, sampler))
            if count and sampler is not None:
                order = sampler.order()[: settings.limit]
                count = write_lines(draft, (line for line in _picked(draft, order)))
            if not count:
                raise NoQuestionsError(_nothing(settings, report))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
    return count


def _nothing(settings: RunSettings, report: Report) -> str:
    asked, sources = BENCHMARKS[settings.benchmark], settings.sources
    if sources.reader is not None:
        return f"{asked.name} finds nothing to ask about in {sources.questions}: {report}"
    return f"{asked.name} finds no question in these files: {report}; check {asked.files}"


def _lines(items: Iterable[Item], settings: RunSettings, sampler: QuestionSampler | None) -> Iterator[str]:
    asked, sources = BENCHMARKS[settings.benchmark], settings.sources
    for item in items:
        if sampler is not None:
            sampler.add(item)
        choices = asked.choices(item, sources) if settings.choices else ()
        yield to_line(item.to_row(asked.prompt(item, sources), choices))


def _picked(path: Path, numbers: Iterable[int]) -> Iterator[str]:
    """Yield lines of a file by their numbers."""
    with path.open("rb") as lines:
        places = np.cumsum([0, *map(len, lines)], dtype=np.int64)
        for number in numbers:
            lines.seek(int(places[number]))
            yield lines.readline().decode("utf-8").rstrip("\n")


class Plan:
    """The questions of a file in the order they are asked.

    Args:
        path: One question per line, with an `image`.

    Raises:
        DataError: The file is missing or damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        offsets, images, place = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], 0
        try:
            with path.open("rb") as lines:
                while chunk := list(islice(lines, 4096)):
                    lengths = np.cumsum([0, *map(len, chunk)], dtype=np.int64)
                    offsets.append(place + lengths[:-1])
                    images.append(np.array([_image_key(line) for line in chunk], np.uint64))
                    place += int(lengths[-1])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged ({error!r}); restore it, or start again with --restart") from error
        self._offsets: NDArray[np.int64] = np.concatenate(offsets)
        _, first, group = np.unique(np.concatenate(images), return_index=True, return_inverse=True)
        self._order = np.argsort(first[group], kind="stable")  # images as they first appear
        self._turn = np.argsort(np.argsort(first))[group]  # the image's number in that order

    def __len__(self) -> int:
        return len(self._offsets)

    def share(self, rank: int, world: int) -> "array[int]":
        """Return the numbers of the questions for process `rank` of `world`: those of every `world`th image."""
        mine = self._turn[self._order] % world == rank
        return array("q", self._order[mine].astype(np.int64).tobytes())

    def rows(self, numbers: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield questions by their numbers, read on demand."""
        with self._path.open("rb") as lines:
            for number in numbers:
                lines.seek(int(self._offsets[number]))
                yield number, json.loads(lines.readline())


def _image_key(line: bytes) -> int:
    name = str(json.loads(line)["image"]).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
