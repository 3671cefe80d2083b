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
from geochat_data.readers import Report
from geochat_eval.benchmarks import Benchmark, Sources
from geochat_eval.running.folder import to_line, write_lines

_PIECE = 1 << 20


def write_questions(
    path: Path, benchmark: Benchmark, sources: Sources, report: Report, limit: int | None = None
) -> int:
    """Write a benchmark's questions as JSON lines; returns how many.

    Raises:
        DataError: The benchmark's files cannot be read, hold no question, or the file cannot be written.
        SettingsError: A file the benchmark needs was not named.
    """
    try:
        items = islice(benchmark.read(sources, report), limit)
        count = write_lines(path, (to_line(item.to_row(benchmark.prompt(item, sources))) for item in items))
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror}; choose another --out") from error
    if not count:
        path.unlink()
        raise DataError(f"{benchmark.name} finds no question in these files: {report}; check {benchmark.files}")
    return count


class Plan:
    """The questions of a file in the order they are asked.

    Args:
        path: One question a line, with an `image`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        offsets, images, place = [np.empty(0, np.int64)], [np.empty(0, np.uint64)], 0
        with path.open("rb") as lines:
            while chunk := list(islice(lines, 4096)):
                lengths = np.cumsum([0, *map(len, chunk)], dtype=np.int64)
                offsets.append(place + lengths[:-1])
                images.append(np.array([_image_key(line) for line in chunk], np.uint64))
                place += int(lengths[-1])
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


def file_hash(path: Path | None) -> str | None:
    """SHA-256 of a file, None for none.

    Raises:
        DataError: It cannot be read.
    """
    if path is None:
        return None
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                digest.update(piece)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
    return digest.hexdigest()


def _image_key(line: bytes) -> int:
    name = str(json.loads(line)["image"]).encode("utf-8", "replace")
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
