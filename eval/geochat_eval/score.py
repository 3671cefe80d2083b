"""Scoring a file of answers, anybody's, without a model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat.dialects import Dialect
from geochat.errors import DataError, SettingsError
from geochat_data.readers import Report
from geochat_eval.account import Account
from geochat_eval.form import Form
from geochat_eval.formats import FORMATS, Answer
from geochat_eval.identity import same, to_json
from geochat_eval.rows import read_rows
from geochat_eval.scorers import SCORERS, Scored, ScorerSettings

Watcher = Callable[[Answer, float], None]
"""Is shown an answer and how good it is by itself, from 0 to 1."""


@dataclass(frozen=True)
class ScoredFile:
    """The figures of a file and an account of its lines.

    Attributes:
        scored: The figures.
        report: How many lines were used, and which were not and why.
        about: The file, and how it was read and scored.
        form: What the answers look like, right or wrong.
        account: Of what they are a sample.
    """

    scored: Scored
    report: Report
    about: dict[str, Any]
    form: Form
    account: Account

    def to_dict(self) -> dict[str, Any]:
        """One JSON object: a percentage under each rule's name, then counts, intervals, baselines and the account."""
        form = self.form.to_dict()
        lines, resampled = self.report.to_dict(), self.account.resampled
        return {**self.scored.to_dict(), "form": form, "resampled": resampled, "lines": lines, "about": self.about}


def score_file(
    path: Path,
    task: str,
    layout: str = "geochat",
    settings: ScorerSettings | None = None,
    *,
    dialect: Dialect,
    truth_dialect: Dialect | None = None,
    truths: Path | None = None,
    strict: bool = False,
    watchers: Sequence[Watcher] = (),
) -> ScoredFile:
    """Score every line of a file.

    Args:
        path: One JSON object a line, or a JSON array of objects.
        task: A name of `SCORERS`.
        layout: A name of `FORMATS`.
        settings: How; the defaults where left out.
        dialect: How the model that answered writes regions.
        truth_dialect: How the truths write them, None where they do so as the answers.
        truths: A file with the truths, where the answers' own lines lack them: fields that are joined by `question_id`.
            It is held in memory.
        strict: Whether a line that cannot be scored is an error; otherwise it is counted and left out.
        watchers: Are shown each answer that was scored, and how good it is by itself.

    Raises:
        SettingsError: The task or format is unknown, or the packages it needs are not installed.
        DataError: The file cannot be read or holds no answer that can be scored, or is strict and one cannot.
    """
    for name, known in ((task, SCORERS), (layout, FORMATS)):
        if name not in known:
            raise SettingsError(f"{name!r} is unknown; choose one of {', '.join(known)}")
    settings = settings or ScorerSettings()
    scorer, report, form, account = SCORERS[task](settings), Report(strict=strict), Form(settings), Account()
    known_fields = _by_question(truths) if truths else None
    for where, row in read_rows(path, report):
        try:
            whole = row if known_fields is None else _joined(row, known_fields)
            answer = FORMATS[layout].read(whole, dialect, truth_dialect)
            account.check(answer)
            worth = scorer.add(answer)
        except ValueError as error:
            report.skip(str(error), where)
            continue
        report.used += 1
        account.add(answer)
        for watch in (form.add, *watchers):
            watch(answer, worth)
    if not report.used:
        found = str(report) if report.skipped else "it is empty"
        if set(report.reasons) == {"not JSON"}:
            found += "; give one JSON object a line, or an array of objects"
        raise DataError(f"{path} holds no answer that can be scored as {task} in the format {layout}: {found}")
    about = {
        "file": str(path),
        "task": task,
        "format": layout,
        "replicates": settings.replicates,
        "seed": settings.seed,
        **({} if same(None, dialect) else {"dialect": to_json(dialect)}),
    }
    return ScoredFile(scorer.result(), report, about, form, account)


def _by_question(path: Path) -> dict[str, dict[str, Any]]:
    """The lines of a file by their `question_id`.

    Raises:
        DataError: There is none, or two of one id differ.
    """
    rows: dict[str, dict[str, Any]] = {}
    for where, row in read_rows(path, Report(strict=True)):
        if "question_id" in row and rows.setdefault(name := str(row["question_id"]), row) != row:
            raise DataError(f"{where} gives question_id {name!r} again, and says something else; keep one of them")
    if not rows:
        raise DataError(f"{path} has no line with a question_id; give the truths as one JSON object a line")
    return rows


def _joined(row: dict[str, Any], known: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A line with what is known of its question; its own fields win."""
    question = str(row.get("question_id"))
    if question not in known:
        raise ValueError("its question_id is not among the truths")
    return {**known[question], **row}
