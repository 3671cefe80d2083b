"""Two sets of answers to the same questions, compared question by question.

Both are scored on the questions both answered, in one order, so that each bootstrap replicate draws the same questions
for both: the interval of a difference is a paired one, far narrower than two intervals laid side by side.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geochat.dialects import Dialect
from geochat.errors import DataError
from geochat_data.readers import Report, read_jsonl
from geochat_eval.bootstrap import Figure, rounded
from geochat_eval.formats import FORMATS, Answer
from geochat_eval.scorers import SCORERS, Scored, ScorerSettings

_Reader = Callable[[dict[str, Any]], Answer]


@dataclass(frozen=True)
class Comparison:
    """What two sets of answers got on the same questions.

    Attributes:
        first: Figures of the first.
        second: Figures of the second.
        better: Questions the first answered better, by how good each answer is by itself.
        worse: Questions the second answered better.
        equal: Questions answered equally well.
        report: How many lines were used, and which were not and why.
    """

    first: Scored
    second: Scored
    better: int
    worse: int
    equal: int
    report: Report

    @property
    def differences(self) -> dict[str, Figure]:
        """First minus second by rule, in percentage points, with the paired interval; rules both could compute."""
        shared = self.first.figures.keys() & self.second.figures.keys()
        return {
            rule: figure.minus(self.second.figures[rule])
            for rule, figure in self.first.figures.items()
            if rule in shared
        }

    def to_dict(self) -> dict[str, Any]:
        """One JSON object."""
        return {
            "differences": {
                rule: {
                    "first": rounded(self.first.figures[rule].percent),
                    "second": rounded(self.second.figures[rule].percent),
                    "difference": rounded(difference.percent),
                    "interval": difference.rounded["interval"],
                    "n": difference.n,
                }
                for rule, difference in self.differences.items()
            },
            "questions": {"first_better": self.better, "second_better": self.worse, "equal": self.equal},
            "lines": self.report.to_dict(),
        }


def compare(
    first: Path,
    second: Path,
    task: str,
    settings: ScorerSettings,
    layouts: tuple[str, str] = ("geochat", "geochat"),
    *,
    dialects: tuple[Dialect, Dialect],
    truth_dialects: tuple[Dialect | None, Dialect | None] = (None, None),
) -> Comparison:
    """Score two files of answers on the questions both answered.

    Args:
        first: One answer a line, with a `question_id`.
        second: The same. Where each of its lines is found is held in memory.
        task: A name of `SCORERS`.
        settings: How answers are scored.
        layouts: Names of `FORMATS`.
        dialects: How whoever gave each writes regions.
        truth_dialects: How the truths of each write them, None where they do so as its answers.

    Raises:
        DataError: A file cannot be read, or they have no question in common.
    """
    ours, theirs, report = SCORERS[task](settings), SCORERS[task](settings), Report()
    better = worse = 0
    readers = [partial(_read, *how) for how in zip(layouts, dialects, truth_dialects, strict=True)]
    for where, a, b in _pairs(first, second, (readers[0], readers[1]), report):
        if a.truth != b.truth:
            report.skip("the two have different truths for it", where)
            continue
        try:
            values = ours.add(a), theirs.add(b)
        except ValueError as error:
            report.skip(str(error), where)
            continue
        report.used += 1
        better += values[0] > values[1]
        worse += values[0] < values[1]
    if not report.used:
        raise DataError(f"{first} and {second} answer no question in common: {report}; compare runs of one benchmark")
    return Comparison(ours.result(), theirs.result(), better, worse, report.used - better - worse, report)


def _pairs(
    first: Path, second: Path, readers: tuple[_Reader, _Reader], report: Report
) -> Iterator[tuple[str, Answer, Answer]]:
    places = dict(_places(second))
    with second.open("rb") as lines:
        for where, row in read_jsonl(first, report):
            place = places.get(str(row.get("question_id")))
            if place is None:
                report.skip("only the first answers it", where)
                continue
            lines.seek(place)
            try:
                yield where, readers[0](row), readers[1](json.loads(lines.readline()))
            except ValueError as error:
                report.skip(str(error), where)


def _read(layout: str, dialect: Dialect, truth_dialect: Dialect | None, row: dict[str, Any]) -> Answer:
    return FORMATS[layout].read(row, dialect, truth_dialect)


def _places(path: Path) -> Iterator[tuple[str, int]]:
    """Where each question's line begins."""
    place = 0
    try:
        with path.open("rb") as lines:
            for line in lines:
                try:
                    row = json.loads(line)
                except ValueError:
                    row = None
                if isinstance(row, dict) and "question_id" in row:
                    yield str(row["question_id"]), place
                place += len(line)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path") from error
