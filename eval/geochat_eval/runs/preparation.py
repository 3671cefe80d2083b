"""Preparation of a run: its questions are written once, then checked, extended or repaired.

`run.json` records the length and the hash of `questions.jsonl`, so that a truncated or modified file is detected and
rewritten from the benchmark's files, or refused. A run without an answer is replaced by one with other settings.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from geochat.errors import DataError, SettingsError
from geochat.files import sha256_of
from geochat.journal import busy
from geochat_data.readers import Report, read_jsonl
from geochat_eval.benchmarks import BENCHMARKS
from geochat_eval.runs.folder import EvaluationFolder, has_answers, write_json
from geochat_eval.runs.questions import write_questions
from geochat_eval.runs.settings import RunSettings, dialect_from_json, same_dialect

Notify = Callable[[str], None]

_MAY_DIFFER = ("questions", "limit")  # the hash of a file counts, not its path; a limit may be raised
_MISSING = {"choices": False}  # of runs that do not record it
_WAY_OUT = "restore it, or start again with --restart"


def prepare(
    folder: EvaluationFolder, settings: RunSettings, notify: Notify, *, restart: bool = False
) -> dict[str, Any]:
    """Write the questions of a run, or check, repair or extend those in the folder.

    The folder's lock must be held.

    Args:
        folder: The run's.
        settings: The questions, and the way they are asked.
        notify: Called with a sentence about each repair.
        restart: Whether to delete an existing run in the folder.

    Returns:
        The record of the questions in `run.json`.

    Raises:
        DataError: The benchmark's files or the run's own cannot be used.
        SettingsError: The folder holds a run with other settings.
    """
    wanted = settings.about()
    if restart:
        _empty(folder, f"{folder.path} was emptied", lambda _: None)
    answered = has_answers(folder)
    known = _known(folder, answered=answered)
    if known is not None and not answered and (_differing(known, wanted) or known.get("limit") != wanted["limit"]):
        _empty(folder, f"{folder.path} held a run without an answer, which is replaced", notify)
        known = None
    if known is None:
        return _write(folder, settings, wanted)
    compare(folder, known, wanted)
    asked: dict[str, Any] | None = known.get("asked")
    if asked is not None:
        _check_questions(folder, settings, known, notify)
    elif not folder.questions.is_file():
        raise DataError(f"{folder.questions} is missing; {_WAY_OUT}")
    if known.get("limit") != wanted["limit"]:
        return _extend(folder, settings, known, wanted)
    if settings.generates_images and not folder.answers.is_file():
        _restore_images(folder, settings, notify)
    return asked or {}


def compare(folder: EvaluationFolder, known: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Refuse settings that differ from those of the run in the folder.

    Raises:
        SettingsError: One differs; names it.
    """
    for name in _differing(known, wanted):
        raise SettingsError(
            f"{folder.path} holds a run with {name}={known.get(name)!r}, not {wanted[name]!r}; choose another --out, "
            "or forget it with --restart"
        )


