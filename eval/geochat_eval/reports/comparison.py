"""Comparison of two sets of answers to the same questions.

Both are scored on the questions that both answered, and each bootstrap replicate resamples the same images for both, so
the interval of a difference is paired and far narrower than two separate intervals suggest. If lines name no image, the
question's id is used.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from geochat.dialects import Dialect
from geochat.errors import DataError
from geochat_data.readers import Report
from geochat_eval.bootstrap import Figure, rounded
from geochat_eval.formats import FORMATS, AnswerRecord
from geochat_eval.json_objects import ObjectIndex, read_objects
from geochat_eval.score import AnswerTally
from geochat_eval.scorers import SCORERS, Scored, ScorerSettings

_Reader = Callable[[dict[str, Any]], AnswerRecord]


@dataclass(frozen=True)
class Comparison:
    """Figures of two sets of answers to the same questions, and their differences.

    Attributes:
        first: Figures of the first.
        second: Figures of the second.
        better: Questions the first answered better, by how good each answer is by itself.
        worse: Questions the second answered better.
        equal: Questions answered equally well.
        report: Counts of used lines, and skipped ones with reasons.
        tally: Of what the questions are a sample.
    """

    first: Scored
    second: Scored
    better: int
    worse: int
    equal: int
    report: Report
    tally: AnswerTally

    @property
    def differences(self) -> dict[str, Figure]:
        """First minus second by rule, in percentage points, with the paired interval; for rules that both computed."""
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
            "resampled": self.tally.resampled,
            "lines": self.report.to_dict(),
        }


def compare(
    first: Path,
    second: Path,
    task: str,
    settings: ScorerSettings,
    format_names: tuple[str, str] = ("geochat", "geochat"),
    *,
    dialects: tuple[Dialect, Dialect],
    truth_dialects: tuple[Dialect | None, Dialect | None] = (None, None),
) -> Comparison:
    """Score two files of answers on the questions that both answered.

    Args:
        first: One answer per line, with a `question_id`.
        second: The same. Where each of its lines is found is held in memory.
        task: A name of `SCORERS`.
        settings: Settings of the scorer.
        format_names: Names of `FORMATS`.
        dialects: Dialects of the answers of each.
        truth_dialects: Dialects of the truths of each; None for that of its answers.

    Raises:
        DataError: A file cannot be read, or they have no question in common.
    """
    ours, theirs, report, tally = SCORERS[task](settings), SCORERS[task](settings), Report(), AnswerTally()
    better = worse = 0
    readers = [partial(_read, *how) for how in zip(format_names, dialects, truth_dialects, strict=True)]
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
        tally.add(a)
        better += values[0] > values[1]
        worse += values[0] < values[1]
    if not report.used:
        raise DataError(f"{first} and {second} answer no question in common: {report}; compare runs of one benchmark")
    equal = report.used - better - worse
    return Comparison(ours.result(), theirs.result(), better, worse, equal, report, tally)


def _pairs(
    first: Path, second: Path, readers: tuple[_Reader, _Reader], report: Report
) -> Iterator[tuple[str, AnswerRecord, AnswerRecord]]:
    theirs, seen = ObjectIndex(second), set[str]()
    for where, row in read_objects(first, report):
        name = str(row.get("question_id"))
        if name in theirs.repeated or name in seen:
            report.skip("its question_id stands in several lines, so it cannot be paired", where)
            continue
        seen.add(name)
        other = theirs.find(name)
        if other is None:
            report.skip("only the first answers it", where)
            continue
        try:
            yield where, readers[0](row), readers[1](other)
        except ValueError as error:
            report.skip(str(error), where)


def _read(format_name: str, dialect: Dialect, truth_dialect: Dialect | None, row: dict[str, Any]) -> AnswerRecord:
    return FORMATS[format_name].read(row, dialect, truth_dialect)
