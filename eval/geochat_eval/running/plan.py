"""Which questions are asked, in which order, and by which of several processes.

The questions are written down once, as `questions.jsonl`, and stay on disk: what is held of each is where its line
begins and which image it is about. Those of one image follow one another and belong to one process.
"""

import hashlib
import json
from array import array
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat_data.readers import Report
from geochat_eval.benchmarks import Item, benchmark
from geochat_eval.running.drawing import Drawing
from geochat_eval.running.folder import to_line, write_lines
from geochat_eval.running.settings import RunSettings


class NoQuestionsError(DataError):
    """A benchmark's files are in order and give no question."""


def write_questions(path: Path, settings: RunSettings, report: Report, *, drawn: bool) -> int:
    """Write a run's questions as JSON lines; returns how many.

    Args:
        path: The file.
        settings: Of the run.
        report: Counts what of the benchmark's files cannot be used.
        drawn: Whether they stand in the order of `Drawing`, which a limit needs; else as the benchmark has them.

    Raises:
        NoQuestionsError: The benchmark's files hold no question.
        DataError: They cannot be read, or the file cannot be written.
        SettingsError: A file the benchmark needs was not named.
    """
    asked = benchmark(settings.benchmark)
    items = asked.read(settings.sources, report)
    drawing = Drawing(settings.seed, asked.scorer) if drawn else None
    try:
        with atomic_draft(path) as draft:
            count = write_lines(draft, _lines(items, settings, drawing))
            if count and drawing is not None:
                order = drawing.order()[: settings.limit]
                count = write_lines(draft, (line for line in _picked(draft, order)))
            if not count:
                raise NoQuestionsError(_nothing(settings, report))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
    return count


def _nothing(settings: RunSettings, report: Report) -> str:
    asked, sources = benchmark(settings.benchmark), settings.sources
    if sources.reader is not None:
        return f"{asked.name} finds nothing to ask about in {sources.questions}: {report}"
    return f"{asked.name} finds no question in these files: {report}; check {asked.files}"


def _lines(items: Iterable[Item], settings: RunSettings, drawing: Drawing | None) -> Iterator[str]:
    asked, sources = benchmark(settings.benchmark), settings.sources
    for item in items:
        if drawing is not None:
            drawing.add(item)
        choices = asked.choices(item, sources) if settings.choices else ()
        yield to_line(item.to_row(asked.prompt(item, sources), choices))


def _picked(path: Path, numbers: Iterable[int]) -> Iterator[str]:
    """Lines of a file by their numbers."""
    with path.open("rb") as lines:
        places = np.cumsum([0, *map(len, lines)], dtype=np.int64)
        for number in numbers:
            lines.seek(int(places[number]))
            yield lines.readline().decode("utf-8").rstrip("\n")


class Plan:
    """The questions of a file in the order they are asked.

    Args:
        path: One question a line, with an `image`.

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
            raise DataError(f"{path} is damaged ({error!r}); restore it, or begin anew with --restart") from error
        self._offsets: NDArray[np.int64] = np.concatenate(offsets)
        _, first, group = np.unique(np.concatenate(images), return_index=True, return_inverse=True)
        self._order = np.argsort(first[group], kind="stable")  # images as they first appear
        self._turn = np.argsort(np.argsort(first))[group]  # the image's number in that order

    def __len__(self) -> int:
        return len(self._offsets)

    def share(self, rank: int, world: int) -> "array[int]":
        """The numbers of the questions that process `rank` of `world` asks: those of every `world`th image."""
        mine = self._turn[self._order] % world == rank
        return array("q", self._order[mine].astype(np.int64).tobytes())

    def rows(self, numbers: Iterable[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Questions by their numbers, read when they are asked for."""
        with self._path.open("rb") as lines:
            for number in numbers:
                lines.seek(int(self._offsets[number]))
                yield number, json.loads(lines.readline())


def _image_key(line: bytes) -> int:
    name = str(json.loads(line)["image"]).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
