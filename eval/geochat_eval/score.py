"""Scores of a file of answers from any source; no model is needed.

In addition to the figures of its scorer, a file has those of `FormatValidity`, which do not depend on correctness:

- `clean_regions`: answers whose regions all parse, out of those with a region or an attempt at one.
- `empty`: answers without a word, out of all.
- `cut_off`: answers that reached their token limit, out of all; known if the line states the finish reason (`finish`).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat.dialects import Dialect
from geochat.errors import DataError, SettingsError
from geochat_data.readers import Report
from geochat_eval.bootstrap import Figure, Shares, unit_key
from geochat_eval.formats import FORMATS, AnswerRecord
from geochat_eval.json_objects import read_objects
from geochat_eval.runs.settings import dialect_to_json, same_dialect
from geochat_eval.scorers import SCORERS, Scored, ScorerSettings

TWICE = "its question was answered by an earlier line, which counts"
_LINES = "lines"


class AnswerTally:
    """Counts answers once per question, and the units they belong to; stores a hash of each question and image."""

    def __init__(self) -> None:
        self._questions: set[int] = set()
        self._units: dict[str, set[int]] = {}
        self._lines = 0

    def check(self, answer: AnswerRecord) -> None:
        """Check that no other answer to the same question was added.

        Raises:
            ValueError: One was.
        """
        if answer.question is not None and unit_key("\0".join(answer.question)) in self._questions:
            raise ValueError(TWICE)

    def add(self, answer: AnswerRecord) -> None:
        """Count one answer."""
        if answer.question is not None:
            self._questions.add(unit_key("\0".join(answer.question)))
        if answer.unit is None:
            self._lines += 1
        else:
            kind, name = answer.unit
            self._units.setdefault(kind, set()).add(unit_key(name))

    @property
    def resampled(self) -> dict[str, int]:
        """Number of units that the bootstrap resamples: images, or ids or lines if a line names no image."""
        found = Counter({kind: len(names) for kind, names in self._units.items()})
        if self._lines:
            found[_LINES] = self._lines
        return dict(found)

    def __str__(self) -> str:
        """One sentence for reports."""
        parts = ", ".join(f"{count} {kind if count != 1 else kind[:-1]}" for kind, count in self.resampled.items())
        missing = [kind for kind in self.resampled if kind != "images"]
        stands = f"; where a line names no image, its {' or '.join(k[:-1] for k in missing)} stands for it"
        return f"intervals resample {parts}{stands if missing else ''}"


_VALIDITY_RULES = ("clean_regions", "empty", "cut_off")


class FormatValidity:
    """Counts the well-formed answers."""

    def __init__(self, settings: ScorerSettings) -> None:
        self._shares = Shares(_VALIDITY_RULES, replicates=settings.replicates, seed=settings.seed)

    def add(self, answer: AnswerRecord, _quality: float) -> None:
        """Count one answer."""
        parsed = answer.dialect.parse(answer.text)
        clean, grounded = not parsed.problems, bool(parsed.problems or parsed.regions)
        cut_off = answer.fields.get("finish") == "length"
        shares = [(clean and grounded, grounded), (not answer.text.strip(), 1), (cut_off, 1)]
        self._shares.add(shares, (), answer.unit_name)

    @property
    def figures(self) -> dict[str, Figure]:
        """The shares, without those whose denominator is 0."""
        return {rule: figure for rule, figure in self._shares.figures().items() if figure.n}

    def to_dict(self) -> dict[str, Any]:
        """Return the shares in percent, with intervals and denominators."""
        return {rule: figure.rounded for rule, figure in self.figures.items()}


Observer = Callable[[AnswerRecord, float], None]
"""Called with each answer that was scored and its quality, from 0 to 1."""


@dataclass(frozen=True)
class ScoredFile:
    """Figures of a file, and its lines.

    Attributes:
        scored: The figures.
        report: Number of lines that were used, and the others with reasons.
        about: The file, and how it was read and scored.
        format_validity: Shares of answers that are well formed, right or wrong.
        tally: The units that the bootstrap resamples.
    """

    scored: Scored
    report: Report
    about: dict[str, Any]
    format_validity: FormatValidity
    tally: AnswerTally

    def to_dict(self) -> dict[str, Any]:
        """Return one JSON object: a percentage under each rule's name, then counts, intervals, baselines and tally."""
        validity = self.format_validity.to_dict()
        lines, resampled = self.report.to_dict(), self.tally.resampled
        return {
            **self.scored.to_dict(),
            "format_validity": validity,
            "resampled": resampled,
            "lines": lines,
            "about": self.about,
        }