def _differing(known: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [name for name, value in wanted.items() if _differs(name, known, value)]


def _differs(name: str, known: dict[str, Any], value: Any) -> bool:  # noqa: ANN401 - any setting
    if name == "dialect":
        return not same_dialect(known.get(name), dialect_from_json(value))
    if name in _MAY_DIFFER:
        return False
    if name in _MISSING:
        return bool(known.get(name, _MISSING[name]) != value)
    return name in known and known[name] != value


def _known(folder: EvaluationFolder, *, answered: bool) -> dict[str, Any] | None:
    """Read `run.json`; None if there is no run, or none that was started."""
    if not folder.settings.is_file():
        if answered:
            raise DataError(f"{folder.settings} is missing beside the answers of a run; {_WAY_OUT}")
        return None
    try:
        known = folder.read_settings()
        _check_kinds(folder, known)
    except DataError:
        if answered:
            raise
        return None
    return known


def _check_kinds(folder: EvaluationFolder, known: dict[str, Any]) -> None:
    asked = known.get("asked", {"questions": 0, "bytes": 0, "sha256": ""})
    kinds = {"questions": int, "bytes": int, "sha256": str}
    whole = isinstance(asked, dict) and all(isinstance(asked.get(name), kind) for name, kind in kinds.items())
    if not (whole and isinstance(known.get("limit"), int | None)):
        raise DataError(f"{folder.settings} is damaged; {_WAY_OUT}")
    try:
        dialect_from_json(known.get("dialect"))
    except DataError as error:
        raise DataError(f"{folder.settings} is damaged ({error}); {_WAY_OUT}") from error


def _empty(folder: EvaluationFolder, what: str, notify: Notify) -> None:
    """Delete the run in a folder.

    Raises:
        DataError: Another process is at work in it.
    """
    if busy(folder.journal):
        raise DataError(f"another process is answering into {folder.path}; wait for it or choose another --out")
    if folder.settings.is_file():
        notify(what)
    for path in (folder.settings, folder.questions, *folder.results):
        path.unlink(missing_ok=True)
    for path in folder.journal.glob("*.jsonl"):
        path.unlink()
    shutil.rmtree(folder.images, ignore_errors=True)


def _write(folder: EvaluationFolder, settings: RunSettings, wanted: dict[str, Any]) -> dict[str, Any]:
    report = Report(strict=settings.strict)
    count = write_questions(folder.questions, settings, report, sampled=settings.limit is not None)
    asked = _measured(folder.questions, count)
    write_json(folder.settings, {**wanted, "asked": asked, "left_out": report.to_dict()["reasons"]})
    return asked


def _extend(
    folder: EvaluationFolder, settings: RunSettings, known: dict[str, Any], wanted: dict[str, Any]
) -> dict[str, Any]:
    """Append the questions that a raised limit adds."""
    limit, asked = known.get("limit"), known.get("asked")
    if limit is None or (wanted["limit"] is not None and wanted["limit"] < limit) or asked is None:
        raise SettingsError(
            f"{folder.path} holds a run with limit={limit}, not {wanted['limit']}; a limit can be raised, or choose "
            "another --out"
        )
    if busy(folder.journal):
        raise DataError(f"another process is answering into {folder.path}; wait for it to end")
    longer = folder.questions.with_name("questions.longer.jsonl")
    try:
        count = write_questions(longer, settings, Report(strict=settings.strict), sampled=True)
        if sha256_of(longer, size=asked["bytes"]) != asked["sha256"]:
            raise SettingsError(
                f"the limit of {folder.path} cannot be raised: the benchmark's files have changed, and give other "
                "questions now; choose another --out"
            )
        for path in folder.results:  # of fewer questions
            path.unlink(missing_ok=True)
        longer.replace(folder.questions)
    finally:
        longer.unlink(missing_ok=True)
    now = _measured(folder.questions, count)
    write_json(folder.settings, {**known, **wanted, "asked": now})
    return now


def _restore_images(folder: EvaluationFolder, settings: RunSettings, notify: Notify) -> None:
    """Generate missing images of the run."""
    names = {str(row["image"]) for _, row in read_jsonl(folder.questions, Report())}
    gone = sorted(name for name in names if not (folder.images / name).is_file())
    if gone:
        for _ in BENCHMARKS[settings.benchmark].read(settings.sources, Report()):
            pass  # reading writes what is not there
        notify(f"{len(gone)} images were missing in {folder.images}, such as {gone[0]}, and have been generated again")


def _check_questions(folder: EvaluationFolder, settings: RunSettings, known: dict[str, Any], notify: Notify) -> None:
    """Check that the questions are those that were written; questions of an interrupted extension are removed."""
    path, asked = folder.questions, known["asked"]
    size = path.stat().st_size if path.is_file() else -1
    if size == asked["bytes"] and sha256_of(path, size=size) == asked["sha256"]:
        return
    if size > asked["bytes"] and sha256_of(path, size=asked["bytes"]) == asked["sha256"]:
        with path.open("r+b") as file:
            file.truncate(asked["bytes"])
        return
    again = path.with_name("questions.again.jsonl")
    begun = RunSettings(
        settings.benchmark,
        settings.sources,
        known.get("limit"),
        seed=known.get("seed", 0),
        choices=known.get("choices", False),
    )
    try:
        write_questions(again, begun, Report(), sampled=known.get("limit") is not None)
        if sha256_of(again) != asked["sha256"]:
            raise DataError(
                f"{path} is {'missing' if size < 0 else 'damaged'}, and the benchmark's files no longer give the same "
                f"questions; {_WAY_OUT}"
            )
        again.replace(path)
    finally:
        again.unlink(missing_ok=True)
    notify(f"{path} was {'missing' if size < 0 else 'damaged'} and has been written again from the benchmark's files")


def _measured(path: Path, count: int) -> dict[str, Any]:
    size = path.stat().st_size
    return {"questions": count, "bytes": size, "sha256": sha256_of(path, size=size)}
