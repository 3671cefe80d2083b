"""Answers as a table, written row by row while they come.

Rows go to `FILE.part`, flushed one by one, and the file appears under its own name, replacing an older one, when the
table is closed whole: an interrupted run loses neither the rows it had nor an earlier table.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import IO, Any, Self

from geochat.assistant.notices import Notice
from geochat.errors import ExportError
from geochat.exports import check_target

ENDINGS = (".csv", ".jsonl")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Row:
    """One answer in a table, or why there is none.

    Attributes:
        image: The image, as it was named.
        feature: Number of the vector layer's feature that was asked about, from 1; None for the whole image.
        question: What was asked.
        task: The kind of question.
        answer: The words of the answer; of a closed set of answers, the one chosen.
        choice: Which of the answers offered was given; None where nothing was offered, or none of them.
        probability: Of the choice among the answers offered, where the engine scores them.
        score: How sure the model was of what it wrote: the geometric mean of the probabilities of its tokens.
        regions: How many regions were found.
        finish: Why the answer ends.
        notices: What to know beside it.
        error: Why there is no answer.
    """

    image: str
    feature: int | None = None
    question: str | None = None
    task: str | None = None
    answer: str | None = None
    choice: str | None = None
    probability: float | None = None
    score: float | None = None
    regions: int | None = None
    finish: str | None = None
    notices: tuple[Notice, ...] = ()
    error: str | None = None

    @classmethod
    def of(cls, image: str, answer: Mapping[str, Any], feature: int | None = None) -> Self:
        """The row of an answer.

        Args:
            image: What the image is called.
            answer: The answer as `Answer.to_dict` gives it.
            feature: Number of the feature it is about.
        """
        chosen = (each["probability"] for each in answer["choices"] if each["text"] == answer["choice"])
        return cls(
            image,
            feature,
            answer["question"],
            answer["task"],
            " ".join(answer["plain_text"].split()),
            answer["choice"],
            next(chosen, None),
            answer_score(token["logprob"] for token in answer["tokens"]),
            len(answer["regions"]),
            answer["finish"],
            tuple(Notice(**notice) for notice in answer["notices"]),
        )


class AnswerTable:
    """A table that is being written; use it in a `with` statement.

    Args:
        path: Ends in .csv or .jsonl.

    Raises:
        ExportError: The ending is another, or the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = check_target(path, ENDINGS)
        self.part = self.path.with_name(f"{self.path.name}.part")
        self.rows = 0
        self._as_csv = self.path.suffix.lower() == ".csv"
        encoding = "utf-8-sig" if self._as_csv else "utf-8"  # as spreadsheets expect it
        try:
            self._file: IO[str] = self.part.open("w", encoding=encoding, newline="")
        except OSError as error:
            raise self._failed(error) from error
        if self._as_csv:
            csv.writer(self._file).writerow(field.name for field in fields(Row))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the file its name where nothing went wrong; keep the part otherwise."""
        try:
            self._file.close()
            if kind is None:
                self.part.replace(self.path)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, row: Row) -> None:
        """Add a row; it is on disk, or with the operating system, when this returns.

        Raises:
            ExportError: The disk is full.
        """
        try:
            if self._as_csv:
                csv.writer(self._file).writerow(_cells(row))
            else:
                self._file.write(json.dumps(asdict(row), ensure_ascii=False, allow_nan=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise self._failed(error) from error
        self.rows += 1

    def _failed(self, error: OSError) -> ExportError:
        return ExportError(f"{self.path} cannot be written: {error.strerror or error}; choose another place")


def answer_score(logprobs: Iterable[float]) -> float | None:
    """The geometric mean of the probabilities of an answer's tokens, given their logarithms; None without tokens."""
    listed = list(logprobs)
    return math.exp(math.fsum(listed) / len(listed)) if listed else None


def as_words(text: str) -> str:
    """Words that a spreadsheet takes for words: what a model wrote is nobody's formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _cells(row: Row) -> Iterator[object]:
    for field in fields(row):
        value = getattr(row, field.name)
        if field.name == "notices":
            value = " ".join(notice.text for notice in value)
        if isinstance(value, float):
            value = f"{value:.6g}"
        elif isinstance(value, str):
            value = as_words(value)
        yield "" if value is None else value