def score_file(
    path: Path,
    task: str,
    format_name: str = "geochat",
    settings: ScorerSettings | None = None,
    *,
    dialect: Dialect,
    truth_dialect: Dialect | None = None,
    truths: Path | None = None,
    strict: bool = False,
    observers: Sequence[Observer] = (),
) -> ScoredFile:
    """Score every line of a file.

    Args:
        path: One JSON object per line, or a JSON array of objects.
        task: A name of `SCORERS`.
        format_name: A name of `FORMATS`.
        settings: Settings of the scorer; None uses the defaults.
        dialect: Dialect of the model that answered.
        truth_dialect: Dialect of the truths, None if it is that of the answers.
        truths: A file with the truths, where the answers' own lines lack them: fields that are joined by `question_id`.
            It is held in memory.
        strict: Whether a line that cannot be scored is an error; otherwise it is counted and skipped.
        observers: Called with each answer that was scored and its quality.

    Raises:
        SettingsError: The task or format is unknown, or the packages it needs are not installed.
        DataError: The file cannot be read or holds no answer that can be scored, or is strict and one cannot.
    """
    for name, known in ((task, SCORERS), (format_name, FORMATS)):
        if name not in known:
            raise SettingsError(f"{name!r} is unknown; choose one of {', '.join(known)}")
    settings = settings or ScorerSettings()
    scorer, report, validity, tally = (
        SCORERS[task](settings),
        Report(strict=strict),
        FormatValidity(settings),
        AnswerTally(),
    )
    known_fields = _by_question(truths) if truths else None
    for where, row in read_objects(path, report):
        try:
            whole = row if known_fields is None else _joined(row, known_fields)
            answer = FORMATS[format_name].read(whole, dialect, truth_dialect)
            tally.check(answer)
            quality = scorer.add(answer)
        except ValueError as error:
            report.skip(str(error), where)
            continue
        report.used += 1
        tally.add(answer)
        for observe in (validity.add, *observers):
            observe(answer, quality)
    if not report.used:
        found = str(report) if report.skipped else "it is empty"
        if set(report.reasons) == {"not JSON"}:
            found += "; give one JSON object per line, or an array of objects"
        raise DataError(f"{path} holds no answer that can be scored as {task} in the format {format_name}: {found}")
    about = {
        "file": str(path),
        "task": task,
        "format": format_name,
        "replicates": settings.replicates,
        "seed": settings.seed,
        **({} if same_dialect(None, dialect) else {"dialect": dialect_to_json(dialect)}),
    }
    return ScoredFile(scorer.result(), report, about, validity, tally)


def _by_question(path: Path) -> dict[str, dict[str, Any]]:
    """Read the lines of a file by their `question_id`.

    Raises:
        DataError: There is none, or two of one id differ.
    """
    rows: dict[str, dict[str, Any]] = {}
    for where, row in read_objects(path, Report(strict=True)):
        if "question_id" in row and rows.setdefault(name := str(row["question_id"]), row) != row:
            raise DataError(f"{where} gives question_id {name!r} again, and says something else; keep one of them")
    if not rows:
        raise DataError(f"{path} has no line with a question_id; give the truths as one JSON object per line")
    return rows


def _joined(row: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Join a line with the known fields of its question; its own fields win."""
    question = str(row.get("question_id"))
    if question not in known:
        raise ValueError("its question_id is not among the truths")
    return {**known[question], **row}
