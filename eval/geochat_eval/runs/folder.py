"""Folder of a run: its files, and atomic writes into it.

questions.jsonl    what is asked, one object per line; written whole or not at all
images/            images the benchmark makes
run.json           settings, and what of the benchmark's files could not be used
journal/N.jsonl    what process N has answered so far, one line per answer; only ever appended to
answers.jsonl      every question with its answer, in order; written once all are there
failures.jsonl     the questions that got none, with the reason
report.*           see `geochat_eval.reports`
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from geochat.dialects import GEOCHAT, Dialect
from geochat.errors import DataError
from geochat.files import atomic_draft
from geochat.journal import Entry, read_entries
from geochat_data.readers import Report, read_jsonl
from geochat_eval.runs.settings import dialect_from_json, file_hash

_QUOTED = re.compile(r"'[^']*'|\S*/\S+")


class EvaluationFolder:
    """Paths of the files of a run.

    Attributes:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.questions = path / "questions.jsonl"
        self.images = path / "images"
        self.settings = path / "run.json"
        self.journal = path / "journal"
        self.answers = path / "answers.jsonl"
        self.failures = path / "failures.jsonl"
        self.results = (self.answers, self.failures, *(path / f"report.{kind}" for kind in ("json", "md", "html")))

    def create(self) -> None:
        """Create the folder and that of the journals.

        Raises:
            DataError: It cannot be made.
        """
        try:
            self.journal.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"{self.path} cannot be written: {error.strerror}; choose another --out") from error

    def read_settings(self) -> dict[str, Any]:
        """Read `run.json`.

        Raises:
            DataError: It is missing or damaged.
        """
        try:
            value = json.loads(self.settings.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            if self.settings.is_file():
                raise DataError(
                    f"{self.settings} is damaged ({error}); restore it, or start again with --restart"
                ) from error
            raise DataError(f"{self.path} holds no run of `geochat eval run` ({error}); check the folder") from error
        if not isinstance(value, dict):
            raise DataError(f"{self.settings} holds no JSON object; restore it, or start again with --restart")
        return value

    @property
    def dialect(self) -> Dialect:
        """The dialect of the run's questions and answers; the published one for runs without a record of it.

        Raises:
            DataError: There is no run, or what it says is no dialect.
        """
        return dialect_from_json(self.read_settings().get("dialect"))

    def image_root(self, settings: Mapping[str, Any]) -> Path:
        """Return the folder that image names are relative to: a given one, or the run's own."""
        return Path(settings["root"]) if settings.get("root") else self.images

    def failures_by_reason(self) -> dict[str, int]:
        """Count the unanswered questions by reason, most frequent first; quoted names are removed from reasons."""
        reasons: Counter[str] = Counter()
        for _, row in read_jsonl(self.failures, Report()):
            reasons[_QUOTED.sub("...", str(row.get("error")))] += 1
        return dict(reasons.most_common())

    def check_results(self) -> None:
        """Check that answers and failures are the files that the run wrote.

        Raises:
            DataError: The run is not finished, or they were changed since.
        """
        again = "run `geochat eval run` with the same words again, which puts them together from the journal"
        if not self.answers.is_file():
            raise DataError(f"{self.path} is not finished; run `geochat eval run` with the same words again")
        stated = self.read_settings().get("results")
        if not isinstance(stated, dict):
            return  # a run from before it was written down
        for path in (self.answers, self.failures):
            if not path.is_file() or file_hash(path) != stated.get(path.name):
                raise DataError(f"{path} is not as the run wrote it; {again}")


def dialects_of(path: Path, stated: Dialect | None = None) -> tuple[Dialect, Dialect | None]:
    """Find the dialects of the answers in a run's folder, or in a file, and of their truths.

    Args:
        path: The folder, a file in it, or any file of answers.
        stated: Dialect of the answers that the user states.

    Returns:
        The dialects of the answers and of the truths. Truths of runs are in the published one; those of other files
        are written as the answers, which None says.

    Raises:
        DataError: What the run says is no dialect.
    """
    folder = EvaluationFolder(path if path.is_dir() else path.parent)
    if not folder.settings.is_file():
        return stated or GEOCHAT, None
    return stated or folder.dialect, GEOCHAT


def is_answer(entry: Entry) -> bool:
    """Return whether an entry of a journal is an answer or a failure."""
    return "error" in entry or (isinstance(entry.get("answer"), str) and isinstance(entry.get("finish"), str))


def has_answers(folder: EvaluationFolder) -> bool:
    """Return whether any question was answered; failures do not count."""
    return any(is_answer(entry) and "error" not in entry for entry in read_entries(folder.journal))


def write_lines(path: Path, lines: Iterable[str]) -> int:
    """Write lines atomically; returns their number."""
    count = 0
    with atomic_draft(path) as draft, draft.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(f"{line}\n")
            count += 1
    return count


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401 - anything JSON holds
    """Write one JSON value atomically."""
    write_lines(path, [json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)])


def to_line(row: dict[str, Any]) -> str:
    """Encode a row as one line; lone surrogates, which JSON may hold, become question marks."""
    return json.dumps(row, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
