"""Tables of answers, written row by row.

Rows go to `FILE.part`, flushed one by one. When the table is closed successfully, the file is renamed and replaces an
older one. So an interrupted run loses neither its rows nor an earlier table.
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
    """One answer in a table, or the reason why there is none.

    Attributes:
        image: The image, as it was named.
        feature: Number of the vector layer's feature that was asked about, from 1; None for the whole image.
        question: The question.
        task: The kind of question.
        answer: The words of the answer; of a closed set of answers, the one chosen.
        choice: The offered answer that was given; None if nothing was offered, or none was given.
        probability: Probability of the choice among the answers offered, where the engine scores them.
        score: Confidence of the model in its text: the geometric mean of its token probabilities.
        regions: Number of regions found.
        finish: Why the answer ends.
        notices: Notices that accompany it.
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
        """Return the row of an answer.

        Args:
            image: Name of the image.
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
    """A table being written; use it in a `with` statement.

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
        """Rename the file on success; keep the partial file otherwise."""
        try:
            self._file.close()
            if kind is None:
                self.part.replace(self.path)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, row: Row) -> None:
        """Write a row; it is passed to the operating system before this returns.

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
    """Return the geometric mean of token probabilities, given their logarithms; None without tokens."""
    listed = list(logprobs)
    return math.exp(math.fsum(listed) / len(listed)) if listed else None


def as_words(text: str) -> str:
    """Return text that a spreadsheet does not interpret as a formula."""
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
