"""Scoring a file of answers, anybody's, without a model."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geochat.errors import DataError, RegionError, SettingsError
from geochat_data.readers import Report, read_jsonl
from geochat_eval.formats import FORMATS
from geochat_eval.scorers import SCORERS, Scored, ScorerSettings


@dataclass(frozen=True)
class ScoredFile:
    """The figures of a file and an account of its lines.

    Attributes:
        scored: The figures.
        report: How many lines were used, and which were not and why.
        about: The file, and how it was read and scored.
    """

    scored: Scored
    report: Report
    about: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """One JSON object: a percentage under each rule's name, then counts, intervals, baselines and the account."""
        return {**self.scored.to_dict(), "lines": self.report.to_dict(), "about": self.about}


def score_file(
    path: Path, task: str, layout: str = "geochat", settings: ScorerSettings | None = None, *, strict: bool = False
) -> ScoredFile:
    """Score every line of a file.

    Args:
        path: One JSON object a line.
        task: A name of `SCORERS`.
        layout: A name of `FORMATS`.
        settings: How; the defaults where left out.
        strict: Whether a line that cannot be scored is an error; otherwise it is counted and left out.

    Raises:
        SettingsError: The task or format is unknown, or the packages it needs are not installed.
        DataError: The file cannot be read or holds no answer that can be scored, or is strict and one cannot.
    """
    for name, known in ((task, SCORERS), (layout, FORMATS)):
        if name not in known:
            raise SettingsError(f"{name!r} is unknown; choose one of {', '.join(known)}")
    settings = settings or ScorerSettings()
    scorer, report = SCORERS[task](settings), Report(strict=strict)
    for where, row in read_jsonl(path, report):
        try:
            scorer.add(FORMATS[layout].read(row))
        except RegionError:
            report.skip("it holds a box with a number that is not finite", where)
        except ValueError as error:
            report.skip(str(error), where)
        else:
            report.used += 1
    if not report.used:
        found = str(report) if report.skipped else "it is empty"
        raise DataError(f"{path} holds no answer that can be scored as {task} in the format {layout}: {found}")
    about = {
        "file": str(path),
        "task": task,
        "format": layout,
        "replicates": settings.replicates,
        "seed": settings.seed,
    }
    return ScoredFile(scorer.result(), report, about)
